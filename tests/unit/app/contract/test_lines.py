"""app/contract/lines.py: the rule that takes lines, and the ports on which there are any."""

from app.contract import rules as r
from app.contract.lines import of_lines


def lines_at(port: int, *hosts: str, mode: r.Mode | None = None) -> r.Decision | None:
    named = r.Host("kong.example", ports=(61833,))
    rules = (
        r.Rule("page", "mock", r.Match(paths=(r.Path("exact", "/"),))),
        r.Rule("elsewhere", "mock", r.Match(hosts=(r.Host("other.example"),))),
        r.Rule("ping", "mock", r.Match(hosts=(r.Host("kong.example"),))),
        r.Rule("rest", "pass"),
    )
    plain = r.Profile("plain", "", (r.Host("kong.example"),), (r.Rule("all", "block"),))
    known = r.RuleSet((plain, r.Profile("kong", "", (named, r.Host("other.example")), rules)))
    return of_lines(known, hosts, port, mode)


def test_lines_are_taken_by_the_first_rule_without_conditions_on_the_host_s_own_ports() -> None:
    found = lines_at(61833, "kong.example")
    assert found is not None and (found.action, found.name, found.host) == (
        "mock", "kong/ping", "kong.example",
    )  # fmt: skip
    observed = lines_at(61833, "x", "kong.example", mode="observe")
    assert observed is not None and observed.action == "observe"
    assert lines_at(443, "kong.example") is None
    assert lines_at(61833, "other.example") is None
    assert lines_at(61833, "unknown.example") is None


def test_of_several_names_the_rule_that_keeps_lines_here_goes_first() -> None:
    kept = r.Profile("kept", "", (r.Host("b.example", ports=(1,)),), (r.Rule("all", "block"),))
    seen = r.Profile("seen", "", (r.Host("a.example", ports=(1,)),), (r.Rule("all", "observe"),))
    found = of_lines(r.RuleSet((seen, kept)), ("a.example", "b.example"), 1, None)
    assert found is not None and found.name == "kept/all"


def test_ports_are_a_host_s_of_all_profiles() -> None:
    rules = r.RuleSet((
        r.Profile("a", "", (r.Host("x.example", suffix=True, ports=(1, 2)),), ()),
        r.Profile("b", "", (r.Host("a.x.example", ports=(3,)),), ()),
    ))  # fmt: skip
    assert rules.ports_of("A.x.example.") == {1, 2, 3}
    assert rules.ports_of("x.example") == frozenset()
    assert rules.ports == {1, 2, 3}
