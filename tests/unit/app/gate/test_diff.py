"""app/gate/diff.py: what differs in two contracts, and what does not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from app.gate.contract_file import Contract, ContractEndpoint, ContractField
from app.gate.diff import diff, markdown, text
from app.store.inventory import TYPES
from tests.unit.app.gate.violating import EVIL

HOST = "cdn.cribl.io"


def side(field: dict[str, Any] | None = None, **given: Any) -> Contract:
    of = ContractField(**({"types": ["string"], "presence": "always"} | (field or {})))
    endpoint = {"host": HOST, "method": "GET", "route": "/a", "fields": {"query.x": of}} | given
    return Contract(
        contract=1, profile="cribl", hosts=[HOST], endpoints=[ContractEndpoint(**endpoint)]
    )


def test_an_event_without_a_name_of_an_older_file_is_no_difference() -> None:
    assert told(side(events=["", "quit"]), side(events=["quit"])) == []


def told(one: Contract, other: Contract) -> list[tuple[str, str, str, str]]:
    found = diff(one, other, ("a", "b")).differences
    return [(d.kind, d.what, d.before, d.after) for d in found]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (side(), side()),
        (side({"presence": "few"}), side()),
        (side({"presence": "few"}), side({"presence": "sometimes", "rate": 0.5})),
        (side({"presence": "sometimes", "rate": 0.5}),
         side({"presence": "sometimes", "rate": 0.55})),
        (side(every="60s"), side(every="61s")),
        (side(every="60s"), side(every="1m")),
    ],
)  # fmt: skip
def test_what_chance_explains_is_no_difference(one: Contract, other: Contract) -> None:
    assert told(one, other) == told(other, one) == []


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (side({"types": ["integer"]}), ("changed", "query.x", "string, always", "integer, always")),
        (side({"shapes": ["guid"]}),
         ("changed", "query.x", "string, always", "string (guid), always")),
        (side({"classes": ["text"], "said": "secret"}),
         ("changed", "query.x", "string, always", "string, text, said secret, always")),
        (side({"classes": ["secret"]}),
         ("changed", "query.x", "string, always", "string, secret, always")),
        (side({"presence": "sometimes", "rate": 0.5}),
         ("changed", "query.x", "string, always", "string, sometimes 0.5")),
        (side(fields={}), ("gone", "query.x", "string, always", "-")),
        (side(fields=None), ("changed", "(fields)", "judged", "not judged")),
        (side(every="60s"), ("changed", "(cadence)", "-", "every 60s")),
        (side(events=["quit"]), ("added", "quit", "-", "event")),
    ],
)  # fmt: skip
def test_what_differs(other: Contract, expected: tuple[str, ...]) -> None:
    assert told(side(), other) == [expected]
    assert len(told(other, side())) == 1


def test_values_of_another_class_show_behind_the_same_word() -> None:
    plain, said, other = (
        side({"classes": classes, "said": word})
        for classes, word in ((["text"], None), (["text"], "text"), (["text", "contact"], "text"))
    )
    for one, another in ((plain, said), (said, other), (plain, other)):
        ((kind, what, before, after),) = told(one, another)
        assert (kind, what) == ("changed", "query.x") and before != after
    assert told(said, other)[0][3] == "string, text or contact, said text, always"


def test_hosts_endpoints_and_profiles() -> None:
    other = Contract(contract=1, profile="x", hosts=["a.example"])
    assert [(kind, what) for kind, what, *_ in told(side(), other)] == [
        ("changed", "profile"), ("added", "(the whole host)"), ("gone", "(the whole host)"),
        ("gone", "(the whole endpoint)"),
    ]  # fmt: skip


def test_a_diff_for_people() -> None:
    found = diff(side(), side(fields={}), ("a", "b"))
    assert text(found).startswith("from a to b: 0 added, 1 gone, 0 changed\n")
    assert text(diff(side(), side(), ("a", "b"))) == "from a to b: none differs\n"
    evil = EVIL.encode("utf-8", "replace").decode()
    hostile = diff(side(), side(events=[evil]), (evil, evil))
    for shown in (text(hostile), markdown(hostile)):
        assert not [c for c in shown if not c.isprintable() and c != "\n"]
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown(hostile))
    children = {c.type for token in tokens for c in token.children or ()}
    assert children == {"text"} and sum(token.type == "td_open" for token in tokens) == 6


FIELD = st.builds(
    ContractField, types=st.lists(st.sampled_from(TYPES), min_size=1, max_size=2),
    shapes=st.lists(st.sampled_from(("guid", "text")), max_size=1),
    classes=st.lists(st.sampled_from(("secret", "usage")), max_size=1),
    presence=st.sampled_from(("always", "few", "sometimes")),
)  # fmt: skip
SIDE = st.builds(
    side, every=st.sampled_from((None, "60s", "1m", "4h")),
    events=st.lists(st.sampled_from(("a", "b", "")), unique=True),
    fields=st.none() | st.dictionaries(st.sampled_from(("query.a", "query.b")), FIELD),
)  # fmt: skip


@given(SIDE, SIDE)
def test_a_diff_the_other_way_round_is_its_mirror(one: Contract, other: Contract) -> None:
    turned = {"added": "gone", "gone": "added", "changed": "changed"}
    assert told(one, one) == []
    assert told(other, one) == [
        (turned[kind], what, after, before) for kind, what, before, after in told(one, other)
    ]
