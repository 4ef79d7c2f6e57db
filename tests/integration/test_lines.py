"""Ports besides 80 and 443: HTTP there is answered as on these, and what is no HTTP is recorded as
lines, through every way to a real sidecar and by every action.
"""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.contract import rules as r
from app.contract.body import content
from app.contract.outcomes import outcome
from app.contract.record import CaptureRecord
from tests import netns
from tests.peers import Listener, Reader
from tests.sidecar import Sidecar, authority
from tests.waiting import wait_for

HOST, PORT = "kong.test", 61833
REAL = 7001
LINE = b"<14>version=3.9.1;hostname=web-7;api_key=SECRETSECRET;uname=Linux\n"
GET = b"GET /v1 HTTP/1.1\r\nHost: kong.test:4319\r\n\r\n"

pytestmark = pytest.mark.root


class Vendor(Listener):
    """Keeps every byte, and answers each piece."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.got = b""
        super().__init__(context, port=REAL)

    def connected(self, connection: socket.socket) -> None:
        while data := connection.recv(65536):
            self.got += data
            connection.sendall(b"ok\n")


def bundle(action: str = "mock", **host: Any) -> r.Bundle:
    rule = r.Rule("all", action, route="ping", answer=r.Answer(body=b"hi"), answer_at="sidecar")
    named = r.Host(HOST, ports=(PORT, 4319), **host)
    masked = (r.Sensitive("any", "hostname", "mask"),)
    version = (r.Extract("body", "version"),)
    return r.Bundle(r.RuleSet((r.Profile("kong", "Kong", (named,), (rule,), masked,
                                         version_from=version),)))  # fmt: skip


class Lab:
    """In a network namespace: a sidecar that listens on the host's loopback address, and the real
    host."""

    def __init__(self, directory: Path, rules: r.Bundle, *, tls: bool = True, **more: str) -> None:
        self.namespace = netns.Namespace()
        directory.mkdir(exist_ok=True)
        ca, context = authority(directory, HOST)
        self.vendor: Vendor = self.namespace.inside(Vendor, context if tls else None)
        self.sidecar: Sidecar = self.namespace.inside(
            Sidecar, directory / "one", rules,
            TELEMOCK_UPSTREAM_CA=str(ca),
            **{"TELEMOCK_RESOLVE": f"{HOST}:{PORT}=127.0.0.1:{REAL}",
               "TELEMOCK_LOOPBACK": f"127.0.0.2={HOST}",
               "TELEMOCK_PORTS": f"{HOST}:{PORT},{HOST}:4319"} | more,
        )  # fmt: skip

    def plain(self, port: int = PORT, address: str = "127.0.0.2") -> socket.socket:
        return self.namespace.inside(socket.create_connection, (address, port), 20)

    def over_tls(self, plain: socket.socket, name: str = HOST) -> ssl.SSLSocket:
        context = self.sidecar.trust()
        context.check_hostname = bool(name)
        return context.wrap_socket(plain, server_hostname=name or None)

    def tls(self, port: int = PORT) -> ssl.SSLSocket:
        return self.over_tls(self.plain(port))

    def no_sni(self) -> ssl.SSLSocket:
        """As Kong's client, which neither names the host nor checks the certificate."""
        return self.over_tls(self.plain(), "")

    def tunnel(self) -> socket.socket:
        proxy = self.plain(self.sidecar.proxy, "127.0.0.1")
        proxy.sendall(b"CONNECT kong.test:61833 HTTP/1.1\r\n\r\n")
        assert b" 200 " in Reader(proxy).until(b"\r\n\r\n")
        return proxy

    def tunnel_tls(self) -> ssl.SSLSocket:
        return self.over_tls(self.tunnel())

    def records(self) -> list[CaptureRecord]:
        self.namespace.inside(self.sidecar.recorded)
        return [one for one in self.sidecar.records() if one.kind != "log"]

    def wait(self, count: int) -> list[CaptureRecord]:
        def there() -> bool:
            return len(self.records()) >= count

        wait_for(there)
        return self.records()

    def close(self) -> None:
        self.sidecar.stop()
        self.vendor.close()
        self.namespace.close()


Start = Callable[..., Lab]
WAYS = {
    "plain": Lab.plain, "TLS": Lab.tls, "TLS without SNI": Lab.no_sni,
    "CONNECT": Lab.tunnel, "TLS in CONNECT": Lab.tunnel_tls,
}  # fmt: skip
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    netns.require()
    labs: list[Lab] = []

    def made(rules: r.Bundle, **more: Any) -> Lab:
        labs.append(Lab(tmp_path / str(len(labs)), rules, **more))
        return labs[-1]

    yield made
    for each in labs:
        each.close()


def said(record: CaptureRecord) -> bytes:
    assert record.message is not None
    return content(record.message.body)


def of(record: CaptureRecord) -> str:
    return outcome(record.kind, record.action, record.answered_by, record.reason)


def ended(client: socket.socket) -> None:
    """Ends the client's side, and waits for the other one's end."""
    if isinstance(client, ssl.SSLSocket):
        with contextlib.suppress(ssl.SSLError):  # the sidecar answers with no close_notify
            client.unwrap()
    else:
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    netns.require()
    lab = Lab(tmp_path_factory.mktemp("lines"), bundle())
    yield lab
    lab.close()


@ways
def test_a_line_is_swallowed_recorded_and_masked(mock: Lab, way: Any) -> None:
    before = len(mock.records())
    with way(mock) as client:
        client.sendall(LINE + LINE)
        found = mock.wait(before + 2)[before:]
        assert [said(one) for one in found] == [
            b"<14>version=3.9.1;hostname=***;api_key=***;uname=Linux\n"
        ] * 2
        first = found[0]
        assert (first.kind, first.action, first.rule, first.route) == (
            "message", "mock", "all", "ping",
        )  # fmt: skip
        assert (first.host, first.product_version, of(first)) == (HOST, "3.9.1", "answered")
        assert first.destination is not None and first.destination.port == PORT
        assert {one.message.of for one in found if one.message} == {first.id}
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
    assert mock.vendor.got == b""
    assert len(mock.records()) == before + 2


@pytest.mark.parametrize("way", [Lab.plain, Lab.tls])
def test_http_there_is_answered_as_elsewhere(mock: Lab, way: Any) -> None:
    before = len(mock.records())
    with way(mock, 4319) as client:
        for piece in (GET[:3], GET[3:20], GET[20:], b"\r\n" + GET):
            client.sendall(piece)
            time.sleep(0.05)
        reader = Reader(client)
        for _ in range(2):
            assert reader.until(b"hi").startswith(b"HTTP/1.1 200 ")
    found = mock.wait(before + 2)[before:]
    for one in found:
        assert one.request is not None and (one.kind, one.host) == ("exchange", HOST)
        assert (one.request.port, one.request.path) == (4319, "/v1")
        assert ("Host", "kong.test:4319") in one.request.headers


@ways
def test_an_observed_line_is_forwarded_byte_for_byte(start: Start, way: Any) -> None:
    plain = way in (Lab.plain, Lab.tunnel)
    lab = start(bundle("observe"), tls=not plain)
    sent = LINE + b"\x00\xff\r\nrest without an end"
    with way(lab) as client:
        client.sendall(sent)
        assert Reader(client).until(b"\n") == b"ok\n"

        def came() -> bool:
            return lab.vendor.got == sent

        wait_for(came)
    found = lab.wait(4)
    assert sum(one.message.body.size for one in found if one.message and
               one.message.sender == "client") == len(sent)  # fmt: skip
    assert {of(one) for one in found} == {"delivered"}
    assert b"SECRETSECRET" not in b"".join(map(said, found))
    assert {one.message.sender for one in found if one.message} == {"client", "server"}


@ways
def test_a_blocked_line_is_refused_and_recorded(start: Start, way: Any) -> None:
    lab = start(bundle("block"))
    with way(lab) as client:
        client.sendall(LINE)
        assert client.recv(1) == b""
    (found,) = lab.wait(1)
    assert (found.kind, found.reason, of(found)) == ("refused", "blocked", "refused")
    assert said(found).startswith(b"<14>version=3.9.1;hostname=***")
    assert lab.vendor.got == b""


def test_a_mode_replaces_the_action(start: Start) -> None:
    lab = start(bundle(), TELEMOCK_MODE="block")
    with lab.tls() as client:
        client.sendall(LINE)
        assert client.recv(1) == b""
    assert of(lab.wait(1)[0]) == "refused"


def end_at_once(lab: Lab) -> None:
    """As Node's `end` does: the line, TLS' end and TCP's in one piece."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = lab.sidecar.trust().wrap_bio(incoming, outgoing, server_hostname=HOST)
    with lab.plain() as client:
        client.settimeout(5)
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                break
            client.sendall(outgoing.read())
            incoming.write(client.recv(65536))
        tls.write(LINE)
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.unwrap()
        client.sendall(outgoing.read())
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass


def test_a_client_that_ends_at_once_is_not_left_open(mock: Lab) -> None:
    before = len(mock.records())
    for _ in range(30):
        end_at_once(mock)
    assert {said(one)[:4] for one in mock.wait(before + 30)[before:]} == {b"<14>"}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param(b"no end", b"no end", id="half a line"),
        pytest.param(b"GET", b"GET", id="the beginning of a request, perhaps"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a", None, id="a request without an end"),
        pytest.param(b"\x00\x01\xfe\xff" * 50, b"\x00\x01\xfe\xff" * 50, id="binary"),
        pytest.param(b"\n", b"\n", id="an empty line"),
        pytest.param(b"EHLO me\r\n", b"EHLO me\r\n", id="SMTP"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None, id="HTTP/2 without TLS"),
        pytest.param(b"x" * 200_000, b"x" * 65536, id="a long line"),
    ],
)
@pytest.mark.parametrize("way", [Lab.plain, Lab.tls])
def test_whatever_a_client_sends_is_recorded_and_its_connection_ends(
    mock: Lab, way: Any, sent: bytes, kept: bytes | None
) -> None:
    before = len(mock.records())
    with way(mock) as client:
        client.sendall(sent)
        ended(client)
    found = mock.wait(before + 1)[before:]
    assert len(found) == 1
    if kept is None:
        assert found[0].kind != "message"
    elif found[0].message is not None and found[0].message.body.withheld:
        assert b"\x00" in kept  # it may hold what the profile calls sensitive
    else:
        assert said(found[0]) == kept
        assert found[0].message is not None and found[0].message.body.size == len(sent)
        assert found[0].message.body.truncated is (len(kept) < len(sent))
    assert mock.vendor.got == b""


def test_a_client_that_waits_for_the_server_leaves_a_record(start: Start) -> None:
    lab = start(bundle())
    with lab.plain() as silent, lab.tls():
        silent.settimeout(0.3)
        with pytest.raises(TimeoutError):
            silent.recv(1)
    assert {(one.kind, one.host) for one in lab.wait(2)} <= {
        ("failed", HOST), ("tls_rejected", HOST),
    }  # fmt: skip


def test_drips_are_one_line_and_one_that_stops_is_closed(start: Start) -> None:
    lab = start(bundle(), TELEMOCK_BODY_SECONDS="2", TELEMOCK_HEAD_SECONDS="2")
    with lab.tls() as client, lab.tls() as word:
        for byte in LINE[:40]:
            client.sendall(bytes([byte]))
        word.sendall(b"GET")  # a request, perhaps
        client.settimeout(15)
        for each in (client, word):
            with contextlib.suppress(OSError):  # or it was reset
                assert each.recv(1) == b""
    reasons = {said(one): one.reason for one in lab.wait(2)}
    assert reasons == {
        b"<14>version=3.9.1;hostname=***": "body_timeout", b"GET": "head_timeout",
    }  # fmt: skip


def test_many_lines_share_records_and_none_is_lost(start: Start) -> None:
    lab = start(bundle())
    count = 40_000
    with lab.tls() as client:
        for at in range(0, count, 500):
            client.sendall(b"".join(b"<14>a=%d;b=2\n" % n for n in range(at, at + 500)))
        ended(client)

    def all_there() -> bool:
        return sum(said(one).count(b"\n") for one in lab.records()) == count

    wait_for(all_there, 30)
    assert 1000 < len(lab.records()) < 1100


def test_a_line_without_end_is_bounded(start: Start) -> None:
    lab = start(bundle())
    sent = 0
    with lab.plain() as client, pytest.raises(OSError):
        while sent < 64 << 20:
            client.sendall(b"x" * 65536)
            sent += 65536
    (found,) = lab.wait(1)
    assert found.message is not None and found.reason == "too_large"
    assert (16 << 20) < found.message.body.size < (17 << 20) and len(said(found)) == 65536
    assert lab.sidecar.resident() < 192 << 20


def test_the_real_host_may_be_away(start: Start) -> None:
    lab = start(bundle("observe"))
    lab.vendor.close()
    with lab.tls() as client:
        client.sendall(LINE)
        assert client.recv(1) == b""
    (found,) = lab.wait(1)
    assert (found.kind, found.reason, of(found)) == (
        "failed", "upstream_unreachable", "not_delivered",
    )  # fmt: skip
    assert b"version=3.9.1" in said(found)


def test_where_no_rule_takes_lines_they_are_refused(start: Start) -> None:
    rules = bundle().rules.profiles[0]
    page = r.Rule("page", "mock", r.Match(paths=(r.Path("exact", "/v1"),)))
    lab = start(r.Bundle(r.RuleSet((r.Profile("kong", "Kong", rules.hosts, (page,)),))))
    with lab.tls() as client:
        client.sendall(LINE)
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")
    (found,) = lab.wait(1)
    assert (found.kind, found.reason) == ("refused", "unjudged")
    assert lab.vendor.got == b""


@pytest.mark.parametrize("address", ["::1", "127.0.0.1"])
def test_on_the_address_that_hosts_share_the_port_names_the_host(
    start: Start, address: str
) -> None:
    hosts = f"127.0.0.2={HOST},127.0.0.3=other.test"
    lab = start(bundle(), TELEMOCK_LOOPBACK=hosts,
                TELEMOCK_PORTS=f"{HOST}:{PORT},{HOST}:4319,other.test:4319")  # fmt: skip
    with lab.over_tls(lab.plain(PORT, address), "") as client:  # as Kong's
        client.sendall(LINE)
        (one,) = lab.wait(1)
        assert (one.host, of(one)) == (HOST, "answered")
    with contextlib.suppress(OSError), lab.plain(4319, address) as client:
        client.sendall(LINE)
        assert client.recv(1) == b""
    assert lab.wait(2)[1].rule == ""  # of both: it is refused
