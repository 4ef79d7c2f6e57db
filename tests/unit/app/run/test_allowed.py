"""app/run/allowed.py: an allowed name is no more than the addresses that telemock looked up."""

import socket

import pytest

from app.contract.record import CaptureRecord, Endpoint, Program, Tls
from app.run import allowed
from app.run.allowed import Allowed, Entry
from app.run.interception import LOCAL, OTHER_PORT, Passed
from app.run.processes import LocalError

PIP = Program("pip", 12)


@pytest.fixture(autouse=True)
def names(monkeypatch):
    def look_up(name, _port):
        known = {"pypi.test": "192.0.2.7", "192.0.2.9": "192.0.2.9", "dummy.test": "127.116.0.9",
                 "a.test\tevil.test": "192.0.2.66"}  # fmt: skip
        if name not in known:
            raise socket.gaierror
        return [(2, 1, 6, "", (known[name], 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def to(host, address, port=443):
    return CaptureRecord(
        boot="b" * 8, seq=1, kind="spliced", time_ns=1, tls=Tls(sni=host),
        destination=Endpoint(address, port),
    )  # fmt: skip


def test_entries_are_hosts_ports_addresses_and_sockets():
    assert allowed.read(["PyPI.test., a.test:8443", "[fd00::1]:22", "192.0.2.9", "/run/x"]) == [
        Entry("pypi.test", (80, 443)), Entry("a.test", (8443,)), Entry("fd00::1", (22,)),
        Entry("192.0.2.9", (80, 443)), Entry("/run/x", ()),
    ]  # fmt: skip
    assert list(map(str, allowed.read(["a.test", "a.test:22", "/run/x", "fd00::1"]))) == [
        "a.test", "a.test:22", "/run/x", "[fd00::1]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "word", ["*.test", "https://a.test/", "a.test:x", "a.test:0", ":80", "a/b"]
)
def test_what_is_no_host_is_refused_with_the_word(word):
    with pytest.raises(LocalError, match=r"--allow .*\n\nhint: --allow takes HOST") as error:
        allowed.read([word])
    assert word in str(error.value)


def test_a_name_is_allowed_at_its_addresses_alone():
    found = Allowed(allowed.read(["pypi.test"]))
    assert found.record(to("pypi.test", "192.0.2.7"))
    assert found.record(to("pypi.test", "pypi.test"))  # by the proxy: the sidecar looks it up
    assert found.record(to("pypi.test", "127.116.0.4"))
    assert not found.record(to("pypi.test", "192.0.2.66"))  # somebody who says so
    assert not found.record(to("pypi.test", "evil.test"))
    assert not found.record(to("evil.test", "192.0.2.7"))
    assert not found.record(to("a.pypi.test", "192.0.2.7"))
    assert not found.record(to("pypi.test", "192.0.2.7", 8443))


def test_the_commands_hosts_file_gets_names_at_their_addresses_and_nothing_else():
    given = ["pypi.test:22", "192.0.2.9", "dummy.test", "a.test\tevil.test", "none.test", "/x"]
    found = Allowed(allowed.read(given))
    assert found.hosts() == [("192.0.2.7", "pypi.test", {22})]
    assert found.unknown() == ["none.test"]


def test_other_ports_and_sockets_are_allowed_one_by_one():
    found = Allowed(allowed.read(["pypi.test:22,/run/x"]))
    assert found.passed(Passed(OTHER_PORT, PIP, "192.0.2.7:22"))
    assert not found.passed(Passed(OTHER_PORT, PIP, "192.0.2.7:23"))
    assert not found.passed(Passed(OTHER_PORT, PIP, "192.0.2.8:22"))
    assert found.passed(Passed(LOCAL, PIP, "/run/x (dbus-daemon, pid 3)"))
    assert not found.passed(Passed(LOCAL, PIP, "/run/xy (dbus-daemon, pid 3)"))
