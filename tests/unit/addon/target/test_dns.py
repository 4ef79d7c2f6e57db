"""addon/target/dns.py: where a host is connected to, and which destinations are refused."""

import contextlib
import socket

import pytest

from addon.target.dns import Destinations, NotConnected, has_route, is_local
from app.contract.hosts import is_address
from tests import netns

HOSTS = {"192.0.2.1": "cdn.cribl.io", "100::1": "cdn.cribl.io", "127.0.0.9": "cdn.cribl.io"}


def names(own: tuple[tuple[str, int], ...] = ()) -> Destinations:
    return Destinations({}, HOSTS, lambda: own)


async def test_resolve_comes_first() -> None:
    found = Destinations({("cdn.cribl.io", 443): ("127.0.0.1", 8443)}, HOSTS, lambda: ())
    assert await found.find("CDN.cribl.io.", 443, past_hosts_file=True) == ("127.0.0.1", 8443)
    assert await found.find("127.0.0.1", 443, past_hosts_file=True) == ("127.0.0.1", 443)


async def test_another_name_is_left_to_the_system() -> None:
    assert await names().find("localhost", 443, past_hosts_file=False) == ("localhost", 443)


async def test_the_hosts_file_is_not_asked_for_a_telemetry_host() -> None:
    """`localhost` stands in /etc/hosts everywhere, and DNS either does not know it or says the
    same; a name that only the file knows must not be found."""
    with pytest.raises(NotConnected) as e:
        await names().find(socket.gethostname() + ".invalid", 443, past_hosts_file=True)
    assert e.value.reason == "upstream_unreachable"


@pytest.mark.parametrize("address", [*HOSTS, "100::abcd"])
async def test_dummy_addresses_are_refused(address: str) -> None:
    with pytest.raises(NotConnected) as e:
        await names().find(address, 443, past_hosts_file=False)
    assert e.value.reason == "loop"


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        (("1.2.3.4", 443), True),
        (("2606::1", 443), True),
        (("192.0.2.1", 443), False),
        (("100::abcd", 443), False),
        (("127.0.0.9", 443), False),
        (("1.2.3.9", 443), False),
        (("1.2.3.4", 8080), False),
    ],
)
def test_simple_is_what_is_neither_refused_nor_led_elsewhere(
    destination: tuple[str, int], expected: bool
) -> None:
    resolve = {("1.2.3.9", 443): ("127.0.0.1", 1)}
    found = Destinations(resolve, HOSTS, lambda: [("127.0.0.1", 8080)])
    assert found.simple(destination) is expected


def test_dummy_addresses_name_their_host() -> None:
    assert names().stands_for(("100::1", 443)) == "cdn.cribl.io"
    assert names().stands_for(("192.0.2.2", 443)) == ""
    shared = Destinations({}, HOSTS, tuple, {("::1", 61833): "kong.test"})
    assert shared.stands_for(("::1", 61833)) == "kong.test"
    assert shared.stands_for(("::1", 443)) == shared.stands_for(("::2", 61833)) == ""


@pytest.mark.parametrize(
    ("own", "host"),
    [
        (("127.0.0.1", 8080), "127.0.0.1"),
        (("0.0.0.0", 8080), "127.0.0.1"),
        (("0.0.0.0", 8080), "127.1.2.3"),
        (("0.0.0.0", 8080), "localhost"),
        (("::1", 8080), "::1"),
        (("127.0.0.1", 8080), "localhost"),
    ],
)
async def test_own_listeners_are_refused(own: tuple[str, int], host: str) -> None:
    with pytest.raises(NotConnected) as e:
        await names((own,)).find(host, 8080, past_hosts_file=False)
    assert e.value.reason == "loop"
    assert await names((own,)).find(host, 8081, past_hosts_file=False) == (host, 8081)


async def test_a_foreign_address_with_our_port_is_fine() -> None:
    found = await names((("127.0.0.1", 8080),)).find("1.2.3.4", 8080, past_hosts_file=False)
    assert found == ("1.2.3.4", 8080)


IS_DUMMY = """
import sys
from addon.target.dns import Destinations, has_own_route
names = Destinations({}, {sys.argv[1]: "cdn.cribl.io"}, lambda: ())
for address in sys.argv[2:]:
    print(address, names.is_dummy(address), names.simple((address, 443)), has_own_route(address))
"""


@pytest.mark.root
def test_a_network_of_the_machines_own_is_no_place_of_dummies() -> None:
    """Its addresses are relayed as all others; those of other ranges still lead nowhere."""
    netns.require()
    out = netns.run(
        IS_DUMMY, "198.51.100.1", "192.0.2.1", "192.0.2.200", "198.51.100.1", "198.51.100.200",
        "203.0.113.1", "198.18.0.1", "2001:db8::1", "2001:db8:1::1", "2001:2::1", "100::1",
        network=[
            "link add eth0 type veth peer name end", "link set eth0 up", "link set end up",
            "addr add 192.0.2.2/24 dev eth0", "route add default via 192.0.2.1",
            "-6 addr add 2001:db8::2/64 dev eth0 nodad",
            "-6 route add default via 2001:db8::ffff",
        ],
    ).splitlines()  # fmt: skip
    assert out == [
        "192.0.2.1 False True True",
        "192.0.2.200 False True True",
        "198.51.100.1 True False False",
        "198.51.100.200 True False False",
        "203.0.113.1 True False False",
        "198.18.0.1 False True False",  # a private network behind the gateway may have it
        "2001:db8::1 False True True",
        "2001:db8:1::1 True False False",
        "2001:2::1 False True False",
        "100::1 True False False",
    ]


@pytest.mark.root
def test_without_any_route_an_address_of_the_pool_is_nobodys() -> None:
    netns.require()
    out = netns.run(IS_DUMMY, "198.18.0.1", "198.18.0.9", "192.0.2.1", "100::1").splitlines()
    assert out == [f"{a} True False False" for a in ("198.18.0.9", "192.0.2.1", "100::1")]


class Server:
    """A resolver that knows these addresses of every name."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    async def lookup_ip(self, host: str) -> list[str]:
        self.asked.append(host)
        if not self.addresses:
            raise OSError("no such name")
        return list(self.addresses)


NO_ROUTE = "fe80::1"  # a link's address without the link


def resolving(
    *addresses: str, own: tuple[tuple[str, int], ...] = ()
) -> tuple[Destinations, Server]:
    found, server = names(own), Server(*addresses)
    found._resolver = server  # type: ignore[assignment]
    return found, server


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        ((NO_ROUTE, "127.0.0.8", "127.0.0.7"), "127.0.0.8"),
        (("127.0.0.8", NO_ROUTE), "127.0.0.8"),
        ((NO_ROUTE, "fe80::2"), NO_ROUTE),  # the connection fails, and says so
        (("192.0.2.1", "100::1", "127.0.0.8"), "127.0.0.8"),
        (("100::1", NO_ROUTE, "127.0.0.8"), "127.0.0.8"),
    ],
)
async def test_an_address_that_leads_somewhere_is_chosen(
    addresses: tuple[str, ...], expected: str
) -> None:
    found, server = resolving(*addresses)
    for past, host in ((True, "vendor.example"), (False, "cdn.cribl.io")):
        assert await found.find(host, 443, past_hosts_file=past) == (expected, 443)
    assert server.asked == ["vendor.example", "cdn.cribl.io"]


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        ((), "upstream_unreachable"),
        (("192.0.2.1", "100::7"), "loop"),
        (("127.0.0.1",), "loop"),
        (("127.0.0.5",), "loop"),
    ],
)
async def test_a_name_that_leads_nowhere_or_here_is_refused(
    addresses: tuple[str, ...], reason: str
) -> None:
    found, _ = resolving(*addresses, own=(("127.0.0.1", 8080),))
    with pytest.raises(NotConnected) as e:
        await found.find("vendor.example", 8080, past_hosts_file=True)
    assert e.value.reason == reason
    assert str(e.value)


def test_what_the_kernel_says() -> None:
    assert is_local("127.0.0.1") and not is_local("1.2.3.4")
    assert has_route("127.0.0.1") and not has_route(NO_ROUTE)
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        assert is_local("::1") and has_route("::1")
    assert is_address("::1") and not is_address("localhost")
