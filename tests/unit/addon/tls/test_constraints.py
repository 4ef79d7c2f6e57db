import pytest

from addon.tls import constraints as module
from addon.tls.constraints import NOBODYS, Constraints, constraints, hosts_of
from app.contract.rules import Host, Profile, RuleSet

HOSTS = ("cdn.cribl.io", ".acme.test")


@pytest.mark.parametrize(
    ("name", "permitted"),
    [
        ("cdn.cribl.io", True), ("CDN.cribl.io.", True), ("x.cdn.cribl.io", True),
        ("cribl.io", False), ("xcdn.cribl.io", False), ("cdn.cribl.io.evil.test", False),
        ("acme.test", True), ("a.b.acme.test", True), ("", False),
        ("192.0.2.1", True), ("127.0.0.2", True), ("::1", True), ("100::1", True),
        ("::ffff:192.0.2.1", False), ("151.101.1.1", False), ("2606:4700::1", False),
        ("10.0.0.1", False), ("198.19.255.255", False), ("198.20.0.0", False),
    ],
)  # fmt: skip
def test_what_is_permitted(name: str, permitted: bool) -> None:
    assert constraints(HOSTS).permits(name) is permitted


def test_without_a_host_no_name_is_permitted() -> None:
    nothing = constraints(())
    assert not nothing.permits("telemock.io") and nothing.permits("127.0.0.1")
    names = [n.value for n in nothing.extension().permitted_subtrees or []]
    assert names[0] == module._NO_HOST  # an empty list would permit all of them


def test_addresses_that_lead_here_are_permitted_wherever_they_are_from() -> None:
    own = constraints(HOSTS, ["192.0.2.1", "10.9.8.7", "fd00::7"])
    assert own.permits("10.9.8.7") and own.permits("fd00::7") and not own.permits("10.9.8.8")
    assert len(own.networks) == len(NOBODYS) + 2


def test_one_covers_another_that_asks_for_no_more() -> None:
    wide = constraints(HOSTS, ["10.9.8.7"])
    assert wide.covers(wide) and wide.covers(constraints(["cdn.cribl.io"]))
    assert wide.covers(constraints(["x.acme.test"], ["198.51.100.7"]))
    assert not wide.covers(constraints(["cribl.io"]))
    assert not wide.covers(constraints(["cdn.cribl.io"], ["10.9.8.8"]))
    assert not Constraints(wide.hosts, NOBODYS[:3]).covers(wide)


def test_hosts_of_profiles() -> None:
    hosts = (Host("CDN.cribl.io"), Host("acme.test", suffix=True))
    rules = RuleSet((Profile(id="a", title="a", hosts=hosts, rules=()),))
    assert hosts_of(rules) == {"cdn.cribl.io", "acme.test"}
