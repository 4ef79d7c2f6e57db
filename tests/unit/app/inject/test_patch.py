"""A patch makes one object into the other."""

import copy
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from app.inject import inject, patch
from tests.unit.app.inject.test_pod import pod, settings

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("a~/0", max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("a~/0", max_size=3), inner),
    max_leaves=12,
)


def applied(before: Any, operations: list[dict[str, Any]]) -> Any:
    """RFC 6902, for the three operations that are used."""
    root = [copy.deepcopy(before)]
    for operation in operations:
        steps = [s.replace("~1", "/").replace("~0", "~") for s in operation["path"].split("/")]
        at: Any = root
        key: Any = 0
        for step in steps[1:]:
            at = at[key]
            key = int(step) if isinstance(at, list) else step
        if operation["op"] == "remove":
            del at[key]
        elif operation["op"] == "add" and isinstance(at, list):
            assert key <= len(at)
            at.insert(key, copy.deepcopy(operation["value"]))
        else:
            assert operation["op"] == "add" or key in at or isinstance(at, list)
            at[key] = copy.deepcopy(operation["value"])
    return root[0]


@given(VALUES, VALUES)
@example({"": False}, {"": 0})
@example([1, True], [1, 1])
def test_patch_makes_the_one_into_the_other(before: Any, after: Any) -> None:
    found = applied(before, patch(before, after))
    assert repr(found) == repr(after) or sorted_(found) == sorted_(after)


def sorted_(value: Any) -> str:
    """Without the order of keys, and with 1 unlike true."""
    if isinstance(value, dict):
        return repr(sorted((k, sorted_(v)) for k, v in value.items()))
    return repr([sorted_(v) for v in value]) if isinstance(value, list) else repr(value)


@given(VALUES)
def test_nothing_changed_is_no_operation(value: Any) -> None:
    assert patch(value, copy.deepcopy(value)) == []


def test_what_was_put_into_a_list_is_added_and_the_rest_not_touched() -> None:
    assert patch({"l": [1, 2]}, {"l": [1, 3, 4, 2]}) == [
        {"op": "add", "path": "/l/1", "value": 3},
        {"op": "add", "path": "/l/2", "value": 4},
    ]
    assert patch({"l": [{"a": 1}, 2]}, {"l": [{"a": 2}, 2]}) == [
        {"op": "replace", "path": "/l/0/a", "value": 2}
    ]
    assert patch([1, 2, 3], [3]) == [{"op": "remove", "path": "/0"}] * 2
    assert patch({"a/b": 1, "~": 2}, {"~": 3}) == [
        {"op": "remove", "path": "/a~1b"}, {"op": "replace", "path": "/~0", "value": 3},
    ]  # fmt: skip


def test_of_an_injection() -> None:
    before = pod(initContainers=[{"name": "own"}], volumes=[{"name": "v"}])
    after = inject(before, settings()).pod
    assert applied(before, patch(before, after)) == after
