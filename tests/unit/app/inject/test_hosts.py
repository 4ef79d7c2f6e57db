"""Hosts get addresses of both families, by number."""

import ipaddress
from typing import Any

import pytest

from app.contract.dummies import NETWORKS, parse
from app.contract.rules import Host, Profile
from app.inject.hosts import Hosts, aliases, chosen
from app.inject.settings import Redirect

TWO = ("a.example", "b.example")


def profile(*hosts: Host) -> Profile:
    return Profile("p", "", hosts, ())


def test_each_host_once_in_the_profiles_order() -> None:
    found = chosen(
        [profile(Host("b.example"), Host("a.example")), profile(Host("a.example"))], {}, "hosts"
    )
    assert found.named == ("b.example", "a.example")
    assert found.reasons == ()


def test_a_name_that_hosts_files_do_not_take_is_left_out() -> None:
    assert chosen([profile(Host("_dmarc.example"))], {}, "hosts").named == ()


def test_names_below_a_suffix_are_seen_by_all_only() -> None:
    suffix = [profile(Host("a.example"), Host("s.example", suffix=True))]
    assert [r.id for r in chosen(suffix, {}, "loopback").reasons] == ["suffix_host"]
    assert chosen(suffix, {}, "all").reasons == ()


def test_the_pod_s_own_aliases_stay() -> None:
    spec = {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["A.example."]}, {"ip": "10.0.0.2"}]}
    found = chosen([profile(Host("a.example"), Host("b.example"))], spec, "hosts")
    assert found.named == ("b.example",)
    assert [r.id for r in found.reasons] == ["own_host_alias"]


def two(redirect: Redirect, spec: dict[str, Any] | None = None, **more: Any) -> Hosts:
    return chosen([profile(*map(Host, TWO))], spec or {}, redirect, **more)


@pytest.mark.parametrize("redirect", ["hosts", "all"])
def test_each_host_has_an_address_of_both_families(redirect: Redirect) -> None:
    found = two(redirect)
    assert found.addresses == (
        ("192.0.2.1", "a.example"), ("100::1", "a.example"),
        ("192.0.2.2", "b.example"), ("100::2", "b.example"),
    )  # fmt: skip
    assert [(a["ip"], *a["hostnames"]) for a in aliases(found.addresses, redirect)] == [
        *found.addresses
    ]


def test_the_ranges_are_those_that_were_chosen() -> None:
    found = two("hosts", ranges=parse("10.9.0.0/16,fd00:9::/64,100::/64"))
    assert [address for address, _ in found.addresses] == [
        "10.9.0.1", "fd00:9::1", "10.9.0.2", "fd00:9::2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "first"),
    [
        ({"hostAliases": [{"ip": "192.0.2.77", "hostnames": ["db"]}]}, ("198.51.100.1", "100::1")),
        ({"hostAliases": [{"ip": "100::7", "hostnames": ["db"]}]}, ("192.0.2.1", "2001:db8::1")),
        ({"dnsConfig": {"nameservers": ["192.0.2.53", "100::53"]}},
         ("198.51.100.1", "2001:db8::1")),
        ({"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db"]}, {"hostnames": ["x"]}],
          "dnsConfig": {"searches": ["x"]}}, ("192.0.2.1", "100::1")),
    ],
)  # fmt: skip
def test_a_range_that_the_pod_itself_names_is_not_taken(
    spec: dict[str, Any], first: tuple[str, str]
) -> None:
    assert tuple(address for address, _ in two("hosts", spec).addresses[:2]) == first


def test_where_no_range_is_free_the_pod_gets_none_and_a_reason() -> None:
    spec = {"hostAliases": [{"ip": "192.0.2.77", "hostnames": ["db"]}]}
    found = two("hosts", spec, ranges=parse("192.0.2.0/24,100::/64"))
    assert found.addresses == ()
    assert [(r.id, r.skips) for r in found.reasons] == [("no_dummy_range", True)]
    assert "addresses: 192.0.2.0/24; add one that is free to dummyRanges" in (
        found.reasons[0].sentence
    )


@pytest.mark.parametrize("redirect", ["hosts", "loopback"])
def test_the_last_host_has_a_valid_address_of_its_own(redirect: Redirect) -> None:
    many = profile(*(Host(f"h{n}.example") for n in range(260)))
    for ranges in (NETWORKS, NETWORKS[1:]):
        found = chosen([many], {}, redirect, ranges)
        addresses = {ipaddress.ip_address(address) for address, _ in found.addresses}
        assert len(addresses) == len(found.addresses) >= 250
        assert all(a.is_loopback for a in addresses) is (redirect == "loopback")


def test_loopback_has_one_ipv6_address_for_all() -> None:
    assert aliases(two("loopback").addresses, "loopback") == [
        {"ip": "127.0.0.2", "hostnames": ["a.example"]},
        {"ip": "127.0.0.3", "hostnames": ["b.example"]},
        {"ip": "::1", "hostnames": ["a.example", "b.example"]},
    ]


def test_loopback_takes_no_address_that_the_pod_itself_names() -> None:
    spec = {"hostAliases": [{"ip": f"127.0.0.{n}", "hostnames": ["db"]} for n in (2, 4)]}
    found = two("loopback", spec)
    assert found.addresses == (("127.0.0.3", "a.example"), ("127.0.0.5", "b.example"))


def test_a_host_s_own_ports_come_with_it() -> None:
    here = profile(Host("a.example", ports=(61833,)), Host("b.example"))
    other = profile(Host("a.example", ports=(4319,)), Host("s.example", suffix=True, ports=(1,)))
    found = chosen([here, other], {}, "hosts")
    assert found.ports == {"a.example": (4319, 61833)}
    assert [r.id for r in found.reasons] == ["suffix_host"]
    assert [r.id for r in chosen([here, other], {}, "all").reasons] == ["suffix_ports"]
    assert chosen([here], {}, "loopback").ports == {"a.example": (61833,)}
