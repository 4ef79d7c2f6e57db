import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract import rules as r

# Few names, so that rules and requests meet often.
hosts = st.sampled_from(["a.example", "b.example", "x.b.example", "c.example"])
names = st.sampled_from(["v", "lic", "id"])
words = st.sampled_from(["", "1", "12", "x", "{}"])
paths = st.sampled_from(["/", "/telemetry/index.html", "/telemetry", "/dl/file"])
actions = st.sampled_from(["mock", "observe", "hold", "block", "pass"])
modes = st.none() | st.sampled_from(["mock", "observe", "block", "hold"])
values = st.builds(
    r.Value,
    name=names,
    op=st.sampled_from(["present", "absent", "equals", "prefix", "contains"]),
    value=words,
)
matches = st.builds(
    r.Match,
    methods=st.lists(st.sampled_from(["GET", "POST"]), max_size=1).map(tuple),
    hosts=st.lists(st.builds(r.Host, name=hosts, suffix=st.booleans()), max_size=1).map(tuple),
    paths=st.lists(
        st.builds(r.Path, kind=st.sampled_from(["exact", "prefix"]), value=paths), max_size=2
    ).map(tuple),
    query=st.lists(values, max_size=1).map(tuple),
    headers=st.lists(values, max_size=1).map(tuple),
    body=st.lists(values, max_size=1).map(tuple),
)
rules = st.builds(r.Rule, id=st.uuids().map(str), action=actions, match=matches)
profiles = st.builds(
    r.Profile,
    id=st.uuids().map(str),
    title=st.just("t"),
    hosts=st.lists(st.builds(r.Host, name=hosts, suffix=st.booleans()), min_size=1, max_size=2).map(
        tuple
    ),
    rules=st.lists(rules, max_size=4).map(tuple),
)
rule_sets = st.builds(r.RuleSet, profiles=st.lists(profiles, max_size=3).map(tuple))
seens = st.builds(
    r.Seen,
    method=st.sampled_from(["GET", "POST"]),
    host=hosts,
    path=paths,
    query=st.lists(st.tuples(names, words), max_size=2),
    headers=st.lists(st.tuples(names.map(str.title), words), max_size=2),
    json=st.none() | st.just(r.UNREAD) | st.dictionaries(names, words),
)


@given(rule_sets, seens)
def test_the_first_rule_that_matches_decides(rule_set: r.RuleSet, seen: r.Seen) -> None:
    decision = r.decide(rule_set, seen)
    matching = [
        (p, rule)
        for p in rule_set.profiles
        if any(h.matches(seen.host) for h in p.hosts)
        for rule in p.rules
        if r.failed_part(rule.match, seen) is None
    ]
    if matching:
        assert (decision.profile, decision.rule) == matching[0]
    else:
        assert (decision.action, decision.rule) == ("pass", None)


@given(rule_sets, seens, modes)
def test_the_mode_replaces_mock_and_nothing_else(
    rule_set: r.RuleSet, seen: r.Seen, mode: r.Mode | None
) -> None:
    with_mode, without = r.decide(rule_set, seen, mode), r.decide(rule_set, seen)
    assert (with_mode.profile, with_mode.rule) == (without.profile, without.rule)
    if without.action == "mock" and mode is not None:
        assert with_mode.action == mode
    else:
        assert with_mode.action == without.action


@given(rule_sets, seens, modes)
def test_a_host_that_no_profile_names_passes(
    rule_set: r.RuleSet, seen: r.Seen, mode: r.Mode | None
) -> None:
    seen.host = "unknown.invalid"
    assert r.decide(rule_set, seen, mode) == r.PASS


@given(rule_sets, seens, rules)
def test_a_rule_behind_the_one_that_matches_changes_nothing(
    rule_set: r.RuleSet, seen: r.Seen, extra: r.Rule
) -> None:
    before = r.decide(rule_set, seen)
    if before.rule is None or before.profile is None:
        return
    # Of an earlier profile without a match, the rule would not be behind it.
    at = [p.id for p in rule_set.profiles].index(before.profile.id)
    extended = tuple(
        msgspec.structs.replace(p, rules=(*p.rules, extra)) if i >= at else p
        for i, p in enumerate(rule_set.profiles)
    )
    after = r.decide(r.RuleSet(extended), seen)
    assert (after.action, after.rule) == (before.action, before.rule)


@given(rule_sets, seens)
def test_an_unread_body_is_asked_for_and_then_decides(rule_set: r.RuleSet, seen: r.Seen) -> None:
    decision = r.decide(rule_set, seen)
    if seen.json is not r.UNREAD:
        assert not decision.needs_body
    elif decision.needs_body:
        assert decision.action == "pass"
        assert decision.rule is not None and decision.rule.match.body


@given(rule_sets, st.none() | st.binary(min_size=16, max_size=32))
def test_a_bundle_comes_back_as_it_was(rule_set: r.RuleSet, key: bytes | None) -> None:
    bundle = r.Bundle(rule_set, key, "k1")
    assert r.load(r.dump(bundle)) == bundle


@pytest.mark.parametrize("data", [b"", b"{}", b'{"rules":{},"mask_key":"AAAA"}', b'{"rules":1}'])
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        r.load(data)


def of(*hosts: r.Host, id: str = "p", rules: tuple[r.Rule, ...] = ()) -> r.Profile:
    return r.Profile(id=id, title=id, hosts=hosts, rules=rules)


def test_profiles_are_found_by_exact_name_and_by_suffix() -> None:
    exact = of(r.Host("cdn.cribl.io"), id="exact")
    suffix = of(r.Host("cribl.io", suffix=True), id="suffix")
    rule_set = r.RuleSet((suffix, exact))
    assert rule_set.of_host("CDN.cribl.io.") == (suffix, exact)
    assert rule_set.of_host("a.cribl.io") == (suffix,)
    assert rule_set.of_host("cribl.io") == rule_set.of_host("notcribl.io") == ()


def test_rule_by_its_ids() -> None:
    rule = r.Rule(id="r", action="mock")
    profile = of(r.Host("h"), rules=(rule,))
    rule_set = r.RuleSet((profile,))
    assert rule_set.rule("p", "r") == (profile, rule)
    assert rule_set.rule("p", "other") is rule_set.rule("", "r") is None


def test_a_regex_matches_the_whole_path() -> None:
    path = r.Path("regex", "/telemetry/[a-z]+")
    assert path.matches("/telemetry/events")
    assert not path.matches("/telemetry/events/1")


def test_a_regex_takes_linear_time() -> None:
    hostile = "a" * 50_000 + "!"
    began = time.process_time()
    assert not r.Path("regex", "^(a+)+$").matches(hostile)
    assert not r.Value("v", "regex", "^(a+)+$").matches([hostile])
    # A backtracking engine does not come back at all: the bound is far from both.
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("match", "part"),
    [
        (r.Match(methods=("POST",)), "method"),
        (r.Match(hosts=(r.Host("other"),)), "host"),
        (r.Match(paths=(r.Path("exact", "/x"), r.Path("prefix", "/y"))), "path"),
        (r.Match(query=(r.Value("v", "equals", "2"),)), "query v"),
        (r.Match(query=(r.Value("v", "absent"),)), "query v"),
        (r.Match(headers=(r.Value("x-a", "contains", "z"),)), "header x-a"),
        (r.Match(body=(r.Value("a.0.b", "prefix", "9"),)), "body a.0.b"),
    ],
)
def test_the_part_that_failed_is_named(match: r.Match, part: str) -> None:
    seen = r.Seen(
        method="GET",
        host="h",
        path="/",
        query=[("v", "1")],
        headers=[("X-A", "1")],
        json={"a": [{"b": 12}]},
    )
    failed = r.failed_part(match, seen)
    assert failed is not None and failed.part == part


def test_a_body_that_is_no_json_fails_a_body_condition() -> None:
    match = r.Match(body=(r.Value("a"),))
    failed = r.failed_part(match, r.Seen(method="POST", host="h", path="/", json=None))
    assert failed is not None and failed.part == "body a"


VERSIONED = msgspec.structs.replace(
    of(r.Host("h")),
    version_from=(
        r.Extract("query", "v", "^([0-9.]+)"),
        r.Extract("header", "user-agent", "[a-z]+/[0-9]+"),
        r.Extract("body", "app.version"),
    ),
)


@pytest.mark.parametrize(
    ("seen", "version"),
    [
        ({"query": [("v", "4.16.1-20904e45")]}, "4.16.1"),
        ({"query": [("v", "no")], "headers": [("User-Agent", "x y/12 z")]}, "y/12"),
        ({"json": {"app": {"version": "9"}}}, "9"),
        ({"json": {"app": {"version": "9" * 500}}}, "9" * 128),
        ({"json": r.UNREAD}, ""),
        ({}, ""),
    ],
)
def test_product_version(seen: dict[str, object], version: str) -> None:
    request = msgspec.convert(seen, dict) | {"method": "GET", "host": "h", "path": "/"}
    assert r.product_version(VERSIONED, r.Seen(**request)) == version


def test_an_answer_that_needs_the_app() -> None:
    assert not r.Answer(body=b"x").needs_app
    assert r.Answer(template="{{ x }}").needs_app
    assert r.Answer(fault="reset").needs_app
    assert r.Answer(sequence=(r.Answer(),)).needs_app


TELEMETRY = r.RuleSet(
    (
        r.Profile(
            id="cribl",
            title="Cribl",
            hosts=(r.Host("a.example"), r.Host("b.example", suffix=True)),
            rules=(
                r.Rule("open", "pass", r.Match(paths=(r.Path("prefix", "/t/open/"),))),
                r.Rule("look", "observe", r.Match(paths=(r.Path("prefix", "/look/"),))),
                r.Rule(
                    "start",
                    "mock",
                    r.Match(
                        methods=("POST",),
                        paths=(r.Path("exact", "/body"),),
                        body=(r.Value("event", "equals", "start"),),
                    ),
                ),
                r.Rule("t", "mock", r.Match(paths=(r.Path("prefix", "/t/"),))),
            ),
        ),
    )
)


def request(path: str = "/t/x", **fields: Any) -> r.Seen:
    return r.Seen(**{"method": "GET", "host": "a.example", "path": path, **fields})


@pytest.mark.parametrize(
    ("seen", "rule", "by"),
    [
        (request(), "t", ()),
        (request("//t/x"), "t", ("path",)),
        (request("/%74/x"), "t", ("path",)),
        (request("/t/open/../x"), "t", ("path",)),
        (request(host="o.test", names=("a.example",)), "t", ("name",)),
        (request(host="o.test", names=("o.test", "x.b.example")), "t", ("name",)),
        (request("https://a.example/t/x", host="o.test"), "t", ("name", "path")),
        (request("/dl/x", names=("b.example",)), "", ()),
        (request("/t/open/a%20b"), "open", ()),
        (request("/dl/%74/x"), "", ()),
        (request("//look/x"), "look", ("path",)),
        (request("/dl/x", method="M-SEARCH"), "", ()),
        (request("/body", method="post", json={"event": "start"}), "start", ("method",)),
        (request("/body", method="POST", json=r.UNREADABLE), "start", ("body",)),
        (request("//body", method="post", json=r.UNREADABLE), "start", ("path", "method", "body")),
        (request("/body", method="POST", json=None), "", ()),
    ],
)
def test_a_rule_takes_a_request_in_any_reading(seen: r.Seen, rule: str, by: Any) -> None:
    decision = r.decide(TELEMETRY, seen)
    assert (decision.rule.id if decision.rule else "") == rule
    assert decision.by == by
    if decision.action == "mock" and set(by) & {"name", "path"}:
        assert decision.host in ("a.example", "x.b.example")
        assert decision.path in ("/t/x", "/body")


def test_readings_are_for_what_is_kept_here() -> None:
    """Where all is forwarded, a request is what it came as: but for what is recorded of it."""
    assert r.decide(TELEMETRY, request("/t/open/../x"), "observe").rule is not None
    assert r.decide(TELEMETRY, request("/t/open/../x"), "observe").action == "pass"
    spelled = r.decide(TELEMETRY, request("//t/x"), "observe")
    assert (spelled.action, spelled.by) == ("observe", ("path",))


def test_a_body_is_waited_for_in_any_reading() -> None:
    waiting = r.decide(TELEMETRY, request("//body", method="POST", json=r.UNREAD))
    assert waiting.needs_body and waiting.rule is not None and waiting.rule.id == "start"
    other = r.decide(TELEMETRY, request("//body", method="POST", json={"event": "end"}))
    assert other == r.Decision("pass", TELEMETRY.profiles[0])


def test_parameters_may_stand_behind_an_encoded_question_mark() -> None:
    match = r.Match(paths=(r.Path("exact", "/a"),), query=(r.Value("v", "equals", "1"),))
    rules = r.RuleSet((r.Profile("p", "P", (r.Host("a.example"),), (r.Rule("q", "mock", match),)),))
    assert r.decide(rules, request("/a%3fv=1")).by == ("path",)
    assert r.decide(rules, request("/a%3fv=2")).action == "pass"


def test_an_unreadable_body_is_no_reason_to_pass_or_observe() -> None:
    for action in ("pass", "observe"):
        first = r.Rule("b", action, r.Match(body=(r.Value("x", "absent"),)))  # type: ignore[arg-type]
        rules = r.RuleSet((r.Profile("p", "P", (r.Host("a.example"),), (first,)),))
        assert r.decide(rules, request(json=r.UNREADABLE)).rule is None
        assert r.decide(rules, request(json={})).rule == first


def test_a_path_that_nobody_can_tell_is_blocked_where_something_is_kept() -> None:
    odd = "/%" + "25" * 9 + "74/x"
    decision = r.decide(TELEMETRY, request(odd))
    assert (decision.action, decision.rule, decision.by) == ("block", None, ("path",))
    assert r.decide(TELEMETRY, request(odd), "observe").action == "pass"
    assert r.decide(TELEMETRY, request(odd, host="o.test")) == r.PASS


DENYING = r.RuleSet(
    (
        r.Profile(
            id="p",
            title="P",
            hosts=(r.Host("a.example", unmatched="block"), r.Host("b.example")),
            rules=(r.Rule("dl", "pass", r.Match(paths=(r.Path("prefix", "/dl/"),))),),
        ),
    )
)


@pytest.mark.parametrize(
    ("seen", "action"),
    [
        (request("/dl/x"), "pass"),
        (request("/dl/a%2Bb"), "pass"),
        (request("/other"), "block"),
        (request("/dl/../other"), "block"),
        (request("/dl/%2e%2e/other"), "block"),
        (request("/other", host="b.example"), "pass"),
        (request("/other", host="o.test"), "pass"),
        (request("/other", host="o.test", names=("a.example",)), "block"),
        (request("/other", host="b.example", names=("a.example",)), "block"),
    ],
)
def test_a_host_may_block_what_no_rule_takes(seen: r.Seen, action: str) -> None:
    for mode in (None, "observe", "mock"):
        assert r.decide(DENYING, seen, mode).action == action  # type: ignore[arg-type]
    if action == "block":
        assert r.decide(DENYING, seen).profile is DENYING.profiles[0]


def test_where_something_is_kept_here_it_fails_closed() -> None:
    assert TELEMETRY.fails_closed("A.example.", None) and TELEMETRY.fails_closed(
        "x.b.example", None
    )
    assert not TELEMETRY.fails_closed("a.example", "observe")
    assert not TELEMETRY.fails_closed("o.test", None)
    assert DENYING.fails_closed("a.example", "observe")
    assert not DENYING.fails_closed("b.example", None)


def test_a_bundle_of_a_release_without_default_deny_is_read_and_the_reverse() -> None:
    written = r.dump(r.Bundle(DENYING))
    older = written.replace(b',"unmatched":"block"', b"")
    assert older != written
    assert r.load(older).rules.profiles[0].hosts == (r.Host("a.example"), r.Host("b.example"))

    class Host(msgspec.Struct):  # as it was
        name: str
        suffix: bool = False

    assert msgspec.json.decode(b'{"name":"a","unmatched":"block"}', type=Host).name == "a"


@pytest.mark.parametrize("path", ["/", "/%2561%20;/\\x//../%2ex%00/"])
def test_what_carries_more_names_than_can_be_judged_is_kept_here(path: str) -> None:
    made = tuple(
        r.Rule(str(i), "mock", r.Match(paths=(r.Path("regex", "/t.*"),))) for i in range(5)
    )
    rules = r.RuleSet((r.Profile("p", "t", (r.Host("x", suffix=True),), made),))
    seen = r.Seen(method="GET", host="o.test", path=path, names=[f"{i}.x" for i in range(8000)])
    started = time.process_time()
    assert r.decide(rules, seen).action == "block"
    assert r.decide(rules, seen, "observe").action == "pass"
    assert time.process_time() - started < 1
