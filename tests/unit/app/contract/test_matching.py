"""app/contract/matching.py: which part of a match failed, and what was there."""

from typing import Any

import pytest

from app.contract import rules as r
from app.contract.matching import Host, Unmatched, failed_part

SEEN = r.Seen(
    method="GET",
    host="A.example.",
    path="/t",
    query=[("v", "1")],
    headers=[("X-Kind", "beat")],
    json={"event": "start"},
)


@pytest.mark.parametrize(
    ("match", "failed"),
    [
        (r.Match(), None),
        (r.Match(hosts=(r.Host("a.example"),), methods=("GET",)), None),
        (r.Match(methods=("PUT", "POST")), Unmatched("method", "PUT or POST", "GET")),
        (r.Match(hosts=(r.Host("b", suffix=True),)), Unmatched("host", ".b", "a.example")),
        (r.Match(paths=(r.Path("prefix", "/u"),)), Unmatched("path", "prefix /u", "/t")),
        (
            r.Match(query=(r.Value("v", "equals", "2"),)),
            Unmatched("query v", "equals 2", "1"),
        ),
        (r.Match(headers=(r.Value("x-kind", "equals", "beat"),)), None),
        (
            r.Match(headers=(r.Value("x-kind", "absent"),)),
            Unmatched("header x-kind", "absent", "beat"),
        ),
        (
            r.Match(body=(r.Value("event", "equals", "end"),)),
            Unmatched("body event", "equals end", "start"),
        ),
    ],
)
def test_the_first_part_that_does_not_hold(match: r.Match, failed: Unmatched | None) -> None:
    assert failed_part(match, SEEN) == failed


ASKING = r.RuleSet(
    (
        r.Profile(
            "p",
            "t",
            (r.Host("a.example"),),
            (
                r.Rule("q", "mock", r.Match(query=(r.Value("event", "equals", "start"),))),
                r.Rule("h", "mock", r.Match(headers=(r.Value("x-kind", "equals", "beat"),))),
                r.Rule(
                    "m",
                    "mock",
                    r.Match(methods=("POST",), query=(r.Value("optout", "absent"),),
                            paths=(r.Path("exact", "/e"),)),
                ),
            ),
        ),
    )
)  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "by"),
    [
        ({"query": [("event", "start")]}, ()),
        ({"query": [("x", "1;event=start")]}, ("query",)),
        ({"query": [("?event", "start")]}, ("query",)),
        ({"query": [("event", "start#x")]}, ("query",)),
        ({"query": [("event", "st%61rt")]}, ("query",)),
        ({"query": [("e%76ent", "start;x")]}, ("query",)),
        ({"query": [(f"{i};", "") for i in range(2000)]}, ("query",)),
        ({"path": "/%3fevent=start"}, ("query",)),
        ({"headers": [("X-Kind", "a, beat")]}, ("header",)),
        ({"headers": [("X-Kind", "\r\n beat")]}, ("header",)),
        ({"headers": [("X_Kind", "beat")]}, ("header",)),
        ({"path": "/e", "headers": [("X-HTTP-Method-Override", "post")]}, ("method",)),
        ({"path": "/%65", "method": "POST", "query": [("a", ";optout=1")]}, ("path",)),
    ],
)
def test_parameters_headers_and_methods_have_readings_too(
    fields: dict[str, Any], by: tuple[str, ...]
) -> None:
    seen = r.Seen(**{"method": "GET", "host": "a.example", "path": "/", **fields})
    decision = r.decide(ASKING, seen)
    assert decision.action in r.KEPT_HERE and decision.by == by


@pytest.mark.parametrize(
    "fields",
    [
        {"query": [("x", "event=start")]},
        {"query": [("event", "started;")]},
        {"headers": [("x-kind", "heartbeat, x")]},
        {"path": "/e"},
        {"path": "/e", "method": "POST", "query": [("optout", "1;x")]},
    ],
)
def test_and_what_matches_in_none_of_them_goes_on(fields: dict[str, Any]) -> None:
    seen = r.Seen(**{"method": "GET", "host": "a.example", "path": "/", **fields})
    assert r.decide(ASKING, seen) == r.Decision("pass", ASKING.profiles[0])


def test_what_no_rule_of_the_host_reads_is_not_worked_out() -> None:
    plain = r.Profile(
        "o",
        "t",
        (r.Host("o.test"),),
        (r.Rule("a", "mock", r.Match(paths=(r.Path("exact", "/a"),))),),
    )
    rules = r.RuleSet((*ASKING.profiles, plain))
    seen = r.Seen(method="GET", host="o.test", path="/", query=[(f"{i};", "") for i in range(2000)])
    assert r.decide(rules, seen).action == "pass"


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        (Host("a.b"), Host("a.b", unmatched="block"), True),
        (Host("b", suffix=True), Host("a.b"), True),
        (Host("b", suffix=True), Host("a.b", suffix=True), True),
        (Host("b", suffix=True), Host("b", suffix=True), True),
        (Host("b", suffix=True), Host("b"), False),
        (Host("a.b"), Host("a.b", suffix=True), False),
        (Host("a.b", suffix=True), Host("b", suffix=True), False),
    ],
)
def test_a_host_covers_another_where_all_its_names_are_of_it(
    wide: Host, narrow: Host, covers: bool
) -> None:
    assert wide.covers(narrow) is covers
