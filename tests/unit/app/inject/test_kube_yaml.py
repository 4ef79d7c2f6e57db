"""YAML is read and written as Kubernetes does."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.inject.kube_yaml import read, write


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12:30", "12:30"), ("2026-01-31", "2026-01-31"), ("2026-01-31T12:00:00Z",) * 2,
        ("0644", 420), ("0o644", 420), ("0x1F", 31), ("-5", -5), ("1_000", 1000), ("8080", 8080),
        ("1.5", 1.5), (".25", 0.25), ("yes", True), ("off", False), ("~", None), ("", None),
        ("1:20.5", "1:20.5"), ("'1'", "1"), ("20m", "20m"), ("08", "08"),
    ],
)  # fmt: skip
def test_scalars(text: str, value: Any) -> None:
    found = read(f"a: {text}")["a"]
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    "text",
    ["1e3", "y", "N", "on", "0o17", "1_0", "0x1", ".5", "12:30", "2026-01-31", "2026-01-31 1:2:3 Z",
     "2026-01-31T12:00:00+02:00", "", "~", "null", "=", "<<", ".inf", "-1", "1.", "010", "0b1"],
)  # fmt: skip
def test_text_that_could_be_something_else_is_quoted(text: str) -> None:
    written = write({"a": text})
    assert written.startswith('a: "') or written.startswith("a: '")
    assert read(written) == {"a": text}


def test_text_that_could_not_is_not() -> None:
    assert write({"a": "20m", "b": "app:1", "c": "--flag"}) == "a: 20m\nb: app:1\nc: --flag\n"


@given(st.text(max_size=30))
def test_any_text_is_read_as_it_was_written(text: str) -> None:
    written = write({"a": [text], "b": {"c": text}})
    assert read(written) == {"a": [text], "b": {"c": text}}
    assert yaml.safe_load(written) == {"a": [text], "b": {"c": text}}


def test_lines_stay_lines_and_nothing_is_folded() -> None:
    pem = "-----BEGIN-----\nx\n-----END-----\n"
    assert write({"a": pem}) == "a: |\n  -----BEGIN-----\n  x\n  -----END-----\n"
    assert write({"a": "word " * 100 + "end"}).count("\n") == 1


def test_equal_objects_are_written_twice() -> None:
    same = {"type": "RuntimeDefault"}
    assert "&" not in write({"a": same, "b": same})
