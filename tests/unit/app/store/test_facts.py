"""What every store takes from records, without a store."""

from app.contract.record import Body, Message
from app.store.facts import sender, sizes
from tests.records import BOOT, exchange, spliced


def test_sizes() -> None:
    assert sizes(spliced(1)) == (100, 2_000)
    post = exchange(1, path="/p", query=[("a", "bc")], body=Body(size=1_000))
    assert sizes(post) == (2 + 5 + 1_000, 29)
    message = Message(of=f"{BOOT}-1", sender="client", body=Body(size=7))
    assert sizes(exchange(2, kind="message", message=message, response=None)) == (7, 0)


def test_sender() -> None:
    assert sender(exchange(1)) == "leader-0"
    assert sender(exchange(1, pod="", namespace="")) == "10.1.2.3"
    assert sender(exchange(1, pod="", namespace="", client=None)) == ""
