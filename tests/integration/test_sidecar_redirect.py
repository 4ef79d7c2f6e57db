"""What a sidecar tells of the redirect in front of it: whether it works, what it brought, and what
it refused. In network namespaces, with the kernel's own counters beside."""

import json
from pathlib import Path

import pytest

from tests import netns

REDIRECTED = """
import contextlib, json, socket, subprocess, sys
from pathlib import Path
from tests.sidecar import sidecar
from tests.sidecar import bundle_of, rule

HOSTS = "192.0.2.1=cdn.cribl.io,100::1=cdn.cribl.io"
where = Path(sys.argv[1])
told = {"TELEMOCK_TRANSPARENT": "127.0.0.1:17443,[::1]:17443", "MITM_PORT": "",
        "TELEMOCK_HOSTS": HOSTS}

def show():
    lines = running.get("/metrics")[1].decode().splitlines()
    found = dict(x.split() for x in lines if x.startswith("telemock_redirect_"))
    print([int(float(found[f"telemock_redirect_{n}"]))
           for n in ("proven", "connections_total", "quic_refused_total")])

def quic(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.settimeout(5)
        udp.connect((address, 443))
        with contextlib.suppress(OSError):  # the kernel tells the sender at once
            udp.send(b"quic")
            udp.recv(9)

def refused():
    listed = subprocess.run(["nft", "-j", "list", "chain", "inet", "telemock", "refused"],
                            check=True, capture_output=True, text=True).stdout
    rules = [o["rule"]["expr"] for o in json.loads(listed)["nftables"] if "rule" in o]
    return sum(e["counter"]["packets"] for rule in rules for e in rule if "counter" in e)

with sidecar(where, bundle_of(rule("here", "/here")), **told) as running:
    show()
    socket.create_connection(("127.0.0.1", 17443)).close()  # not the redirect
    running.get("/health")
    show()
    subprocess.run([sys.executable, "-m", "addon.redirect", "--hosts", HOSTS],
                   check=True, capture_output=True)
    show()
    with socket.create_connection(("192.0.2.1", 443), 5) as plain:
        running.trust().wrap_socket(plain, server_hostname="cdn.cribl.io").close()
    show()
    for address in ("192.0.2.1", "192.0.2.1", "100::1"):
        quic(address)
    show()
    print(refused())
    running.process.kill()
    running.process.wait()
# The container, started again.
with sidecar(where, bundle_of(rule("here", "/here")), **told) as running:
    show()
"""


@pytest.mark.root
def test_the_redirect_tells_that_it_works_and_what_it_refused(tmp_path: Path) -> None:
    netns.require()
    before, beside, proved, used, refused, counted, again = map(
        json.loads, netns.run(REDIRECTED, str(tmp_path)).splitlines()
    )
    assert before == beside == [0, 0, 0]
    assert proved == [1, 2, 0]  # the proof of each family
    assert used == [1, 3, 0]
    assert refused == [1, 3, 3] and counted == 3
    assert again == [1, 0, 3]


LOOPBACK = """
import socket, sys
from pathlib import Path
from tests.sidecar import sidecar
from tests.sidecar import bundle_of, rule

told = {"TELEMOCK_LOOPBACK": "127.0.0.2=cdn.cribl.io", "MITM_PORT": ""}
with sidecar(Path(sys.argv[1]), bundle_of(rule("here", "/here")), **told) as running:
    for _ in range(2):
        lines = running.get("/metrics")[1].decode().splitlines()
        print([x for x in lines if x.startswith("telemock_redirect_") and "quic" not in x])
        with socket.create_connection(("127.0.0.2", 443)) as plain:
            running.trust().wrap_socket(plain, server_hostname="cdn.cribl.io").close()
"""


@pytest.mark.root
def test_loopback_proves_itself(tmp_path: Path) -> None:
    netns.require()
    first, second = netns.run(LOOPBACK, str(tmp_path)).splitlines()
    assert first == str(["telemock_redirect_proven 1.0", "telemock_redirect_connections_total 0.0"])
    assert second == first.replace("0.0']", "1.0']")
