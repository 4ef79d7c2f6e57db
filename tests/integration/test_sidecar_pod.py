"""The sidecar as a pod has it: the app's API over TLS, loopback instead of a redirect, the end of
`all`, a corporate proxy as the way out."""

import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.inject.gather import counters
from tests import netns
from tests.peers import App, Host, Way
from tests.sidecar import HOST, LINE, Sidecar, authority, bundle_of, rule, sidecar
from tests.waiting import wait_for

RULES = bundle_of(
    rule("index", "/telemetry/index.html"),
    rule("app", "/at-the-app", answer_at="app"),
    rule("observe", "/observe", "observe"),
    rule("judged", "/judged", "observe", match={"body": ()}),
)


def test_the_api_is_asked_over_tls_with_the_token_of_now(tmp_path: Path) -> None:
    ca, context = authority(tmp_path)
    mock, api = App(RULES), App(bundle_of(rule("index", "/telemetry/index.html")), context)
    token = tmp_path / "token"
    token.write_text("first")
    with sidecar(
        tmp_path / "one",
        RULES,
        TELEMOCK_APP_URL=f"http://127.0.0.1:{mock.port}",
        TELEMOCK_API_URL=f"https://127.0.0.1:{api.port}",
        TELEMOCK_API_CA_PEM=ca.read_text(),
        TELEMOCK_TOKEN_FILE=str(token),
    ) as running:
        wait_for(lambda: running.health()["profiles"]["source"] == "app")
        assert running.ask("/telemetry/index.html")[1] == LINE
        wait_for(lambda: any(x.rule == "index" for x in api.records))
        told = counters(running.get("/metrics")[1].decode())
        assert told is not None and told.trouble == ""
        assert api.tokens == {b"first"}
        token.write_text("second")
        running.ask("/telemetry/index.html")
        wait_for(lambda: b"second" in api.tokens)
    assert mock.tokens == set() and mock.records == []
    mock.close()
    api.close()


def test_no_token_reaches_an_api_that_the_certificates_do_not_vouch_for(tmp_path: Path) -> None:
    _, context = authority(tmp_path)
    other, _ = authority(tmp_path)
    api = App(RULES, context)
    token = tmp_path / "token"
    token.write_text("secret")
    with sidecar(
        tmp_path / "one",
        RULES,
        TELEMOCK_API_URL=f"https://127.0.0.1:{api.port}",
        TELEMOCK_API_CA_PEM=other.read_text(),
        TELEMOCK_TOKEN_FILE=str(token),
    ) as running:
        assert running.ask("/telemetry/index.html")[1] == LINE
        remedy = "kubectl rollout restart"
        wait_for(lambda: remedy in running.health()["profiles"]["error"])
        wait_for(lambda: remedy in running.health()["shipper"]["app_error"])
        wait_for(lambda: remedy in running.log.read_text())
        told = counters(running.get("/metrics")[1].decode())
        assert told is not None and told.trouble == "distrusted"
        assert running.get("/ready")[0] == 200
    assert api.tokens == set()
    api.close()


def test_clients_can_read_the_trust_and_not_the_key(tmp_path: Path) -> None:
    secret, trust = tmp_path / "secret", tmp_path / "trust"
    places = {"TELEMOCK_CA_DIR": str(secret), "TELEMOCK_TRUST_DIR": str(trust)}
    with sidecar(tmp_path / "one", RULES, **places) as running:
        first = (trust / "ca.pem").read_bytes()
        assert {p.name for p in trust.iterdir()} == {"ca.pem", "bundle.pem"}
        for path in trust.iterdir():
            assert b"PRIVATE KEY" not in path.read_bytes()
            assert stat.S_IMODE(path.stat().st_mode) & 0o044
        assert not (running.data / "ca").exists()
        running.process.kill()
        running.process.wait()
    with sidecar(tmp_path / "one", RULES, **places):
        assert (trust / "ca.pem").read_bytes() == first  # of a container that was started again


LOOPBACK = """
import json, os, socket, ssl, sys
from pathlib import Path
from tests.sidecar import HOST, sidecar
from tests.integration.test_sidecar_pod import RULES
where = Path(sys.argv[1])
six = sys.argv[2] == "6"
def ask(address, port, sni=HOST):
    with socket.create_connection((address, port), 5) as c:
        if port == 443:
            trust = running.trust()
            trust.check_hostname = sni is not None
            if sni not in (HOST, None):  # who checks refuses: we may not sign for others
                trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
            c = trust.wrap_socket(c, server_hostname=sni)
        head = f"GET /telemetry/index.html HTTP/1.0\\r\\nhost: {sni or HOST}\\r\\n\\r\\n"
        c.sendall(head.encode())
        found = b""
        while data := c.recv(65536):
            found += data
        return found[-29:].decode().strip()
with sidecar(where, RULES, TELEMOCK_LOOPBACK="127.0.0.2=cdn.cribl.io", MITM_PORT="") as running:
    addresses = ["127.0.0.2", "127.0.0.1", *(["::1"] if six else [])]
    print(json.dumps(running.where["proxy"]))
    print({ask(a, port) for a in addresses for port in (80, 443)})
    print({ask(a, 443, None) for a in addresses})
    records = [running.record(lambda x: x.destination and x.destination.address == a
                              and x.kind == "exchange") for a in addresses]
    print({(x.rule, x.destination.port in (80, 443), x.request.host) for x in records})
    print(ask("127.0.0.2", 443, "other.example"))
    x = running.record(lambda x: x.host == "other.example")
    print(x.rule, x.judged_by)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(5)
        udp.connect(("127.0.0.2", 443))
        udp.send(b"quic")
        try:
            udp.recv(9)
        except ConnectionRefusedError:
            print("HTTP/3 refused")
    print(running.recorded() - len(addresses) * 3)
    print("there is no IPv6 here" in running.log.read_text())
"""


@pytest.mark.root
@pytest.mark.parametrize("ipv6", [True, False])
def test_loopback_listens_where_the_hosts_file_points_to(tmp_path: Path, ipv6: bool) -> None:
    netns.require()
    script = LOOPBACK
    out = netns.run(script, str(tmp_path / "one"), "6" if ipv6 else "4", ipv6=ipv6).splitlines()
    addresses = ["127.0.0.2", "127.0.0.1", *(["[::1]"] if ipv6 else [])]
    assert json.loads(out[0]) == [f"{a}:{port}" for a in addresses for port in (80, 443)]
    assert out[1] == out[2] == "{'cribl /// living the stream!'}"
    assert out[3] == "{('index', True, 'cdn.cribl.io')}"
    # Whatever a client calls it, it is the host's; the proofs at the start leave no record.
    assert out[4:7] == ["cribl /// living the stream!", "index name", "HTTP/3 refused"]
    assert out[7:] == ["1", str(not ipv6)]


@pytest.mark.root
@pytest.mark.parametrize(
    ("setup", "sentence"),
    [
        ('socket.create_server(("127.0.0.2", 443))', "ddress already in use"),
        (
            'subprocess.run(["nft", "-f", "-"], text=True, check=True, input="add table ip x\\n'
            "add chain ip x c { type nat hook output priority -100; }\\n"
            'add rule ip x c ip daddr 127.0.0.2 tcp dport 443 redirect to :9\\n")',
            "a connection to 127.0.0.2 port 443 failed",
        ),
        (
            'other = socket.create_server(("127.0.0.1", 9)); '
            'subprocess.run(["nft", "-f", "-"], text=True, check=True, input="add table ip x\\n'
            "add chain ip x c { type nat hook output priority -100; }\\n"
            'add rule ip x c ip daddr 127.0.0.2 tcp dport 443 redirect to :9\\n")',
            "did not reach this sidecar within",
        ),
    ],
)
def test_loopback_that_does_not_work_is_never_ready(
    tmp_path: Path, setup: str, sentence: str
) -> None:
    netns.require()
    out = netns.run(
        "import socket, subprocess, sys\nfrom pathlib import Path\n"
        "from tests.sidecar import Sidecar\nfrom tests.integration.test_sidecar_pod import RULES\n"
        f"held = {setup}\n".replace("held = other", "other")
        + "try:\n"
        "    Sidecar(Path(sys.argv[1]), RULES, TELEMOCK_LOOPBACK='127.0.0.2=cdn.cribl.io',"
        " MITM_PORT='')\n"
        "except RuntimeError as e:\n    print(e)\n",
        str(tmp_path / "one"),
    )
    assert sentence in out and "\n\nhint: " in out and out.count("error: ") == 1


def test_without_the_sysctl_the_ports_of_loopback_name_it(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may bind any port")
    with pytest.raises(RuntimeError, match="ip_unprivileged_port_start"):
        Sidecar(tmp_path / "one", RULES, TELEMOCK_LOOPBACK=f"127.0.0.2={HOST}", MITM_PORT="")


ALL = """
import socket, ssl, subprocess, sys
from pathlib import Path
from tests.peers import Host
from tests.sidecar import HOST, authority, sidecar
from tests.integration.test_sidecar_pod import RULES
where = Path(sys.argv[1])
ca, context = authority(where)
real = Host(context)
hosts = f"192.0.2.1={HOST}"
def issuer(address, sni):
    # Whose certificate the client is shown: the sidecar's, or the real host's.
    for name, file in (("sidecar", running.data / "ca" / "ca.pem"), ("real", ca)):
        trust = ssl.create_default_context(cafile=str(file))
        try:
            with socket.create_connection((address, 443), 5) as c:
                trust.wrap_socket(c, server_hostname=sni).close()
            return name
        except ssl.SSLError:
            pass
with sidecar(where / "one", RULES, TELEMOCK_TRANSPARENT="127.0.0.1:17443", MITM_PORT="",
             TELEMOCK_HOSTS=hosts, TELEMOCK_ALL_UNTIL=sys.argv[2],
             TELEMOCK_RESOLVE=f"{HOST}:443=127.0.0.1:{real.port}") as running:
    subprocess.run([sys.executable, "-m", "addon.redirect", "--mode=hosts", "--hosts", hosts],
                   check=True, stdout=subprocess.DEVNULL)
    print(issuer("192.0.2.1", HOST))
    if len(sys.argv) > 3:
        x = running.record(lambda x: x.kind == "spliced")
        print(x.reason, x.host, x.sent > 0 and x.received > 0)
"""


@pytest.mark.root
def test_after_its_time_all_reads_nothing_and_says_so(tmp_path: Path) -> None:
    netns.require()
    assert netns.run(ALL, str(tmp_path), "2h").split() == ["sidecar"]
    (tmp_path / "two").mkdir()
    out = netns.run(ALL, str(tmp_path / "two"), "2020-01-01T00:00:00Z", "over").splitlines()
    assert out == ["real", f"all_ended {HOST} True"]


def test_how_long_counts_from_the_first_start(tmp_path: Path) -> None:
    """A sidecar that is started again has no more time than was left."""
    with sidecar(tmp_path / "one", RULES) as running:
        key = running.data / "ca" / "mitmproxy-ca.pem"
    os.utime(key, (0, 0))
    netns.require()
    # The same data directory as in the script: the authority is there already.
    (tmp_path / "again" / "one").mkdir(parents=True)
    running.data.rename(tmp_path / "again" / "one" / "data")
    assert netns.run(ALL, str(tmp_path / "again"), "2h").split() == ["real"]


@pytest.fixture
def way_out(tmp_path: Path) -> Iterator[tuple[Path, Host, Way]]:
    ca, context = authority(tmp_path)
    host = Host(context)
    way = Way(host.port)
    yield ca, host, way
    way.close()
    host.close()


def test_observed_and_passed_requests_go_through_the_egress_proxy(
    tmp_path: Path, way_out: tuple[Path, Host, Way]
) -> None:
    ca, _, way = way_out
    app = App(RULES)
    with sidecar(
        tmp_path / "one",
        RULES,
        TELEMOCK_APP_URL=f"http://127.0.0.1:{app.port}",
        TELEMOCK_UPSTREAM_CA=str(ca),
        TELEMOCK_EGRESS_PROXY=f"http://us%40er:p%3Ass@localhost:{way.port}",
    ) as running:
        answer, body = running.ask("/observe?a=1", headers={"x-one": "1"})
        assert answer.status == 200 and answer.headers["x-real"] == "yes"
        said = json.loads(body)["head"]
        assert said.startswith("GET /observe?a=1 HTTP/1.1\r\n")
        assert "proxy" not in said.lower()
        assert running.ask("/anything")[0].headers["x-real"] == "yes"  # no rule: passed
        judged, _ = running.ask(
            "/judged", "POST", b'{"a": 1}', {"content-type": "application/json"}
        )
        assert judged.headers["x-real"] == "yes"
        asked = len(way.heads)
        assert asked == 3
        assert running.ask("/telemetry/index.html")[1] == LINE
        assert running.ask("/at-the-app")[1] == b"from the app\n"
        assert len(way.heads) == asked
        assert running.record_of("/observe").answered_by == "upstream"
    assert way.heads[0].split(b"\r\n") == [
        b"CONNECT cdn.cribl.io:443 HTTP/1.1",
        b"Host: cdn.cribl.io:443",
        b"proxy-authorization: Basic dXNAZXI6cDpzcw==",
        b"",
        b"",
    ]
    assert b"p%3Ass" not in running.log.read_bytes() and b"dXNAZXI" not in running.log.read_bytes()
    app.close()


def test_one_connection_is_answered_here_and_through_the_egress_proxy(
    tmp_path: Path, way_out: tuple[Path, Host, Way]
) -> None:
    ca, _, way = way_out
    with (
        sidecar(
            tmp_path / "one",
            RULES,
            TELEMOCK_UPSTREAM_CA=str(ca),
            TELEMOCK_EGRESS_PROXY=f"http://127.0.0.1:{way.port}",
        ) as running,
        running.connect() as client,
    ):
        for path in ("/observe", "/telemetry/index.html", "/observe", "/telemetry/index.html"):
            client.sendall(f"GET {path} HTTP/1.1\r\nhost: {HOST}\r\n\r\n".encode())
            answer = b""
            end = b"living the stream!\n" if "telemetry" in path else b"}"
            while not answer.endswith(end):
                data = client.recv(65536)
                assert data
                answer += data
        assert len(way.heads) == 1  # kept for the second one
        assert b"authorization" not in way.heads[0].lower()


def test_an_egress_proxy_that_refuses_is_told_and_not_gone_around(
    tmp_path: Path, way_out: tuple[Path, Host, Way]
) -> None:
    ca, host, way = way_out
    way.status = b"407 Proxy Authentication Required"
    with sidecar(
        tmp_path / "one",
        RULES,
        TELEMOCK_UPSTREAM_CA=str(ca),
        TELEMOCK_RESOLVE=f"{HOST}:443=127.0.0.1:{host.port}",
        TELEMOCK_EGRESS_PROXY=f"http://127.0.0.1:{way.port}",
    ) as running:
        assert running.ask("/observe")[0].status == 502
        record = running.record_of("/observe")
        assert (record.kind, record.reason) == ("failed", "upstream_unreachable")
        assert "407" in record.detail
        way.close()
        assert running.ask("/observe?again")[0].status == 502
    assert host.accepted == 0


def test_health_is_where_it_is_asked_for(tmp_path: Path) -> None:
    with sidecar(tmp_path / "one", RULES, TELEMOCK_HEALTH_HOST="127.0.0.5") as running:
        where = running.where["health"][0].rpartition(":")
        assert where[0] == "127.0.0.5"
        with socket.create_connection((where[0], int(where[2])), 5) as c:
            c.sendall(b"GET /ready HTTP/1.1\r\n\r\n")
            assert c.recv(99).startswith(b"HTTP/1.1 200 ")
