"""`telemock run`, hosts by suffix, and hosts that no profile names, with real servers outside."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests import netns, networks
from tests.integration.test_run_covers import UNPRIVILEGED

pytestmark = pytest.mark.root

REAL, NOBODY = "203.0.114.9", "203.0.114.10"  # a server, and an address that refuses
OTHERS = ("wild.test", "other.test", "third.test")
REAL6 = "2606:1::9"  # a way there, and nobody
HOSTS = f"127.0.0.1 localhost\n{REAL6} both.test\n{REAL} both.test\n" + "".join(
    f"{NOBODY if host == 'closed.test' else REAL} {host}\n"
    for host in (*OTHERS, "lines.test", "a.wild.test", "deep.b.wild.test", "closed.test")
)
NETWORK = (
    *networks.WIRE,
    "addr add 10.0.0.2/24 dev eth0",
    "route add default via 10.0.0.1",
    "-6 addr add fd00::2/64 dev eth0 nodad",
    "-6 route add default via fd00::1",
    "-6 neigh add fd00::1 lladdr 02:00:00:00:00:01 dev eth0",
)
PROFILE = """
id: wild
title: By suffix, for tests
licence: {class: none, note: made up}
evidence: [{claim: none, source: made up, verified: 2026-11-29}]
hosts: [{name: .wild.test, ports: [4319]}, {name: lines.test, ports: [61833]}]
rules:
  - {id: lines, match: {hosts: [lines.test]}, action: mock}
  - {id: all, match: {path: /}, action: mock, answer: {body: "answered here\\n"}}
"""
# In a network namespace of its own, at the other end of the wire.
SERVER = """
import ssl, subprocess, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
sys.stdin.readline()
for words in ("link set lo up", "addr add 10.0.0.1/24 dev end", "link set end up",
              "addr add 203.0.114.9/32 dev lo", "addr add 203.0.114.10/32 dev lo"):
    subprocess.run(["ip", *words.split()], check=True)
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        text = f"real {self.headers['host']}\\n".encode()
        self.send_response(200); self.send_header("content-length", str(len(text)))
        self.end_headers(); self.wfile.write(text)
    def log_message(self, *_): pass
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
servers = [ThreadingHTTPServer(("203.0.114.9", port), Handler) for port in (80, 443)]
servers[1].socket = context.wrap_socket(servers[1].socket, server_side=True)
for server in servers: threading.Thread(target=server.serve_forever).start()
print("ready", flush=True)
"""
RUN = """
import json, os, subprocess, sys
folder, server, arguments, before = sys.argv[1], sys.argv[2], *map(json.loads, sys.argv[3:])
outside = subprocess.Popen(["unshare", "--net", sys.executable, "-c", server, f"{folder}/real.pem"],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
def there(): return os.readlink(f"/proc/{outside.pid}/ns/net") != os.readlink("/proc/self/ns/net")
from tests.waiting import wait_for
wait_for(there, 20)
subprocess.run(["ip", "link", "set", "end", "netns", str(outside.pid)], check=True)
outside.stdin.write("\\n"); outside.stdin.flush()
assert outside.stdout.readline() == "ready\\n"
os.chdir(folder)
os.environ |= {"TELEMOCK_DATA": "data", "TELEMOCK_LOGS": "logs", "TELEMOCK_PROFILES": "wild.yaml"}
done = subprocess.run([*before, sys.executable, "-P", "-m", "app.cli", "run", *arguments],
                      capture_output=True, text=True)
outside.kill()
print(json.dumps([done.returncode, done.stdout, done.stderr]))
"""
RAW = """
import socket, ssl, sys
context = ssl._create_unverified_context()
s = context.wrap_socket(socket.create_connection((sys.argv[1], 443), 5))
s.sendall(b"GET / HTTP/1.0\\r\\nhost: other.test\\r\\n\\r\\n")
print(s.makefile().read().splitlines()[-1])
"""


def run(folder: Path, command: str, *options: str, before: list[str]) -> tuple[str, str]:
    """What the command said, and what was said of it."""
    netns.require()
    authority = trustme.CA()
    cert = authority.issue_cert(*OTHERS, "a.wild.test", "both.test")
    pems = [cert.private_key_pem, *cert.cert_chain_pems]
    (folder / "real.pem").write_bytes(b"".join(pem.bytes() for pem in pems))
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    (folder / "wild.yaml").write_text(PROFILE)
    (folder / "raw.py").write_text(RAW)
    arguments = [*options, "--", "sh", "-c", command]
    out = netns.run(
        RUN, str(folder), SERVER, json.dumps(arguments), json.dumps(before),
        network=NETWORK, files={"/etc/hosts": HOSTS}, seconds=110,
    )  # fmt: skip
    code, said, told = json.loads(out)
    assert code == 0, told
    return said, told


AS = pytest.mark.parametrize("before", [[], UNPRIVILEGED], ids=["root", "user"])
PAST = "curl -sS --noproxy '*'"  # ignores the variables
REAL_ONES = f"{PAST} --cacert authority.pem"


@AS
def test_hosts_below_a_suffix_are_answered_and_the_others_relayed(
    tmp_path: Path, before: list[str]
) -> None:
    ask = (
        "import urllib.request as u; u.getproxies = dict; "
        "print(u.build_opener(u.ProxyHandler({}))"
        ".open('https://deep.b.wild.test/').read().decode(), end='')"
    )
    command = (
        f'{PAST} https://a.wild.test/; {PAST} http://a.wild.test/; {sys.executable} -c "{ask}";'
        f"{REAL_ONES} https://wild.test/; {REAL_ONES} https://other.test/; "
        f"{PAST} http://third.test/"
    )
    said, told = run(tmp_path, command, "--discover", before=before)
    assert said.splitlines() == [
        "answered here", "answered here", "answered here",
        "real wild.test", "real other.test", "real third.test",
    ]  # fmt: skip
    assert "telemock: complete: " in told
    rows = {line.split()[0]: line for line in told.splitlines() if ".test" in line.split(" ")[0]}
    assert set(rows) == {"a.wild.test", "deep.b.wild.test", *OTHERS}
    assert all("answered here" in rows[host] for host in ("a.wild.test", "deep.b.wild.test"))
    assert all("passed through untouched" in rows[host] for host in OTHERS)


@AS
def test_without_discover_they_are_counted_by_name_in_json_alone(
    tmp_path: Path, before: list[str]
) -> None:
    command = f"{REAL_ONES} https://other.test/; {REAL_ONES} https://third.test/"
    _, told = run(tmp_path, command, before=before)
    assert "2 connections to 2 other hosts relayed unread; --discover lists them" in told
    assert "other.test" not in told
    said, _ = run(tmp_path, command, "--json", before=before)
    sent: list[dict[str, Any]] = json.loads(said.splitlines()[-1])["sent"]
    assert {(row["host"], row["outcome"]) for row in sent} == {
        ("other.test", "relayed"), ("third.test", "relayed"),
    }  # fmt: skip


@AS
def test_a_host_that_refuses_and_one_without_a_name(tmp_path: Path, before: list[str]) -> None:
    command = f"{REAL_ONES} https://closed.test/ || echo refused; {sys.executable} raw.py {REAL}"
    said, told = run(tmp_path, command, "--discover", before=before)
    assert said.splitlines() == ["refused", "real other.test"]
    (closed,) = [line for line in told.splitlines() if line.startswith("closed.test")]
    assert "failed" in closed
    assert "telemock: not complete: 1 connection to bare addresses, without a host's name" in told
    assert f") to {REAL} [" in told


@pytest.mark.parametrize("family", ["", "-6"], ids=["any", "ipv6"])
def test_ipv6_that_leads_nowhere_is_no_wait_where_ipv4_leads(tmp_path: Path, family: str) -> None:
    """Outside of a run the client would give up on IPv6 itself, which here is connected at once."""
    said, told = run(tmp_path, f"{REAL_ONES} {family} -m 9 https://both.test/", before=[])
    assert said == "real both.test\n", told


def test_the_real_certificate_is_the_hosts_own(tmp_path: Path) -> None:
    """Of a host that no profile names nothing is opened."""
    _, told = run(
        tmp_path, f"{PAST} https://other.test/ || echo untrusted >&2", "--discover", before=[]
    )
    assert "untrusted" in told


LINES = """
import socket, ssl
context = ssl._create_unverified_context()
with socket.create_connection(("lines.test", 61833), 5) as plain:
    with context.wrap_socket(plain, server_hostname="lines.test") as s:
        s.sendall(b"<14>version=3.9.1;hostname=web-7\\n")
"""


@AS
def test_a_profile_s_own_ports_are_led_and_their_lines_recorded(
    tmp_path: Path, before: list[str]
) -> None:
    (tmp_path / "lines.py").write_text(LINES)
    command = (
        f"{PAST} https://a.wild.test:4319/; {sys.executable} lines.py; "
        f"{PAST} --connect-timeout 1 http://third.test:61834/ 2>&1 | head -c 9"
    )
    said, told = run(tmp_path, command, before=before)
    assert said.splitlines() == ["answered here", "curl: (7)"]
    assert "not complete: 1 connection to ports other than 80, 443 and those of profiles" in told
    rows = {line.split()[0]: line for line in told.splitlines() if ".test" in line.split(" ")[0]}
    assert set(rows) == {"a.wild.test", "lines.test"}
    assert all("answered here" in row for row in rows.values())
