"""addon/redirect/used.py: all of a network that lies in a range is found, nothing else."""

import json
import shutil

import pytest

from tests import netns

WIRE = (
    "link add eth0 type veth peer name end",
    "link set eth0 up",
    "link set end up",
    "addr add 10.0.0.2/24 dev eth0",
    "-6 addr add fd00::2/64 dev eth0 nodad",
)
SCRIPT = """
import json, sys
from addon.redirect import used
from app.contract.dummies import NETWORKS
found = used.uses([("192.0.2.1", "cdn.cribl.io"), ("100::1", "cdn.cribl.io")])
print(json.dumps({str(n): c for n in NETWORKS if (c := used.colliding(n, found))}))
"""
V4, OTHER, BENCH = "192.0.2.0/24", "198.51.100.0/24", "198.18.0.0/15"
V6, DOC, BENCH6 = "100::/64", "2001:db8::/32", "2001:2::/48"


def collisions(*network: str, **more):
    netns.require()
    out = netns.run(SCRIPT, network=(*WIRE, *network), files=more.get("files"))
    return json.loads(out)


@pytest.mark.root
@pytest.mark.parametrize(
    ("network", "expected", "sentence"),
    [
        ((), [], ""),
        (("addr add 192.0.2.2/24 dev eth0",), [V4], "the address 192.0.2.2 of eth0"),
        (("addr add 192.0.2.2/24 dev eth0 noprefixroute",), [V4], "192.0.2.2"),
        (("addr add 192.0.2.2/16 dev eth0",), [V4], "the route 192.0.0.0/16 dev eth0"),
        (("addr add 192.0.2.200/32 dev lo",), [V4], "the address 192.0.2.200 of lo"),
        (("addr add 10.0.0.9 peer 203.0.113.9 dev eth0",), ["203.0.113.0/24"], "10.0.0.9 of eth0"),
        (("-6 addr add 2001:db8:77::2/64 dev eth0 nodad",), [DOC], "2001:db8:77::2 of eth0"),
        (("-6 addr add 100::99/128 dev eth0 nodad",), [V6], "the address 100::99"),
        (("-6 addr add 2001:2::1/48 dev eth0 nodad",), [BENCH6], "2001:2::1"),
        (("route add 198.51.100.128/25 dev eth0",), [OTHER], "198.51.100.128/25 dev eth0"),
        (("route add 192.0.0.0/8 via 10.0.0.1",), [V4], "the route 192.0.0.0/8 via 10.0.0.1"),
        (("route add blackhole 198.18.0.0/16",), [BENCH], "the route blackhole 198.18.0.0/16"),
        (("route add default via 10.0.0.1",), [], ""),
        (("route add 128.0.0.0/1 via 10.0.0.1", "route add 0.0.0.0/1 via 10.0.0.1"), [], ""),
        (("-6 route add 2000::/3 via fd00::1", "-6 route add default via fd00::1"), [], ""),
        (("-6 route add 2001::/16 via fd00::1",), [DOC, BENCH6], "2001::/16 via fd00::1"),
        (
            ("route add 192.0.2.1 dev eth0", "route add default via 192.0.2.1"),
            [V4],
            "the route default via 192.0.2.1",
        ),
        (("route add default via 192.0.2.1 dev eth0 onlink",), [V4], "default via 192.0.2.1"),
        (("route add default via 10.0.0.1 dev eth0 table 77",), [], ""),
        (("route add 192.0.2.0/25 dev eth0 table 77",), [V4], "dev eth0 table 77"),
        (
            (
                "route add 10.1.0.0/16 nexthop via 10.0.0.1 dev eth0 nexthop via 203.0.113.1"
                " dev eth0 onlink",
            ),
            ["203.0.113.0/24"],
            "the route 10.1.0.0/16",
        ),
        (("route add 10.1.0.0/16 via inet6 2001:db8::7 dev eth0 onlink",), [DOC], "10.1.0.0/16"),
        (("rule add from 192.0.2.0/24 table 77",), [V4], "the policy rule"),
        (("rule add to 198.51.100.7 table 77",), [OTHER], "the policy rule"),
        (("-6 rule add to 3fff::/24 table 77",), ["3fff::/20"], "the policy rule"),
        (("rule add fwmark 7 table 77",), [], ""),
        (
            ("neigh add 192.0.2.9 lladdr 02:00:00:00:00:01 dev eth0",),
            [V4],
            "the neighbour 192.0.2.9 on eth0",
        ),
        (("neigh add proxy 192.0.2.9 dev eth0",), [V4], "the neighbour 192.0.2.9"),
        (
            ("link add tun type vxlan id 5 remote 198.18.0.9 dstport 4789 dev eth0",),
            [BENCH],
            "an end of the tunnel tun",
        ),
        # Ours.
        (
            (
                "route add local 192.0.2.1 dev lo proto 116",
                "-6 route add local 100::1 dev lo proto 116",
            ),
            [],
            "",
        ),
        (("route add local 192.0.2.1 dev lo",), [V4], "the route local 192.0.2.1 dev lo"),
    ],
)
def test_what_the_kernel_has_collides(network, expected, sentence):
    found = collisions(*network)
    assert list(found) == expected
    assert not expected or any(sentence in what for what in found[expected[0]])


@pytest.mark.root
@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("/etc/resolv.conf", "# nameserver 192.0.2.1\nnameserver 10.0.0.53\n", []),
        ("/etc/resolv.conf", "search x\nnameserver 192.0.2.53 # ours\n", [V4]),
        ("/etc/resolv.conf", "nameserver fe80::1%eth0\nnameserver 2001:db8::53%eth0\n", [DOC]),
        ("/etc/hosts", "127.0.0.1 localhost\n198.51.100.7 db.corp\n", [OTHER]),
        ("/etc/hosts", "#198.51.100.7 db.corp\n198.51.100.7\nfe80::1%lo0 x\n", []),
        ("/etc/hosts", "192.0.2.1 CDN.cribl.io\n100:0::1\tcdn.cribl.io.\n", []),
        ("/etc/hosts", "192.0.2.1 cdn.cribl.io other.corp\n", [V4]),
        ("/etc/hosts", "192.0.2.2 cdn.cribl.io\n", [V4]),
        ("/etc/hosts", "\xff\xfe garbage\n100::9 x", [V6]),
    ],
)
def test_what_files_name_collides(path, text, expected):
    found = collisions(files={path: text})
    assert list(found) == expected
    assert all(path in what for them in found.values() for what in them)


@pytest.mark.root
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("HTTPS_PROXY", "http://u:p@192.0.2.8:3128", [V4]),
        ("KUBERNETES_SERVICE_HOST", "198.18.0.1", [BENCH]),
        ("KUBERNETES_PORT", "tcp://198.18.0.1:443", [BENCH]),
        ("SSH_CONNECTION", "198.51.100.4 5555 10.0.0.2 22", [OTHER]),
        ("NO_PROXY", "localhost,10.0.0.0/8,2001:db8::/32,.corp", [DOC]),
        ("no_proxy", "0.0.0.0/0", []),
        ("X", "http://[bad, 192.0.2, 1.2.3", []),
        ("TELEMOCK_DUMMY_RANGES", V4, []),
    ],
)
def test_what_the_environment_points_to_collides(name, value, expected, monkeypatch):
    monkeypatch.setitem(netns._ENVIRONMENT, name, value)
    found = collisions()
    assert list(found) == expected
    assert all(them == [f"the variable {name}"] for them in found.values())


PEERS = """
import socket
held = []
for address, mapped in (
    ("192.0.2.1", ""), ("198.51.100.7", ""), ("203.0.113.7", "::ffff:"), ("2001:db8::7", "")
):
    there = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else 2)
    to = (mapped + address, there.getsockname()[1])
    source = (mapped + "127.0.0.1", 0) if mapped else None
    held += [there, socket.create_connection(to, 5, source), there.accept()[0]]
"""


@pytest.mark.root
def test_whom_somebody_talks_to_collides_unless_it_is_ours():
    netns.require()
    out = netns.run(
        PEERS + SCRIPT,
        network=[
            "route add local 192.0.2.1 dev lo proto 116",
            "route add local 198.51.100.0/24 dev lo",
            "route add local 203.0.113.7 dev lo",
            "-6 addr add 2001:db8::7/128 dev lo nodad",
        ],
    )
    found = json.loads(out)
    assert list(found) == [OTHER, "203.0.113.0/24", DOC]
    for network, address in zip(found, ("198.51.100.7", "203.0.113.7", "2001:db8::7"), strict=True):
        assert f"the open connection to {address}" in found[network]


@pytest.mark.root
def test_where_links_are_not_told_of_in_detail_their_addresses_still_count(tmp_path, monkeypatch):
    """Older versions of iproute2 write no JSON for some kinds of links."""
    netns.require()
    real = shutil.which("ip", path=netns.PATH)
    (tmp_path / "ip").write_text(
        f'#!/bin/sh\n[ "$2" != -d ] || {{ echo broken; exit; }}\nexec {real} "$@"\n'
    )
    (tmp_path / "ip").chmod(0o755)
    monkeypatch.setitem(netns._ENVIRONMENT, "PATH", f"{tmp_path}:{netns.PATH}")
    assert list(collisions("addr add 192.0.2.2/32 dev eth0")) == [V4]
