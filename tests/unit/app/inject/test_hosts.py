"""Hosts get addresses of both families, by number."""

import ipaddress

import pytest

from app.contract.rules import Host, Profile
from app.inject.hosts import aliases, chosen, dummies, loopbacks, mapped

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


def test_dummies_are_never_assigned_anywhere() -> None:
    found = dummies(TWO)
    assert found == [
        ("192.0.2.1", "a.example"), ("100::1", "a.example"),
        ("192.0.2.2", "b.example"), ("100::2", "b.example"),
    ]  # fmt: skip
    assert mapped(found[:2]) == "192.0.2.1=a.example,100::1=a.example"


@pytest.mark.parametrize("make", [dummies, loopbacks])
def test_the_last_host_has_a_valid_address_of_its_own(make: type) -> None:
    found = make([f"h{n}.example" for n in range(250)])
    addresses = {ipaddress.ip_address(address) for address, _ in found}
    assert len(addresses) == len(found)
    assert all(a.is_loopback for a in addresses) is (make is loopbacks)


@pytest.mark.parametrize("redirect", ["hosts", "all"])
def test_aliases_are_of_both_families(redirect: str) -> None:
    found = aliases(TWO, redirect)  # type: ignore[arg-type]
    assert [(a["ip"], a["hostnames"]) for a in found] == [
        ("192.0.2.1", ["a.example"]), ("100::1", ["a.example"]),
        ("192.0.2.2", ["b.example"]), ("100::2", ["b.example"]),
    ]  # fmt: skip


def test_loopback_has_one_ipv6_address_for_all() -> None:
    assert aliases(TWO, "loopback") == [
        {"ip": "127.0.0.2", "hostnames": ["a.example"]},
        {"ip": "127.0.0.3", "hostnames": ["b.example"]},
        {"ip": "::1", "hostnames": ["a.example", "b.example"]},
    ]
