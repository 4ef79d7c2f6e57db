"""Names of a tree lead to its values, whatever decodings lie between."""

import pytest

from app.contract.decoding.tree import values


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a", ['{"b":[1,"two",null,true]}']),
        ("a.b.0", ["1"]),
        ("a.b.1", ["two"]),
        ("a.b.2", ["null"]),
        ("a.b.*", ["1", "two", "null", "true"]),
        ("a.b.4", []),
        ("a.b.-1", []),
        ("a.b.²", []),
        ("a.x.0", []),
        ("", []),
        ("0", []),
    ],
)
def test_json_values(path: str, found: list[str]) -> None:
    assert values({"a": {"b": [1, "two", None, True]}}, path) == found


def test_json_values_of_what_is_no_container() -> None:
    assert values(None, "a") == values("text", "a") == values(1, "*") == []
