"""Names of a tree lead to its values, whatever decodings lie between."""

import msgspec
import pytest

from app.contract.decoding.tree import (
    Number,
    Opaque,
    Opened,
    Several,
    opened_up,
    scalars,
    shown,
    values,
)


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


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("data.v", ["4.10", "4.1"]),
        ("data›base64›json.v", ["4.10", "4.1"]),
        ("data", ["eyJ2Ijo0LjEwfQ", '{"v":4.1}']),
        ("list[].a.b", ["1"]),
        ("list.*.a.b", ["1"]),
        ("list.0.a.b", ["1"]),
        ("of.service.version", ["2"]),
        ("of.0.key", ["service.version"]),
        ("twice", ['["a","b"]', "a", "b"]),
        ("bad", ["opaque, 3 bytes, looks like image"]),
    ],
)
def test_names_pass_through_what_was_opened(path: str, found: list[str]) -> None:
    tree = {
        "data": Opened("eyJ2Ijo0LjEwfQ", ("base64", "json"), {"v": Number.of("4.10")}),
        "list": [{"a.b": 1}],
        "of": [{"key": "service.version", "value": {"stringValue": "2"}}],
        "twice": Several(("a", "b")),
        "bad": Opaque(3, "image"),
    }
    assert values(tree, path) == found


def test_a_version_is_no_object_and_no_list() -> None:
    tree = {"v": Several(({"a": 1}, [2], "3", Number.of("4.10")))}
    assert scalars(tree, "v") == ["3", "4.10", "4.1"]
    assert scalars(tree, "v›json.a") == ["1"]


def test_trees_for_people_and_for_templates() -> None:
    opened = Opened("x", ("base64", "json"), {"b": Number.of("4.10"), "c": Opaque(1)})
    unsure = Opened("y", ("form",), {}, unsure=True)
    tree = {"a": opened, "d": [opened], "e": Several(({"f": 1}, unsure)), "g": float("nan")}
    assert msgspec.json.encode(shown(tree)).decode() == (
        '{"a›base64›json":{"b":4.10,"c":"opaque, 1 bytes"},'
        '"d":[{"›base64›json":{"b":4.10,"c":"opaque, 1 bytes"}}],"e":{"f":1},"g":"nan"}'
    )
    plain = {"b": 4.1, "c": None}
    assert opened_up({**tree, "g": 1}) == {"a": plain, "d": [plain], "e": {"f": 1}, "g": 1}
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    assert "…" in str(shown(deep)) and "None" in str(opened_up(deep))
