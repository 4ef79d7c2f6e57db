"""app/contract/processes.py: what /proc says of processes of our own."""

import os
import socket
import subprocess
import sys

import pytest

from app.contract import processes
from tests.waiting import wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux' /proc")


def test_descendants_are_children_and_theirs_and_only_the_living():
    with subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; exec sleep 60"],
                          stdout=subprocess.PIPE, text=True) as one:  # fmt: skip
        grandchild = int(one.stdout.readline())
        found = processes.descendants(os.getpid())
        assert {one.pid, grandchild} <= set(found)
        assert grandchild not in processes.children(os.getpid())
        assert processes.descendants(one.pid) == [grandchild]
        os.kill(grandchild, 9)
        wait_for(lambda: processes.descendants(one.pid) == [], 5)
        one.kill()
    assert one.pid not in processes.descendants(os.getpid())


def test_a_name_is_the_programs_file_name():
    with subprocess.Popen(["sleep", "60"]) as one:
        wait_for(lambda: processes.name_of(one.pid) == "sleep", 5)
        one.kill()
    assert processes.name_of(one.pid) == ""


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_connection_is_found_by_its_address_and_its_owner_by_the_inode(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with (
        socket.create_server((address, 0), family=family) as server,
        socket.create_connection(server.getsockname()[:2]) as client,
    ):
        own, peer = client.getsockname()[:2], client.getpeername()[:2]
        # By both ends: the kernel gives one local port to several connections, to as many peers.
        (row,) = [row for row in processes.tcp() if (row.own, row.peer) == (own, peer)]
        assert row.state == processes.ESTABLISHED
        assert row.inode in processes.sockets_of(os.getpid())
        at = [row for row in processes.tcp() if row.own == peer]
        (listening,) = [row for row in at if row.state == processes.LISTEN]
        assert listening.inode in processes.sockets_of(os.getpid())


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (socket.inet_aton("192.0.2.7"), "192.0.2.7"),
        (socket.inet_pton(socket.AF_INET6, "2001:db8::7"), "2001:db8::7"),
        (socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.7"), "192.0.2.7"),
    ],
)
def test_an_ipv4_address_within_ipv6_is_itself(raw, text):
    assert processes.plain_address(raw) == text


def test_a_thread_leads_to_its_process():
    assert processes.leader(os.getpid()) == os.getpid()
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert processes.leader(ended.pid) == 0
    assert processes.sockets_of(ended.pid) == set()


def test_unix_names_with_lines_hide_no_other(tmp_path):
    with socket.socket(socket.AF_UNIX) as odd, socket.socket(socket.AF_UNIX) as plain:
        odd.bind(f"{tmp_path}/x\n0 1 2 3 4 5 none z")
        plain.bind(f"{tmp_path}/plain")
        found = dict(processes.unix())
    assert found[f"{tmp_path}/plain"] > 0
    assert "z" not in found
