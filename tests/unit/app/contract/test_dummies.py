"""Ranges for dummy addresses: which can be had, and which addresses are nobody's."""

import re
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract import dummies
from app.contract.dummies import (
    DEFAULT,
    NETWORKS,
    NoRange,
    assign,
    choose,
    is_nobodys,
    parse,
    parse_ports,
    with_ports,
)


def test_the_pool_is_a_value_of_its_own_setting() -> None:
    assert parse(DEFAULT) == NETWORKS
    assert parse("192.0.2.0/24, 100::/64 ,192.0.2.0/24,") == (NETWORKS[0], NETWORKS[4])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", ""),
        ("192.0.2.0/24", ""),
        ("100::/64", ""),
        ("192.0.2.0/24;100::/64", "no network"),
        ("192.0.2.5/24,100::/64", "would be 192.0.2.0/24"),
        ("192.0.2.0,100::/64", "would be 192.0.2.0/32"),
        ("10.0.0.0/25,100::/64", "fewer than 256"),
        ("10.0.0.0/8,fd00::/121", "fewer than 256"),
        ("127.0.0.0/8,100::/64", "cannot be redirected"),
        ("224.1.0.0/16,100::/64", "cannot be redirected"),
        ("169.254.0.0/16,100::/64", "cannot be redirected"),
        ("0.0.0.0/0,100::/64", "cannot be redirected"),
        ("10.0.0.0/8,fe80::/64", "cannot be redirected"),
        ("10.0.0.0/8,::/0", "cannot be redirected"),
        ("8.8.8.0/24,100::/64", "of the Internet"),
        ("198.51.0.0/16,100::/64", "of the Internet"),
        ("10.0.0.0/8,2001:4860::/32", "of the Internet"),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="comma separated, of IPv4 and of IPv6") as e:
        parse(text)
    assert why in str(e.value)


@pytest.mark.parametrize(
    "text", ["10.9.0.0/16,fd00::/64", "100.64.0.0/10,3fff:1::/64", "240.0.0.0/8,2001:db8:9::/48"]
)
def test_a_range_of_somebodys_own_can_be_had(text: str) -> None:
    assert ",".join(map(str, parse(text))) == text


@given(st.sets(st.sampled_from(NETWORKS)))
def test_the_first_free_one_of_each_family_is_chosen(used: set[dummies.Network]) -> None:
    free = [network for network in NETWORKS if network not in used]
    try:
        found = choose(NETWORKS, lambda network: network not in used)
    except NoRange as e:
        assert str(e) in {"IPv4", "IPv6"} - {f"IPv{n.version}" for n in free}
        return
    assert found == tuple(next(n for n in free if n.version == v) for v in (4, 6))


@given(st.integers(1, dummies.MOST_HOSTS), st.permutations(NETWORKS))
def test_every_host_has_an_address_of_each_range(
    number: int, ranges: list[dummies.Network]
) -> None:
    chosen = choose(ranges, lambda _: True)
    found = assign([f"h{n}" for n in range(number)], chosen)
    assert len({address for address, _ in found}) == len(found) == 2 * number
    for address, _ in found:
        assert dummies.range_of(ip_address(address), ranges) in chosen


def test_an_address_of_no_range_of_the_pool_is_its_own() -> None:
    assert dummies.range_of(ip_address("10.9.0.1"), NETWORKS) == ip_network("10.9.0.1/32")
    given = parse("2001:db8:9::/48,10.9.0.0/24")
    assert dummies.range_of(ip_address("10.9.0.1"), given) == given[1]
    assert dummies.range_of(ip_address("2001:db8:9::1"), given) == given[0]
    assert dummies.range_of(ip_address("2001:db8::1"), given) == NETWORKS[5]


@pytest.mark.parametrize("network", NETWORKS)
def test_nobody_has_an_address_of_the_pool(network: dummies.Network) -> None:
    """But in the ranges that private networks do use, unless ours are from them."""
    others, ours = frozenset({"10.9.0.1"}), frozenset({"10.9.0.1", str(network[1])})
    real = {pooled.network for pooled in dummies.POOL if pooled.real}
    for address in map(str, (network[1], network[77], network[-1])):
        assert is_nobodys(address, others) is (network not in real)
        assert is_nobodys(address, ours)
    assert not is_nobodys(str(network[0] - 1), ours)


@pytest.mark.parametrize("name", ["localhost", "", "192.0.2", "192.0.2.0/24"])
def test_a_name_is_no_address(name: str) -> None:
    assert not is_nobodys(name, frozenset())


def test_the_documentation_lists_the_pool() -> None:
    text = (Path(__file__).parents[4] / "docs/concepts/dummy-addresses.md").read_text()
    assert re.findall(r"^\| `(\S+/\d+)` \|", text, re.MULTILINE) == list(map(str, NETWORKS))


def test_ports_of_hosts_are_read_as_they_are_written() -> None:
    ports = {"a.example": (4319, 61833), "b.example": (6514,)}
    text = with_ports(ports)
    assert text == "a.example:4319,a.example:61833,b.example:6514"
    assert parse_ports(text) == ports
    assert parse_ports("A.example.:1") == {"a.example": (1,)}
    assert parse_ports("") == {}


@pytest.mark.parametrize("text", ["a.example", "a:0", "a:70000", ":5", "a:-1", "a::5", "a:x"])
def test_what_names_no_port_of_a_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_ports(text)
