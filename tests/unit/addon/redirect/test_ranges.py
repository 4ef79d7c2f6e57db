"""addon/redirect/ranges.py: which ranges can be had here, and the sentence where they cannot.

Networks of all kinds are in tests/integration/test_dummies.py."""

import pytest

from tests import netns

PRELUDE = """
import sys
from addon.redirect import ranges
from addon.redirect.__main__ import parse
from addon.redirect.tool import RedirectError
from app.contract.dummies import NETWORKS, parse as parse_ranges
def said(do, *given):
    try:
        return do(*given)
    except RedirectError as e:
        return e
"""
NETWORK = (
    "link add eth0 type veth peer name end",
    "link set eth0 up",
    "addr add 192.0.2.2/24 dev eth0",
    "addr add 10.9.0.2/24 dev eth0",
    "-6 addr add 100::2/64 dev eth0 nodad",
)


def run(script: str) -> str:
    netns.require()
    return netns.run(PRELUDE + script, network=NETWORK)


@pytest.mark.root
def test_the_first_free_ranges_are_chosen() -> None:
    out = run('print(said(ranges.choose, ["a.test", "b.test"], NETWORKS))')
    assert out.strip() == (
        "198.51.100.1=a.test,2001:db8::1=a.test,198.51.100.2=b.test,2001:db8::2=b.test"
    )


@pytest.mark.root
def test_without_a_free_one_it_says_so_of_that_family() -> None:
    out = run('print(said(ranges.choose, ["a.test"], NETWORKS[:5]))')
    assert "no range of IPv6 for dummy addresses is free on this machine:\n  100::/64: the" in out
    assert "192.0.2.0/24" not in out


@pytest.mark.root
@pytest.mark.parametrize(
    ("hosts", "whose"),
    [
        ("198.51.100.1=a.test,2001:db8::1=a.test", ""),
        ("10.8.0.1=a.test,fd08::1=a.test", ""),
        ("192.0.2.1=a.test,2001:db8::1=a.test", "the range 192.0.2.0/24 of dummy addresses"),
        ("198.51.100.1=a.test,100::1=a.test", "the range 100::/64 of dummy addresses"),
        ("10.8.0.1=a.test,10.9.0.77=b.test", "the range 10.9.0.77/32 of dummy addresses"),
        ("10.8.0.1=a.test,10.10.0.7=b.test", "the range 10.8.0.0/14 of dummy addresses"),
    ],
)
def test_given_addresses_are_checked(hosts: str, whose: str) -> None:
    own = ", parse_ranges('10.8.0.0/14,fd08::/64')" if "10.10" in hosts else ", NETWORKS"
    out = run(f'print(said(ranges.check, parse("{hosts}"){own}))').strip()
    if not whose:
        assert out == "None"
        return
    assert out.startswith(f"{whose} collides with what is in use here: the address ")
    free = out.partition("that are free here (")[2].removeprefix("fd08::/64, ")
    assert free.startswith("198.51.100.0/24, 203.0.113.0/24, 198.18.0.0/15, 2001:db8::/32, ")


@pytest.mark.root
def test_nobody_is_in_a_free_range_where_no_dummy_comes_to_lie() -> None:
    assert run("print(ranges.nobody(4), ranges.nobody(6))").split() == [
        "198.51.100.254",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe",
    ]
