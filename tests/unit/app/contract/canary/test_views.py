import base64
import gzip
import os

from app.contract.canary.views import BYTES, DEPTH, MOST, views

CAP = 1 << 18


def test_layers_are_undone_in_any_order() -> None:
    data = base64.b64encode(gzip.compress(b"%68ost"))
    assert (("base64", "gzip", "percent-encoding"), b"host") in list(views(data, CAP))


def test_the_value_itself_comes_first() -> None:
    assert next(views(b"x", CAP)) == ((), b"x")


def test_depth_number_and_bytes_are_bounded() -> None:
    data = b"x" * 40
    for _ in range(DEPTH + 3):
        data = base64.b64encode(data)
    assert max(len(chain) for chain, _ in views(data, CAP)) == DEPTH
    many = b" ".join(base64.b64encode(os.urandom(30)) for _ in range(300))
    assert len(list(views(many, CAP))) <= MOST
    bomb = gzip.compress(bytes(1 << 24))
    assert sum(len(view) for _, view in views(bomb, CAP)) <= BYTES + len(bomb)


def test_hostile_bytes_raise_nothing() -> None:
    for size in range(200):
        list(views(os.urandom(size), CAP))
    for odd in (
        b"%",
        b"\\u",
        b"\\u{110000}",
        b"\\777",
        b"&#99999999;",
        b"=ZZ",
        b"300,300,1,1,1,1,1,1",
    ):
        list(views(odd * 9, CAP))
