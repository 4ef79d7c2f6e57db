import pytest

from app.store import QueryError
from app.store.cursors import at, cursor, read, turned


def test_a_gap_is_the_same_from_both_sides() -> None:
    assert turned("newest.7.3") == "oldest.7.2"
    assert turned("oldest.7.2") == "newest.7.3"
    assert turned("newest.7.0") == "oldest.7.0"  # ids begin at 1


def test_times_are_gaps_too() -> None:
    assert at(7) == "newest.8.0"
    assert read(at(1 << 63), "newest") == ((1 << 63) - 1, 0)


@pytest.mark.parametrize(
    "text", ["", "newest", "newest.1", "oldest.1.1", "newest.1.1.1", f"newest.{1 << 63}.0"]
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    assert read(cursor("newest", 1, 2), "newest") == (1, 2)
    with pytest.raises(QueryError, match="none of order newest"):
        read(text, "newest")
