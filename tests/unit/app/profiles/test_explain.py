"""The explanation agrees with what happens, and judges every rule."""

import pytest
from msgspec.structs import replace

from app.contract.rules import RuleSet, decide
from app.profiles import explain, seen_from_url
from tests.unit.app.profiles.conftest import Compiled


@pytest.fixture
def rules(compiled: Compiled) -> RuleSet:
    profile = compiled("""\
rules:
  - {id: post, match: {methods: [POST], path: /a}, action: block}
  - {id: typed, match: {path: /a, body: {kind: usage}}, action: observe}
  - {id: rest, match: {path: {prefix: /}}, action: mock}
""")
    return RuleSet((profile,), "x")


def test_first_match_takes_it_and_all_rules_are_judged(rules: RuleSet) -> None:
    seen = seen_from_url("https://t.acme.example/a?v=1")
    found = explain(rules, seen)
    assert (found.action, found.profile, found.rule) == ("mock", "acme", "rest")
    post, typed, rest = found.considered
    assert (post.matched, post.part, post.wanted, post.found) == (False, "method", "POST", "GET")
    assert (typed.matched, typed.part, typed.wanted) == (False, "body kind", "equals usage")
    assert rest.matched


def test_body_decides_as_in_the_sidecar(rules: RuleSet) -> None:
    seen = seen_from_url("http://T.acme.example/a", "put", body=b'{"kind":"usage"}')
    assert explain(rules, seen).rule == "typed"
    assert decide(rules, seen).rule == rules.profiles[0].rules[1]
    assert explain(rules, seen_from_url("t.acme.example/a", body=b"no json")).rule == "rest"


def test_mode_replaces_mock_and_the_reason_says_so(rules: RuleSet) -> None:
    found = explain(rules, seen_from_url("t.acme.example/b"), "observe")
    assert found.action == "observe"
    assert "mode observe replaces its mock" in found.reason
    blocked = explain(rules, seen_from_url("t.acme.example/a", "POST"), "observe")
    assert (blocked.action, blocked.reason) == ("block", "rule post matches first")


def test_hosts_that_no_profile_names(rules: RuleSet) -> None:
    found = explain(rules, seen_from_url("https://other.example/a"))
    assert (found.action, found.profile, found.considered) == ("pass", "", [])
    assert "no profile names the host" in found.reason


def test_nothing_matches(compiled: Compiled) -> None:
    profile = compiled("rules: [{id: a, match: {path: /a}, action: mock}]")
    found = explain(RuleSet((profile,)), seen_from_url("t.acme.example/b"))
    assert (found.action, found.profile, found.rule) == ("pass", "acme", "")
    assert "forwarded untouched" in found.reason


def test_seen_from_url_reads_every_part() -> None:
    seen = seen_from_url(
        "https://user@T.acme.example:8443/a%20b?x=1&x=%C3%A4&y=", "post", [("A", "b")]
    )
    assert (seen.method, seen.host, seen.path) == ("POST", "t.acme.example", "/a%20b")
    assert list(seen.query) == [("x", "1"), ("x", "ä"), ("y", "")]
    assert seen_from_url("t.acme.example").path == "/"


@pytest.mark.parametrize("url", ["", "https://", "ftp://a/b", "https://[::1", "/telemetry"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        seen_from_url(url)


def test_the_form_and_the_name_that_decided(compiled: Compiled) -> None:
    rules = RuleSet((compiled("rules: [{id: a, match: {path: {prefix: /a/}}, action: mock}]"),))
    found = explain(rules, seen_from_url("https://t.acme.example/x/%2e%2e/a/b"))
    assert (found.action, found.rule, found.judged_by) == ("mock", "a", "path")
    assert (found.host, found.path) == ("t.acme.example", "/a/b")
    assert found.paths[0] == "/x/%2e%2e/a/b" and "/a/b" in found.paths
    assert found.reason == "rule a matches with the path read as /a/b"
    assert found.considered[0].matched
    named = explain(rules, seen_from_url("t.acme.example/a/", "get", [("Host", "o.test:443")]))
    assert (named.rule, named.judged_by) == ("a", "name")
    assert named.names == ["o.test", "t.acme.example"]
    assert named.reason == "rule a matches by the name t.acme.example"
    spelled = explain(rules, seen_from_url("t.acme.example//a/"), "observe")
    assert (
        spelled.reason == "rule a matches with the path read as /a/; mode observe replaces its mock"
    )


def test_what_nobody_can_tell(compiled: Compiled) -> None:
    text = "rules: [{id: a, match: {path: /a, body: {b: x}}, action: mock}]"
    rules = RuleSet((compiled(text),))
    odd = explain(rules, seen_from_url("t.acme.example/%" + "25" * 9 + "61"))
    assert (odd.action, odd.rule, odd.paths) == ("block", "", [])
    assert odd.reason.startswith("nobody can tell which path this is")
    unread = explain(rules, seen_from_url("t.acme.example/a", "POST", body=b"{"))
    assert (unread.action, unread.judged_by) == ("mock", "body")
    assert unread.reason == "rule a matches because the body cannot be read"
    observed = explain(rules, seen_from_url("t.acme.example/a", "POST", body=b"{"), "observe")
    assert (observed.action, observed.rule) == ("pass", "")
    assert (observed.considered[0].matched, observed.considered[0].part) == (False, "body")


def test_a_host_that_denies(compiled: Compiled) -> None:
    profile = compiled("rules: [{id: a, match: {path: {prefix: /dl/}}, action: pass}]")
    denying = replace(profile, hosts=(replace(profile.hosts[0], unmatched="block"),))
    rules = RuleSet((denying,))
    found = explain(rules, seen_from_url("t.acme.example/x"))
    assert (found.action, found.rule, found.unmatched) == ("block", "", "block")
    assert found.reason == "no rule matches, and the host blocks what no rule takes"
    spelled = explain(rules, seen_from_url("t.acme.example/dl/../x"))
    assert spelled.reason.endswith("blocks what no rule takes (with the path read as /x)")
    assert explain(rules, seen_from_url("t.acme.example/dl/x")).action == "pass"
