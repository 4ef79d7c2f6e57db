"""The redirect `all` for real: an application, the sidecar and the Internet in network namespaces,
what the application gets, and what is recorded of it."""

import json
from pathlib import Path

import pytest

from tests import netns

# The Internet is a process of its own with its own network; the application another user, because
# the redirect lets the sidecar's own connections through by its user.
SCRIPT = """
import contextlib, ctypes, json, os, signal, socket, ssl, struct, subprocess, sys, threading
import encodings.idna, traceback  # the former now, because nobody may read it later
from ipaddress import ip_address
from pathlib import Path
from addon.redirect.ruleset import Dummy, ruleset
from app.contract.names import SIDECAR_UID
from tests.sidecar import HOST, authority, sidecar
from tests.waiting import wait_for
from tests.integration.test_sidecar_pod import RULES

where, BIG = Path(sys.argv[1]), 5_000_000
FAR = {4: "198.18.0.2", 6: "fd00:77::2"}
NOBODY = "198.18.0.3"  # there, and listening on nothing
ca, context = authority(where, HOST, "other.example")

def ip(*words):
    subprocess.run(["ip", *words], check=True)

def internet(ready):
    os.unshare(os.CLONE_NEWNET)
    os.write(ready, b".")
    link = ["ip", "link", "show", "far"]
    wait_for(lambda: not subprocess.run(link, capture_output=True).returncode)
    for address in (f"{FAR[4]}/24", f"{NOBODY}/24", f"{FAR[6]}/64"):
        ip("addr", "add", address, "dev", "far", *(["nodad"] if ":" in address else []))
    ip("link", "set", "far", "up")
    for version, port in ((4, 80), (4, 443), (6, 443)):
        family = socket.AF_INET6 if version == 6 else socket.AF_INET
        server = socket.create_server((FAR[version], port), family=family)
        threading.Thread(target=accept, args=(server, port)).start()
    os.write(ready, b".")

def accept(server, port):
    while True:
        connection, _ = server.accept()
        threading.Thread(target=answer, args=(connection, port)).start()

def answer(connection, port):
    # All that comes until its end, then as much again and a word.
    with contextlib.suppress(OSError):
        if port == 443:
            connection = context.wrap_socket(connection, server_side=True)
        first = connection.recv(1 << 16)
        if b"reset" in first:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            return
        if b"held" in first:
            connection.sendall(b"!")
        size = len(first)
        if port == 80:
            while data := connection.recv(1 << 16):
                size += len(data)
        connection.sendall(b"far" * size)
        connection.close()

def said(connection):
    found = b""
    while data := connection.recv(1 << 16):
        found += data
    return found

def who(address, sni):
    # Whose certificate the application is shown, and what it then hears.
    for name, trust in trusts.items():
        with contextlib.suppress(ssl.SSLCertVerificationError):
            with socket.create_connection((address, 443), 5) as c:
                c = trust.wrap_socket(c, server_hostname=sni)
                head = f"GET /telemetry/index.html HTTP/1.0\\r\\nhost: {sni}\\r\\n\\r\\n"
                c.sendall(head.encode())
                return [name, said(c)[-6:].decode()]

def big():
    head = b"POST / HTTP/1.0\\r\\nhost: plain.example\\r\\n\\r\\n"
    with socket.create_connection((FAR[4], 80), 5) as c:
        c.sendall(head + bytes(BIG - len(head)))
        c.shutdown(socket.SHUT_WR)
        return len(said(c))

def broken(address, first):
    with socket.create_connection((address, 80), 5) as c:
        c.sendall(first)
        try:
            return said(c).decode()
        except ConnectionResetError:
            return "reset"

def application():
    os.setresuid(65534, 65534, 65534)
    return {
        "other": who(FAR[4], "other.example"), "six": who(FAR[6], "other.example"),
        "named": who(FAR[4], HOST), "big": big(),
        "refused": broken(NOBODY, b"GET / HTTP/1.1\\r\\nhost: nobody.example\\r\\n\\r\\n"),
        "reset": broken(FAR[4], b"reset\\0"),
    }

def forked(work):
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG: none outlives this process
        try:
            work(writing)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    return pid, reading

ready, go = forked(lambda w: (internet(w), threading.Event().wait()))[::-1]
os.read(ready, 1)
ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(go))
ip("addr", "add", "198.18.0.1/24", "dev", "near")
ip("addr", "add", "fd00:77::1/64", "dev", "near", "nodad")
ip("link", "set", "near", "up")
os.read(ready, 1)
try:
    with sidecar(where / "one", RULES, TELEMOCK_TRANSPARENT="127.0.0.1:17443,[::1]:17443",
                 MITM_PORT="", TELEMOCK_HOSTS=f"192.0.2.1={HOST}") as running:
        rules = ruleset([Dummy(ip_address("192.0.2.1"), HOST)], 17443, (4, 6))
        rules = rules.replace(f"skuid {SIDECAR_UID}", "skuid 0")
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
        trusts = {name: ssl.create_default_context(cafile=str(file)) for name, file in
                  (("sidecar", running.data / "ca" / "ca.pem"), ("far", ca))}
        _, answers = forked(lambda w: os.write(w, json.dumps(application()).encode()))
        seen = json.loads(os.read(answers, 1 << 16))
        held, heard = forked(lambda w: (os.setresuid(65534, 65534, 65534), globals().update(
            kept=socket.create_connection((FAR[4], 80))), kept.sendall(b"held\\0"),
            os.write(w, kept.recv(1)), signal.pause()))
        os.read(heard, 1)
        lines = lambda: running.get("/metrics")[1].decode().splitlines()
        count = lambda: [float(x.split()[1]) for x in lines()
                         if x.startswith("telemock_redirect_connections_total")]
        wait_for(lambda: count() == [9.0])
    records = [{"kind": x.kind, "reason": x.reason, "host": x.host, "sni": x.tls and x.tls.sni,
                "to": x.destination and [x.destination.address, x.destination.port],
                "from": x.client.address, "sent": x.sent, "received": x.received,
                "detail": x.detail} for x in running.records()]
    os.kill(held, 9)
    print(json.dumps([seen, records]))
finally:
    os.kill(go, 9)
"""


@pytest.mark.root
def test_all_goes_where_it_went_and_is_recorded(tmp_path: Path) -> None:
    netns.require()
    seen, records = json.loads(netns.run(SCRIPT, str(tmp_path)))
    assert seen == {
        "other": ["far", "farfar"], "six": ["far", "farfar"], "named": ["sidecar", "ream!\n"],
        "big": 15_000_000, "refused": "reset", "reset": "reset",
    }  # fmt: skip
    spliced = [x for x in records if x["kind"] == "spliced"]
    assert len(records) - len(spliced) == 1  # the named one
    assert {x["from"] for x in spliced} == {"198.18.0.1", "fd00:77::1"}
    *of_tls, big, refused, broken, held = spliced
    assert [(x["host"], x["sni"], x["reason"]) for x in of_tls] == [
        ("other.example", "other.example", "not_named")
    ] * 4
    assert [x["to"] for x in of_tls] == [["198.18.0.2", 443]] * 2 + [["fd00:77::2", 443]] * 2
    assert all(x["sent"] > 500 and x["received"] > 500 for x in of_tls)
    assert (big["host"], big["sent"], big["received"]) == ("plain.example", 5_000_000, 15_000_000)
    assert (refused["host"], refused["reason"]) == ("nobody.example", "upstream_unreachable")
    assert "Connect call failed" in refused["detail"] and refused["sent"] > 0
    # What names no host is named by where it went; the last one was recorded at the end.
    assert [(x["host"], x["sent"]) for x in (broken, held)] == [
        ("198.18.0.2", 6),
        ("198.18.0.2", 5),
    ]
