"""Rules behind one that takes everything they could are found; nothing else is called so."""

import pytest

from app.contract.rules import Host, Match, Path, Rule, Value
from app.profiles.unreachable import taken_before

A = Path("exact", "/a")
V = Value("v", "present")


@pytest.mark.parametrize(
    "wide, narrow",
    [
        (Match(), Match(methods=("GET",), paths=(A,))),
        (Match(paths=(Path("prefix", "/"),)), Match()),
        (Match(paths=(Path("prefix", "/a"),)), Match(paths=(Path("prefix", "/a/b"), A))),
        (Match(paths=(Path("regex", "/[ab]"),)), Match(paths=(A,))),
        (Match(paths=(Path("regex", "/x.*"),)), Match(paths=(Path("regex", "/x.*"),))),
        (Match(methods=("GET", "POST")), Match(methods=("POST",))),
        (Match(hosts=(Host("x.test", suffix=True),)), Match(hosts=(Host("a.x.test"),))),
        (Match(query=(V,)), Match(query=(V, Value("w", "present")))),
    ],
)
def test_taken(wide: Match, narrow: Match) -> None:
    first = Rule("first", "pass", wide)
    assert taken_before(Rule("second", "pass", narrow), [first]) is first


def test_behind_a_rule_for_requests_there_are_lines() -> None:
    requests = Rule("requests", "pass", Match(paths=(Path("prefix", "/"),)))
    lines = Rule("lines", "pass")
    assert taken_before(lines, [requests]) is requests
    assert taken_before(lines, [requests], lines=True) is None
    assert taken_before(Rule("more", "pass"), [requests, lines], lines=True) is lines
    narrow = Rule("narrow", "pass", Match(paths=(A,)))
    assert taken_before(narrow, [requests], lines=True) is requests


@pytest.mark.parametrize(
    "wide, narrow",
    [
        (Match(query=(V,)), Match()),
        (Match(headers=(V,)), Match(paths=(A,))),
        (Match(body=(V,)), Match(paths=(A,))),
        (Match(methods=("GET",)), Match()),
        (Match(methods=("GET",)), Match(methods=("GET", "POST"))),
        (Match(hosts=(Host("a.test"),)), Match()),
        (Match(hosts=(Host("x.test", suffix=True),)), Match(hosts=(Host("x.test"),))),
        (Match(paths=(A,)), Match()),
        (Match(paths=(A,)), Match(paths=(A, Path("exact", "/b")))),
        (Match(paths=(Path("prefix", "/a/b"),)), Match(paths=(Path("prefix", "/a"),))),
        (Match(paths=(Path("regex", "/a.*"),)), Match(paths=(Path("prefix", "/a"),))),
    ],
)
def test_not_taken(wide: Match, narrow: Match) -> None:
    assert taken_before(Rule("second", "pass", narrow), [Rule("first", "pass", wide)]) is None
