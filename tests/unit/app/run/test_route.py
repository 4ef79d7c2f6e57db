"""app/run/route.py: the kernel's own word on the way to an address."""

import socket

import pytest

from app.run import route
from tests import netns

LOCAL = ("127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::")


@pytest.mark.parametrize("address", LOCAL)
def test_addresses_of_this_machine(address):
    assert route.is_local(address)


SCRIPT = """
import socket, subprocess
from app.run import route
print(route.source("203.0.114.9"), route.is_local("203.0.114.9"))
for words in ("link add eth0 type veth peer name end", "link set eth0 up", "link set end up",
              "addr add 10.0.0.2/24 dev eth0", "route add default via 10.0.0.1",
              "route add local 198.51.100.0/24 dev lo"):
    subprocess.run(["ip", *words.split()], check=True)
print(route.source("203.0.114.9"), route.is_local("203.0.114.9"), route.is_local("10.0.0.2"))
print(route.is_local("198.51.100.7"))
# Here any address may be bound.
open("/proc/sys/net/ipv4/ip_nonlocal_bind", "w").write("1")
print(route.is_local("203.0.114.9"))
plain, marked = socket.socket(), socket.socket()
marked.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 5)
named = socket.socket()
named.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
print(*map(route.is_bound, (plain, marked, named)))
"""


@pytest.mark.root
def test_an_address_is_local_by_its_route_and_not_by_what_may_be_bound():
    netns.require()
    assert netns.run(SCRIPT).splitlines() == [
        "None False", "10.0.0.2 False True", "True", "False", "False True True",
    ]  # fmt: skip


def test_a_socket_without_options_of_its_own_is_not_bound():
    with socket.socket(socket.AF_UNIX) as sock:
        assert not route.is_bound(sock)


def test_an_interface_that_is_gone_lets_nothing_out(monkeypatch, tmp_path):
    gone, there = tmp_path / "veth0", tmp_path / "eth0"
    gone.mkdir()
    (gone / "route_localnet").symlink_to(tmp_path / "none")
    monkeypatch.setattr(route, "_INTERFACES", tmp_path)
    assert not route.may_lead_on("127.0.0.1")
    there.mkdir()
    (there / "route_localnet").write_text("1\n")
    assert route.may_lead_on("127.0.0.1")
