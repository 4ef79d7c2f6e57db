import threading

from app.otel.waiting import BATCH_SIZE, SIZE, Waiting


def test_what_was_put_comes_out_in_its_order_and_in_batches() -> None:
    waiting: Waiting[int] = Waiting(items=10, batch=3)
    assert [waiting.put(n, 1) for n in range(7)] == [""] * 7
    assert [waiting.take(0) for _ in range(4)] == [[0, 1, 2], [3, 4, 5], [6], []]


def test_items_are_bounded() -> None:
    waiting: Waiting[int] = Waiting(items=2, batch=2)
    assert [waiting.put(n, 0) for n in range(3)] == ["", "", "queue_full"]
    waiting.take(0)
    assert waiting.put(4, 0) == ""


def test_their_size_is_bounded() -> None:
    waiting: Waiting[str] = Waiting(items=100, batch=100)
    assert waiting.put("a", SIZE) == ""
    assert waiting.put("b", 1) == "queue_full"
    waiting.take(0)
    assert waiting.put("b", SIZE) == ""
    assert waiting.clear() == 1
    assert waiting.put("b", SIZE) == ""


def test_a_batch_is_bounded_by_size_and_a_large_item_goes_alone() -> None:
    waiting: Waiting[str] = Waiting(items=100, batch=100)
    for name, size in (("a", 1), ("large", BATCH_SIZE + 1), ("b", 1), ("c", 1)):
        waiting.put(name, size)
    assert [waiting.take(0) for _ in range(3)] == [["a"], ["large"], ["b", "c"]]


def test_a_full_batch_ends_the_delay() -> None:
    waiting: Waiting[int] = Waiting(items=10, batch=2)
    taken: list[list[int]] = []
    thread = threading.Thread(target=lambda: taken.append(waiting.take(60)))
    thread.start()
    waiting.put(1, 1)
    assert thread.is_alive()
    waiting.put(2, 1)
    thread.join(10)
    assert taken == [[1, 2]]


def test_closing_ends_the_delay_and_lets_nothing_more_in() -> None:
    waiting: Waiting[int] = Waiting(items=10, batch=5)
    waiting.put(1, 1)
    taken: list[list[int]] = []
    thread = threading.Thread(target=lambda: taken.append(waiting.take(60)))
    thread.start()
    waiting.close()
    thread.join(10)
    assert taken == [[1]]
    assert waiting.put(2, 1) == "shutdown"
