from app.web.chart import HEIGHT, WIDTH, spark, stacked


def test_bars_are_stacked_in_order_and_silence_shows() -> None:
    rows = [(0, "b", 1), (0, "a", 3), (20, "a", 2), (0, "a", 1)]
    chart = stacked(rows, 10, ["a", "b", "c"], (0, 40))
    assert [(bar.at_ns, bar.total) for bar in chart.bars] == [(0, 5), (10, 0), (20, 2), (30, 0)]
    assert (chart.most, chart.names) == (5, ["a", "b"])
    first, second = chart.bars[0].boxes
    assert (first.name, second.name) == ("a", "b")
    assert first.y + first.height == HEIGHT
    assert second.y + second.height == first.y
    assert all(b.x >= 0 and b.x + b.width <= WIDTH for bar in chart.bars for b in bar.boxes)


def test_what_is_small_can_be_seen() -> None:
    chart = stacked([(0, "a", 1), (10, "a", 10**9)], 10, ["a"], (0, 20))
    assert chart.bars[0].boxes[0].height == 1
    assert all(box.y >= 0 for bar in chart.bars for box in bar.boxes)


def test_nothing_is_no_chart() -> None:
    assert stacked([], 10, ["a"], (0, 20)).bars == []
    assert spark({}, [0, 10]) == []


def test_a_small_chart() -> None:
    found = spark({10: 1, 20: 4}, [0, 10, 20])
    assert [(box.x, box.height) for box in found] == [(4, 6), (8, 24)]
