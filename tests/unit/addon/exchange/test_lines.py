"""addon/exchange/lines.py: how bytes are cut into lines, whatever pieces they come in."""

from hypothesis import given
from hypothesis import strategies as st

from addon.exchange.lines import ALONE, CAP, TOGETHER, LineCutter


def cut(data: bytes, *sizes: int, cap: int = CAP) -> tuple[list[bytes], int]:
    """The lines, and the bytes of all of them."""
    cutter, found, at = LineCutter(cap), [], 0
    for size in (*sizes, len(data)):
        found += list(cutter.add(data[at : at + size]))
        at += size
    found += list(cutter.end())
    assert cutter.held == cutter.size == 0
    return [line.prefix for line in found], sum(line.size for line in found)


@given(st.binary(max_size=60).map(lambda b: b.replace(b"x", b"\n")), st.lists(st.integers(0, 9)))
def test_pieces_change_nothing_and_no_byte_is_lost(data: bytes, sizes: list[int]) -> None:
    lines, size = cut(data, *sizes)
    assert b"".join(lines) == data and size == len(data)
    assert all(line.find(b"\n") in (-1, len(line) - 1) for line in lines)


def test_of_a_long_line_the_beginning_is_kept_and_the_size_of_all() -> None:
    lines, size = cut(b"x" * (3 * CAP) + b"\ny\n", *[CAP // 2] * 7)
    assert lines == [b"x" * CAP, b"y\n"] and size == 3 * CAP + 3
    assert cut(b"x" * 100, cap=10)[0] == [b"x" * 10]


def test_after_many_lines_several_share_a_record_and_all_are_whole() -> None:
    data = b"".join(b"%d\n" % n for n in range(100_000))
    for piece in (7, 65536, len(data)):
        lines, size = cut(data, *[piece] * (len(data) // piece))
        assert b"".join(lines) == data and size == len(data)
        assert len(lines) <= ALONE + len(data) // TOGETHER + 1
        assert all(line.endswith(b"\n") and len(line) < CAP for line in lines)
