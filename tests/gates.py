"""Runs scripts as the commands of gates, beside other programs of a machine: in a network of its
own with a way out that nobody answers at the end of."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests import netns
from tests.integration.test_run_covers import OUTSIDE

RESOLVER = "nameserver 203.0.114.53\noptions timeout:1 attempts:1\n"
NETWORK = (*OUTSIDE, "route add unreachable 198.51.100.0/24")
FLAGS = ["-nostdlib", "-static", "-fno-pic", "-no-pie", "-fno-stack-protector", "-O1"]
# The machine's other programs, and then each script, two at a time.
SCRIPT = """
import json, os, socket, subprocess, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from app.client.running import get
folder, commands, before, wait = map(json.loads, sys.argv[1:])
os.chdir(folder)
def mount(at): subprocess.run(["mount", "-t", "tmpfs", "none", at], check=True)
for at in ("/run", "/var/spool"): mount(at)
for at in ("/run/dbus", "/run/user/0", "/run/systemd/resolve", "/run/systemd/journal", "/run/nscd",
           "/run/avahi-daemon", "/var/spool/cron/crontabs", "/var/spool/cron/atjobs",
           "/var/spool/postfix/maildrop"):
    os.makedirs(at)
kept = []
def serve(sock):
    sock.listen(); kept.append(sock)
    def hand_over():
        while True:
            taken = sock.accept()[0]; kept.append(taken)
            if sock.family == socket.AF_UNIX: socket.send_fds(taken, [b"x"], [taken.fileno()])
    threading.Thread(target=hand_over, daemon=True).start()
def bound(family, kind, to):
    sock = socket.socket(family, kind); sock.bind(to); kept.append(sock)
    if isinstance(to, str) and not to.startswith("\\0"): os.chmod(to, 0o777)
    return sock
for name in ("stream", "docker.sock", "containerd.sock", "agent.1", "S.gpg-agent", "S.dirmngr"):
    serve(bound(socket.AF_UNIX, socket.SOCK_STREAM, f"{folder}/{name}"))
for name in ("/run/dbus/system_bus_socket", "/run/user/0/bus", "/run/user/0/wayland-0",
             "/run/systemd/private", "/run/systemd/resolve/io.systemd.Resolve", "/run/nscd/socket",
             "/run/avahi-daemon/socket", "\\0/tmp/.X11-unix/X0", "\\0telemock-helper"):
    serve(bound(socket.AF_UNIX, socket.SOCK_STREAM, name))
serve(bound(socket.AF_UNIX, socket.SOCK_SEQPACKET, f"{folder}/packets"))
bound(socket.AF_UNIX, socket.SOCK_DGRAM, f"{folder}/datagrams")
bound(socket.AF_UNIX, socket.SOCK_DGRAM, "/run/systemd/journal/dev-log")
slow = bound(socket.AF_UNIX, socket.SOCK_STREAM, f"{folder}/slow"); slow.listen(0)
while True:
    one = socket.socket(socket.AF_UNIX); one.setblocking(False); kept.append(one)
    if one.connect_ex(f"{folder}/slow"): break
serve(bound(socket.AF_INET, socket.SOCK_STREAM, ("0.0.0.0", 9001)))
bound(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 9002))
bound(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.53", 53))
VICTIM = '''
import ctypes, signal, socket
signal.signal(18, signal.SIG_IGN)
b, s = ctypes.create_string_buffer(9), socket.socket()
print(ctypes.addressof(b), s.fileno(), flush=True); signal.pause()
'''
victim = subprocess.Popen(["unshare", "-n", "setpriv", "--bounding-set=-all", "--inh-caps=-all",
                           sys.executable, "-c", VICTIM], stdout=subprocess.PIPE, text=True)
memory, taken = victim.stdout.readline().split()
facts = f"VICTIM, MEMORY, TAKEN = {victim.pid}, {memory}, {taken}\\n"
environ = {**os.environ, "HOME": f"{folder}/home", "TELEMOCK_DATA": f"{folder}/data",
           "TELEMOCK_LOGS": f"{folder}/logs"}
os.makedirs(f"{folder}/home")
app = subprocess.Popen([*before, sys.executable, "-P", "-m", "app.cli", "serve"],
                       env={**environ, "HOST": "127.0.0.1", "PORT": "9100"},
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
until = time.monotonic() + 60
while not get("http://127.0.0.1:9100/ready") and time.monotonic() < until: time.sleep(.1)
def run(one):
    name, (command, text) = one
    if text: open(command[-1], "w").write(text.replace("#FACTS", facts))
    seconds = wait.get(name, wait[""])
    done = subprocess.run(
        [*before, sys.executable, "-P", "-m", "app.cli", "run", "--nothing", "--json",
         "--wait", str(seconds), "--", *command],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environ)
    return name, (done.returncode, done.stdout, done.stderr)
alone = [one for one in commands.items() if "/var/spool" in one[1][1] or "HOME" in one[1][1]]
with ThreadPoolExecutor(2) as pool:
    found = dict(pool.map(run, [one for one in commands.items() if one not in alone]))
found |= dict(map(run, alone))
victim.kill()
app.terminate()
app.wait()
print(json.dumps(found))
"""


class Gate(NamedTuple):
    """`found` is the gate's document, {} if there is none."""

    code: int
    found: dict[str, Any]
    said: str

    @property
    def reasons(self) -> set[str]:
        gate = self.found.get("gate", {})
        return {one["how"] for one in gate.get("sent", ())} | {one["id"] for one in gate["gaps"]}

    @property
    def reached(self) -> str:
        return " ".join(f"to {one['to']}" for one in self.found["gate"]["sent"])


def run(
    folder: Path, scripts: Mapping[str, str], wait: Mapping[str, float], *before: str
) -> dict[str, Gate]:
    """Of each script what its gate said. Those that cannot be made here are left out."""
    netns.require()
    commands = {}
    for number, (name, script) in enumerate(scripts.items()):
        if made := _made(folder, number, script):
            commands[name] = made
    given = map(json.dumps, (str(folder), commands, before, {"": 2, **wait}))
    out = netns.run(
        SCRIPT, *given, network=NETWORK, files={"/etc/resolv.conf": RESOLVER}, seconds=1500
    )
    gates = {}
    for name, (code, stdout, stderr) in json.loads(out.splitlines()[-1]).items():
        _, brace, document = stdout.rpartition('{\n  "exit_code"')
        found = json.loads(brace + document) if brace else {}
        gates[name] = Gate(code, found, stdout + stderr)
    return gates


def _made(folder: Path, number: int, script: str) -> tuple[list[str], str] | None:
    kind, colon, text = script.partition(":")
    at = str(folder / f"w{number}")
    match kind if colon else "":
        case "sh":
            return ["sh", f"{at}.sh"], text.strip()
        case "c" | "c32":
            (folder / f"w{number}.c").write_text(text)
            bits = ["-m32"] if kind == "c32" else []
            if shutil.which("cc") is None:
                return None
            built = subprocess.run(["cc", *bits, *FLAGS, "-o", at, f"{at}.c"], check=False)
            return None if built.returncode else ([at], "")
    head = f"import socket, sys\nHELPER = {str(folder)!r}\n#FACTS\n"
    return [sys.executable, f"{at}.py"], f"{head}{script}\n"
