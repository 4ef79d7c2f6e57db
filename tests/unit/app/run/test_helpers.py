"""app/run/helpers.py: which Unix sockets are the system's own, and who gets a datagram."""

import os
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from app.contract.processes import Socket
from app.run import helpers

# ruff: noqa: S108
SERVICES = (
    "/dev/log", "/run/systemd/journal/stdout", "/run/nscd/socket", "/var/run/nscd/socket",
    "/run/systemd/resolve/io.systemd.Resolve", "/tmp/.X11-unix/X0", "@/tmp/.X11-unix/X0",
    "/run/user/1000/wayland-0", "/run/user/1000/pulse/native", "/run/dbus/system_bus_socket",
    "/var/run/dbus/system_bus_socket", "/run/user/1000/bus", "/run/user/1/gnupg/S.gpg-agent",
    "/tmp/ssh-XXXX/agent.12",
)  # fmt: skip
OTHERS = (
    "/run/docker.sock",
    "/run/systemd/private",
    "/run/user/1000/systemd/private",
    "/run/x.sock",
    "/tmp/dev/log",
    "/var/run/datadog/dsd.socket",
    "@log",
    "/run/user/1000/gnupg/S.dirmngr",
    "/home/a/run/dbus/system_bus_socket",
    "/run/user/1000/bus/x",
)


@pytest.mark.parametrize("name", SERVICES)
def test_the_systems_own(name):
    assert helpers.is_service(name)


@pytest.mark.parametrize("name", OTHERS)
def test_others(name):
    assert not helpers.is_service(name)


def test_the_users_agent(monkeypatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", "/home/a/agent")
    assert helpers.is_service("/home/a/agent")


def row(address: str, port: int, inode: int) -> Socket:
    return Socket((address, port), ("0.0.0.0", 0), 10, inode)


@pytest.mark.parametrize(
    ("to", "inodes"),
    [("127.0.0.1", {1}), ("10.0.0.2", {2, 3}), ("::1", {2, 3}), ("0.0.0.0", {1, 2, 3})],
)
def test_the_most_exact_listener_serves(to, inodes):
    rows = [row("127.0.0.1", 80, 1), row("0.0.0.0", 80, 2), row("::", 80, 3),
            row("127.0.0.1", 81, 4), row("127.0.0.1", 80, 0)]  # fmt: skip
    assert helpers.serving(rows, (to, 80)) == inodes


def test_to_no_address_goes_to_whoever_has_the_port():
    assert helpers.serving([row("127.0.0.1", 80, 1)], ("0.0.0.0", 80)) == {1}
    assert helpers.serving([row("127.0.0.1", 80, 1)], ("127.0.0.2", 80)) == set()


def test_a_path_is_ours_where_it_is_the_same_file(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        raw = struct.pack("=H", socket.AF_UNIX) + bytes(tmp_path / "s") + b"\0"
        assert helpers.whole_name(raw, str(tmp_path / "s"), os.getpid()) == str(tmp_path / "s")
        other = helpers.whole_name(raw, str(tmp_path / "another"), os.getpid())
    assert other == f"{tmp_path / 'another'} of its own root"
    assert helpers.whole_name(b"\1\0\0x", "@x", os.getpid()) == "@x"


def test_a_name_is_meant_as_its_process_has_it():
    assert helpers.name_in("x.sock", os.getpid()) == f"{Path.cwd()}/x.sock"
    assert helpers.name_in("@x", os.getpid()) == "@x"
    assert helpers.name_in("x", 2**22 + 1) == "x"


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_socket_is_reached_as_its_process_reaches_it(tmp_path, kind):
    """Its links, too: they begin at the root that it has."""
    with socket.socket(socket.AF_UNIX, kind) as server:
        server.bind(f"{tmp_path}/s")
        if kind == socket.SOCK_STREAM:
            server.listen()
        (tmp_path / "link").symlink_to(tmp_path / "s")
        for name in (f"{tmp_path}/s", f"{tmp_path}/link", os.path.relpath(tmp_path / "link")):
            with (
                socket.socket(socket.AF_UNIX, kind) as probe,
                helpers.reached(b"\1\0" + os.fsencode(name) + b"\0rest", os.getpid()) as place,
            ):
                probe.connect(place)
                assert helpers.bound_name(probe) == f"{tmp_path}/s"
    with pytest.raises(FileNotFoundError), helpers.reached(b"\1\0/no/such", os.getpid()):
        pass
    with helpers.reached(b"\1\0\0a\0\xff", 1) as place:
        assert place == b"\0a\0\xff"


def test_who_serves_every_address_gets_it_once_the_others_are_gone():
    rows = [
        Socket(("127.0.0.1", 7), ("", 0), 7, 1),
        Socket(("0.0.0.0", 7), ("", 0), 7, 2),
    ]
    assert helpers.serving(rows, ("127.0.0.1", 7)) == {1}
    assert helpers.serving(rows, ("127.0.0.1", 7), shared=True) == {1, 2}


def test_who_listens_is_known_of_streams_alone():
    a, b = socket.socketpair()
    with a, b, socket.socket() as other:
        assert helpers.who_listens(a) == os.getpid()
        assert helpers.who_listens(other) == 0


def test_our_children_alone_are_the_commands_own():
    own = helpers.Own()
    with socket.socket() as mine:
        assert not own.has({os.fstat(mine.fileno()).st_ino})
    assert own.has(set())
    assert not own.has_process(1)
    assert not own.has_name("@none", os.getpid())


def test_a_process_that_was_its_own_stays_so_when_it_has_ended():
    """Whoever listened may be gone when the connection is looked at."""
    own = helpers.Own()
    child = subprocess.Popen(["sleep", "60"])
    own.look(os.getpid())
    child.kill()
    child.wait()
    assert own.has_process(child.pid)
    assert not helpers.Own().has_process(child.pid)
    assert not own.has_process(1)


def test_our_own_children_are_not_the_commands():
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert helpers.Own().has_process(child.pid)
        assert not helpers.Own([child.pid]).has_process(child.pid)
    finally:
        child.kill()
        child.wait()
