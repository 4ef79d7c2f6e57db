"""`telemock run` in a network with an outside: every way past the sidecar is seen, or said."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import netns, networks
from tests.waiting import wait_for

pytestmark = pytest.mark.root

LINE = "cribl /// living the stream!\n"
URL = "https://cdn.cribl.io/telemetry/index.html?v=1"
# A machine with a default route, beyond which nobody answers: a connection that goes out hangs.
OUTSIDE = (
    *networks.WIRE,
    "addr add 10.0.0.2/24 dev eth0",
    "route add default via 10.0.0.1",
    "neigh add 10.0.0.1 lladdr 02:00:00:00:00:01 dev eth0",
    "-6 addr add fd00::2/64 dev eth0 nodad",
    "-6 route add default via fd00::1",
    "-6 neigh add fd00::1 lladdr 02:00:00:00:00:01 dev eth0",
)
RUN = """
import json, os, subprocess, sys
from tests.networks import state
os.chdir(sys.argv[1])
os.environ |= {"TELEMOCK_DATA": "data", "TELEMOCK_LOGS": "logs"}
arguments = json.loads(sys.argv[2])
before = state()
done = subprocess.run([*json.loads(sys.argv[3]), sys.executable, "-P", "-m", "app.cli", "run",
                       *arguments], capture_output=True, text=True)
print(json.dumps([done.returncode, done.stdout, done.stderr, before == state()]))
"""
ROOT = os.geteuid() == 0
UNPRIVILEGED = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if ROOT else []


class Done:
    def __init__(self, folder: Path, *arguments: str, before: list[str] | None = None) -> None:
        netns.require()
        out = netns.run(
            RUN, str(folder), json.dumps(arguments), json.dumps(before or []),
            network=OUTSIDE, seconds=110,
        )  # fmt: skip
        self.code, self.out, self.err, untouched = json.loads(out)
        assert untouched, "the machine's network was changed"
        if "--json" in arguments:
            return
        (self.verdict,) = [
            line for line in self.err.splitlines()
            if line.startswith(("telemock: complete", "telemock: not complete"))
        ]  # fmt: skip


def python(code: str) -> list[str]:
    return [sys.executable, "-c", f"import socket, sys\n{code}"]


CONNECT = """
s = socket.socket(socket.AF_INET6 if ':' in {0!r} else socket.AF_INET)
s.settimeout({2})
print(s.connect_ex(({0!r}, {1})))
"""


@pytest.mark.parametrize("mode", [[], ["--mode", "block"]], ids=["mock", "block"])
@pytest.mark.parametrize(
    ("address", "port"), [("203.0.114.9", 8443), ("2606:1::9", 8443), ("203.0.114.9", 853)]
)
def test_another_port_of_the_outside_is_named(tmp_path, address, port, mode):
    done = Done(tmp_path, *mode, "--", *python(CONNECT.format(address, port, 0.3)))
    to = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    assert (
        "not complete: 1 connection to ports other than 80, 443 and those of profiles"
        in done.verdict
    )
    assert "python (pid " in done.verdict and f") to {to} [" in done.verdict
    assert "no request" not in done.err


RAW = """
s = socket.create_connection(("203.0.114.9", 443), 10)
s.sendall(bytes(64))
"""


@pytest.mark.parametrize("before", [[], UNPRIVILEGED], ids=["root", "user"])
@pytest.mark.parametrize("address", ["203.0.114.9", "2606:1::9"])
def test_a_program_with_its_own_resolver_is_seen_by_name(tmp_path, address, before):
    """It asks no /etc/hosts and no proxy, only the address that it has found out."""
    tls = (
        f"import ssl\ns = socket.create_connection(({address!r}, 443), 10)\n"
        "s = ssl.create_default_context().wrap_socket(s, server_hostname='cdn.cribl.io')\n"
        "s.sendall(b'GET /telemetry/index.html?v=1 HTTP/1.0\\r\\nhost: cdn.cribl.io\\r\\n\\r\\n')\n"
        "print(s.makefile().read().rpartition('\\n\\n')[2], end='')"
    )
    done = Done(tmp_path, "--json", "--", *python(tls), before=before)
    assert done.out.startswith(LINE), done.err
    told = json.loads(done.out.removeprefix(LINE))
    (row,) = told["sent"]
    assert (row["host"], row["outcome"]) == ("cdn.cribl.io", "answered")
    assert row["program"].startswith("python (pid ")
    assert told["coverage"]["complete"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("mode", [[], ["--mode", "block"]], ids=["mock", "block"])
def test_openssl_is_seen_and_no_request_is_said(tmp_path, mode):
    ask = "echo | openssl s_client -connect cdn.cribl.io:443 -verify_return_error"
    done = Done(tmp_path, *mode, "--", "sh", "-c", ask)
    assert "CN = cdn.cribl.io" in done.out or "CN=cdn.cribl.io" in done.out
    assert "not complete: 1 connection to cdn.cribl.io" in done.verdict
    assert "openssl (pid " in done.err
    assert "no request to a host" not in done.err


def test_what_is_no_http_to_an_address_is_said(tmp_path):
    done = Done(tmp_path, "--", *python(RAW))
    assert "not complete: 1 connection to bare addresses, without a host's name" in done.verdict
    assert "python (pid " in done.verdict and ") to 203.0.114.9 [" in done.verdict
    assert "no request to a host" not in done.err


def test_without_transparency_the_verdict_never_says_complete(tmp_path):
    ask = python(CONNECT.format("203.0.114.9", 443, 3))
    done = Done(tmp_path, "--no-transparent", "--", *ask)
    assert "not complete: only what heeds the proxy variables was seen" in done.verdict
    assert "1 connection round the proxy, not seen: python (pid " in done.verdict
    assert ") to 203.0.114.9:443 [a transparent run leads" in done.verdict


def test_where_the_kernel_refuses_it_is_said_before_the_command_runs(tmp_path):
    """Within another run the kernel refuses."""
    inner = [sys.executable, "-P", "-m", "app.cli", "run", "--", "sh", "-c", "echo began >&2"]
    done = subprocess.run(
        [*inner[:5], "--", "env", f"TELEMOCK_DATA={tmp_path}/inner", *inner],
        cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False,
        env=os.environ | {"TELEMOCK_DATA": "data", "TELEMOCK_LOGS": "logs"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before, _, after = done.stderr.partition("began\n")
    assert "this run is not transparent (this process is watched so already" in before
    assert "telemock: not complete: only what heeds the proxy variables was seen (this" in after


OTHER_NETWORK = (
    "unshare --net sh -c 'ip link set lo up; ip route add default dev lo; exec \"$@\"' sh"
)


def test_a_container_of_the_commands_own_is_named(tmp_path):
    code = CONNECT.format("203.0.114.9", 443, 0.3)
    (tmp_path / "ask.py").write_text(f"import socket\n{code}")
    ask = f"{sys.executable} ask.py"
    done = Done(tmp_path, "--", "sh", "-c", f"{OTHER_NETWORK} {ask}")
    assert "1 connection from a network namespace of its own (a container)" in done.verdict


def test_a_child_that_survives_is_waited_for_and_what_it_sends_is_seen(tmp_path):
    ask = f"curl -sS --noproxy '*' -o out '{URL}'"
    done = Done(tmp_path, "--", "sh", "-c", f"(sleep 1; {ask}) >/dev/null 2>&1 & exit 3")
    assert done.code == 3
    assert "the command has ended, sh (pid " in done.err
    assert (tmp_path / "out").read_text() == LINE
    assert "telemock: complete: 1 request" in done.err


def test_a_child_that_survives_longer_is_named_and_connects_no_more(tmp_path):
    later = (
        "import os, socket, sys, time\nwhile os.path.exists(sys.argv[1]): time.sleep(0.05)\n"
        "open(sys.argv[2], 'w').write(str(socket.socket().connect_ex(('203.0.114.9', 443))))\n"
    )
    (tmp_path / "later.py").write_text(later)
    (tmp_path / "wait").touch()
    detached = f"{sys.executable} later.py wait result >/dev/null 2>&1 &"
    done = Done(tmp_path, "--wait", "0.2", "--", "sh", "-c", f"{detached} exit 0")
    assert "not complete: still running when the command had ended: python (pid " in done.verdict
    (tmp_path / "wait").unlink()
    wait_for(lambda: (tmp_path / "result").exists() and (tmp_path / "result").read_text(), 20)
    assert (tmp_path / "result").read_text() == "38"  # ENOSYS


def test_everything_else_works_as_before(tmp_path):
    """Servers of the command's own, UDP, local sockets, refused and unreachable destinations."""
    code = """
import threading, errno
server = socket.create_server(("0.0.0.0", 0))
def serve():
    while True:
        with server.accept()[0] as c: c.sendall(b"own")
threading.Thread(target=serve, daemon=True).start()
port = server.getsockname()[1]
assert socket.create_connection(("127.0.0.1", port)).recv(9) == b"own"
assert socket.create_connection(("10.0.0.2", port)).recv(9) == b"own"
u = socket.socket(type=socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0))
v = socket.socket(type=socket.SOCK_DGRAM); v.connect(u.getsockname()); v.send(b"x")
assert u.recv(9) == b"x"
a, b = socket.socketpair()
assert socket.socket().connect_ex(("127.0.0.1", 9)) == errno.ECONNREFUSED
assert socket.socket().connect_ex(("10.0.0.2", 443)) == errno.ECONNREFUSED
print("as before")
"""
    done = Done(tmp_path, "--", *python(code))
    assert (done.code, done.out) == (0, "as before\n"), done.err
    assert done.verdict.startswith("telemock: complete: ")


KILLED = """
import os, signal, subprocess, sys
from pathlib import Path
from tests.networks import state
from tests.waiting import wait_for
os.chdir(sys.argv[1])
os.environ |= {"TELEMOCK_DATA": "data", "TELEMOCK_LOGS": "logs"}
def mounts():
    return Path("/proc/self/mountinfo").read_text()
def running(*words):
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if path.name != str(os.getpid()) and (path / "cwd").readlink() == Path.cwd():
                line = (path / "cmdline").read_bytes().decode().replace(chr(0), " ")
                found += [(int(path.name), line)] if any(word in line for word in words) else []
        except OSError:
            pass
    return found
before = state(), mounts()
command = [sys.executable, "-c", '''
import os, socket, time
open("started.part", "w").write(str(os.getpid())); os.rename("started.part", "started")
while not os.path.exists("killed"): time.sleep(0.05)
print(*(socket.socket().connect_ex((a, 443)) for a in ("127.0.0.1", "203.0.114.9")), flush=True)
''']
out = open("out", "w")
run = subprocess.Popen([sys.executable, "-P", "-m", "app.cli", "run", "--", *command], stdout=out,
                       stderr=subprocess.DEVNULL)
wait_for(Path("started").exists, 60)
assert running("addon", "serve")
run.kill()
run.wait()
wait_for(lambda: not running("addon", "serve"), 40)
print((state(), mounts()) == before, list(Path("data").glob("hosts-*")))
Path("killed").touch()
wait_for(lambda: not running("started.part"), 20)
print(Path("out").read_text().strip())
"""


def test_killed_it_leaves_nothing_and_the_command_sends_nothing_past_it(tmp_path):
    netns.require()
    out = netns.run(KILLED, str(tmp_path), network=OUTSIDE, seconds=110).splitlines()
    assert out == ["True []", "38 38"]  # ENOSYS: there is nobody who answers the kernel
