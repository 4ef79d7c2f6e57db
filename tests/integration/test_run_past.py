"""Ways past the sidecar, each taken by a real process of one run: the verdict names every one. And
what is no way past it, in another run: the verdict says complete.

A way that somebody found becomes a row of PAST.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.run import interception as way
from tests import netns
from tests.integration.test_run_covers import OUTSIDE

pytestmark = pytest.mark.root

OUT, OUT6 = "203.0.114.9", "2606:1::9"
UDP = "u = socket.socket(type=socket.SOCK_DGRAM)\n"
UDP6 = "u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n"
UNIX = "s = socket.socket(socket.AF_UNIX)\n"
C = "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
OWN_NETWORK = f"""{C}import subprocess
libc.unshare(0x40000000)
subprocess.run("ip link set lo up; ip route add default dev lo", shell=True)
"""

# Name -> the gap that names it, and what it does. HELPER is the folder in which other programs of
# the machine serve, which are no descendants of the run.
PAST: dict[str, tuple[str, str]] = {
    "udp, connected": (way.DATAGRAMS, f"{UDP}u.connect(('{OUT}', 4433)); u.send(b'x')"),
    "udp, connected, not blocking":
        (way.DATAGRAMS, f"{UDP}u.setblocking(False); u.connect(('{OUT}', 4433)); u.send(b'x')"),
    "quic, connected, blocking": (way.DATAGRAMS, f"{UDP}u.connect(('{OUT}', 443)); u.send(b'x')"),
    "sendto": (way.DATAGRAMS, f"{UDP}u.sendto(b'x', ('{OUT}', 4433))"),
    "sendto, ipv6": (way.DATAGRAMS, f"{UDP6}u.sendto(b'x', ('{OUT6}', 4433))"),
    "sendto, ipv4 in ipv6": (way.DATAGRAMS, f"{UDP6}u.sendto(b'x', ('::ffff:{OUT}', 4433))"),
    "sendmsg": (way.DATAGRAMS, f"{UDP}u.sendmsg([b'x'], [], 0, ('{OUT}', 4433))"),
    "sendto of a connected one":
        (way.DATAGRAMS, f"{UDP}u.connect(('127.0.0.1', 9)); u.sendto(b'x', ('{OUT}', 4433))"),
    "sendto without a family": (way.DATAGRAMS, f"""{C}{UDP}
raw = bytes(2) + (4433).to_bytes(2) + socket.inet_aton('{OUT}') + bytes(8)
assert libc.sendto(u.fileno(), b'x', 1, 0, raw, 16) == 1"""),
    "to a port that looks for a way": (way.DATAGRAMS, f"{UDP}u.sendto(b'x', ('{OUT}', 9))"),
    "icmp": (way.OTHER_SOCKET, "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)\n"
             f"s.sendto(bytes(8), ('{OUT}', 0))"),
    "packets": (way.OTHER_SOCKET, "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x300)\n"
                "s.bind(('eth0', 0)); s.send(bytes(60))"),
    "another port": (way.OTHER_PORT, "s = socket.socket(); s.setblocking(False)\n"
                     f"s.connect_ex(('{OUT}', 8443))"),
    "another port, multipath tcp": (way.OTHER_PORT, "s = socket.socket(2, 1, 262)\n"
                                    f"s.setblocking(False); s.connect_ex(('{OUT}', 8443))"),
    "metadata": (way.LINK_LOCAL, "s = socket.socket(); s.setblocking(False)\n"
                 "s.connect_ex(('169.254.169.254', 80))"),
    "local server": (way.LOCAL, "socket.create_connection(('127.0.0.1', 9001))"),
    "local server, by no address": (way.LOCAL, "socket.create_connection(('0.0.0.0', 9001))"),
    "local server, ipv4 in ipv6": (way.LOCAL, "s = socket.socket(socket.AF_INET6)\n"
                                   "s.connect(('::ffff:127.0.0.1', 9001))"),
    "local server beside one of its own on every address":
        (way.LOCAL, "o = socket.create_server(('', 9004), reuse_port=True)\n"
         "socket.create_connection(('127.0.0.1', 9004))"),
    "statsd": (way.LOCAL, f"{UDP}u.sendto(b'x', ('127.0.0.1', 9002))"),
    "statsd, connected": (way.LOCAL, f"{UDP}u.connect(('127.0.0.1', 9002)); u.send(b'x')"),
    "a port that the kernel leads elsewhere":
        (way.LOCAL, "socket.create_connection(('127.0.0.1', 9003))"),
    "helper": (way.LOCAL, f"{UNIX}s.connect(HELPER + '/stream')"),
    "helper, relative": (way.LOCAL, f"{UNIX}import os; os.chdir(HELPER); s.connect('stream')"),
    "helper, another root": (way.LOCAL, f"{UNIX}import os; os.chroot(HELPER)\n"
        "s.connect('/stream')"),
    "helper, abstract": (way.LOCAL, f"{UNIX}s.connect('\\0telemock-helper')"),
    "helper that hands over its connection": (way.LOCAL, f"{UNIX}s.connect(HELPER + '/stream')\n"
         "fd = socket.recv_fds(s, 1, 1)[1][0]; socket.socket(fileno=fd).send(b'x')"),
    "helper, datagrams": (way.LOCAL, "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
                          "s.sendto(b'x', HELPER + '/datagrams')"),
    "docker": (way.DAEMON, f"{UNIX}s.connect(HELPER + '/docker.sock')"),
    "network of its own": (way.OTHER_NETWORK, f"{OWN_NETWORK}s = socket.socket()\n"
                           f"s.setblocking(False); s.connect_ex(('{OUT}', 443))"),
    "network of its own, udp": (way.OTHER_NETWORK, f"{OWN_NETWORK}{UDP}"
                                f"u.sendto(b'x', ('{OUT}', 443))"),
    "with another environment": (way.DATAGRAMS, f"""
import os
code = "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('{OUT}', 4433))"
os.execve(sys.executable, [sys.executable, '-c', code], {{}})"""),
    "as nobody": (way.DATAGRAMS, f"{UDP}import os; os.setuid(65534)\n"
                  f"u.sendto(b'x', ('{OUT}', 4433))"),
}  # fmt: skip

# No way past it, or one that the kernel closes.
HARMLESS: dict[str, str] = {
    "quic": f"{UDP}u.setblocking(False); print(u.connect_ex(('{OUT}', 443)))",
    "quic, sendto": f"""{UDP}
try: u.sendto(b'x', ('{OUT}', 443))
except ConnectionRefusedError: print('refused')
""",
    "dns": f"{UDP}u.sendto(b'x', ('{OUT}', 53))",
    "look for a way": f"{UDP}u.connect(('{OUT}', 0)); u.connect(('{OUT}', 9))",
    "look for a way, then go": f"{UDP}u.connect(('{OUT}', 443)); u.close()\n"
        f"s = socket.create_connection(('{OUT}', 443), 30)\n"
        "import ssl; c = ssl.create_default_context()\n"
        "s = c.wrap_socket(s, server_hostname='cdn.cribl.io')\n"
        "s.send(b'GET /telemetry/index.html HTTP/1.0\\r\\nhost: cdn.cribl.io\\r\\n\\r\\n')\n"
        "s.recv(99)",
    "multicast": f"{UDP}u.sendto(b'x', ('224.0.0.251', 5353))",
    "closed ports": f"{UDP}u.sendto(b'x', ('127.0.0.1', 9))\n"
        "socket.socket().connect_ex(('127.0.0.1', 9))",
    "a server of its own": "s = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(s.getsockname())",
    "the log": "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect_ex('/dev/log')",
    "names": f"{UNIX}s.connect_ex('/var/run/nscd/socket')",
    "streams of its own": "a, b = socket.socketpair(); socket.send_fds(a, [b'x'], [0])\n"
        "a.sendmsg([b'x'])",
    "fast open": f"""
try: socket.socket().sendto(b'x', 0x20000000, ('{OUT}', 443))
except OSError as e: print(e)
""",
    "io_uring": f"{C}print(libc.syscall(425, 8, None), ctypes.get_errno())",
}  # fmt: skip

RUN = """
import json, os, socket, subprocess, sys, threading
folder = sys.argv[1]
os.chdir(folder)
os.environ |= {"TELEMOCK_DATA": "data", "TELEMOCK_LOGS": "logs"}
# The machine's other programs.
kept = []
def serve(sock):
    sock.listen(); kept.append(sock)
    def hand_over():
        while True:
            taken = sock.accept()[0]; kept.append(taken)
            try:
                if sock.family == socket.AF_UNIX: socket.send_fds(taken, [b"x"], [taken.fileno()])
            except OSError: pass  # a client that has ended
    threading.Thread(target=hand_over, daemon=True).start()
def bound(family, kind, to):
    sock = socket.socket(family, kind)
    if family == socket.AF_INET: sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(to); kept.append(sock)
    return sock
if len(sys.argv) > 2:
    for name in (f"{folder}/stream", f"{folder}/docker.sock", "\\0telemock-helper"):
        serve(bound(socket.AF_UNIX, socket.SOCK_STREAM, name))
    bound(socket.AF_UNIX, socket.SOCK_DGRAM, f"{folder}/datagrams")
    bound(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 9002))
    for port in (9001, 9004):
        serve(bound(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port)))
    subprocess.run(["nft", "-f", "-"], check=True, text=True, input=
        "table ip t { chain c { type nat hook output priority 0; "
        "ip daddr 127.0.0.1 tcp dport 9003 dnat to 127.0.0.1:9001; }; }")
done = subprocess.run([sys.executable, "-P", "-m", "app.cli", "run", "--json", "--",
                       "sh", "all.sh"], capture_output=True, text=True)
print(done.stdout or done.stderr)
"""


def ran(folder: Path, scripts: dict[str, str], *arguments: str) -> dict[str, Any]:
    """The verdict of a run of all of them, one after the other."""
    netns.require()
    lines = []
    for number, script in enumerate(scripts.values()):
        text = f"import socket, sys\nHELPER = {str(folder)!r}\n{script}\n"
        (folder / f"{number}.py").write_text(text)
        ask = f"{sys.executable} {number}.py"
        lines.append(f"{ask} >{number}.out 2>&1 & echo $! >{number}.pid; wait")
    (folder / "all.sh").write_text("\n".join(lines))
    out = netns.run(RUN, str(folder), *arguments, network=OUTSIDE, seconds=180)
    coverage: dict[str, Any] = json.loads(out)["coverage"]
    return coverage


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("past")
    return folder, ran(folder, {name: script for name, (_, script) in PAST.items()}, "others")


@pytest.mark.parametrize("name", PAST)
def test_the_verdict_names_it(past: tuple[Path, dict[str, Any]], name: str) -> None:
    folder, coverage = past
    number = list(PAST).index(name)
    pid = f"(pid {(folder / f'{number}.pid').read_text().strip()})"
    said = (folder / f"{number}.out").read_text()
    found = {gap["id"] for gap in coverage["gaps"] if any(pid in who for who in gap["who"])}
    assert found == {PAST[name][0]}, said or coverage


def test_what_is_no_way_past_it_leaves_the_verdict_complete(tmp_path: Path) -> None:
    coverage = ran(tmp_path, HARMLESS)
    said = [(tmp_path / f"{number}.out").read_text() for number in range(len(HARMLESS))]
    assert coverage["complete"], (coverage, said)
    by_name = dict(zip(HARMLESS, said, strict=True))
    assert not [name for name, text in by_name.items() if "Traceback" in text], by_name
    assert by_name["quic"] == "111\n"
    assert by_name["quic, sendto"] == "refused\n"
    assert by_name["io_uring"] == "-1 1\n"
    assert "not supported" in by_name["fast open"]


def test_a_standard_stream_that_is_a_connection_is_named(tmp_path: Path) -> None:
    script = """
import os, socket, subprocess, sys
os.chdir(sys.argv[1])
os.environ |= {"TELEMOCK_DATA": "data", "TELEMOCK_LOGS": "logs"}
server = socket.create_server(("127.0.0.1", 0))
to = socket.create_connection(server.getsockname())
done = subprocess.run([sys.executable, "-P", "-m", "app.cli", "run", "--", "echo", "sent"],
                      stdout=to, stderr=subprocess.PIPE, text=True)
print(done.stderr, to.getpeername()[1], server.accept()[0].recv(9))
"""
    netns.require()
    said = netns.run(script, str(tmp_path), network=OUTSIDE, seconds=100)
    assert "not complete: 1 connection that the command was given as a standard stream" in said
    assert f") to 127.0.0.1:{said.split()[-2]} [give it a pipe" in said
    assert said.rstrip().endswith("b'sent\\n'")


BITS_32 = """
static int call(int a, unsigned *b) {
  int r; __asm__ volatile("int $0x80" : "=a"(r) : "a"(102), "b"(a), "c"(b) : "memory"); return r; }
void _start(void) {
  static unsigned char to[16] = {2,0, 0x11,0x51, 203,0,114,9}, web[16] = {2,0, 1,0xbb, 203,0,114,9};
  static unsigned udp[3] = {2, 2, 0}, tcp[3] = {2, 1, 0};
  static unsigned char text[1];
  int u = call(1, udp), t = call(1, tcp);
  unsigned sent[6] = {u, (unsigned)text, 1, 0, (unsigned)to, 16};
  call(11, sent);
  unsigned fast[6] = {t, (unsigned)text, 1, 0x20000000, (unsigned)web, 16};
  int r = call(11, fast);
  __asm__ volatile("int $0x80" :: "a"(1), "b"(-r)); }
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="only x86 has socketcall")
def test_a_32_bit_program_is_asked_too(tmp_path: Path) -> None:
    """Static, and without a C library: it asks the kernel by socketcall."""
    (tmp_path / "a.c").write_text(BITS_32)
    how = ["-m32", "-nostdlib", "-static", "-fno-pic", "-no-pie", "-fno-stack-protector", "-O1"]
    built = subprocess.run(
        ["cc", *how, "-o", str(tmp_path / "a32"), str(tmp_path / "a.c")],
        capture_output=True, check=False,
    )  # fmt: skip
    if built.returncode:
        pytest.skip("this compiler makes no 32-bit programs")
    program = str(tmp_path / "a32")
    if subprocess.run([program], check=False).returncode < 0:
        pytest.skip("this kernel runs no 32-bit programs")
    coverage = ran(tmp_path, {"it": f"import os, subprocess\nprint(subprocess.call({program!r}))"})
    (gap,) = coverage["gaps"]
    assert gap["id"] == way.DATAGRAMS
    assert "a32 (pid" in gap["says"]
    assert (tmp_path / "0.out").read_text() == "95\n"  # EOPNOTSUPP
