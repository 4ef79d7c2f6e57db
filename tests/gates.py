"""Runs scripts as the commands of gates, beside other programs of a machine: in a network of its
own with a way out that nobody answers at the end of."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests import netns
from tests.integration.test_run_covers import OUTSIDE
from tests.integration.test_run_user import REACH, UID

# Without any right, or a way to gain one.
AS_A_USER = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--no-new-privs",
             "--bounding-set=-all", "--inh-caps=-all")  # fmt: skip
RESOLVER = "nameserver 203.0.114.53\noptions timeout:1 attempts:1\n"
# It answers for `allowed.example` alone, and nobody else's question.
STUB = RESOLVER.replace("203.0.114.53", "127.0.0.53")
NETWORK = (*OUTSIDE, "route add unreachable 198.51.100.0/24")
FLAGS = ["-nostdlib", "-static", "-fno-pic", "-no-pie", "-fno-stack-protector", "-O1"]
# The machine's other programs, then the gates. In a process namespace of its own: a process that
# begins later has a higher number.
SCRIPT = """
import os
if os.getpid() != 1:
    words = open("/proc/self/cmdline").read().split("\\0")[:-1]
    os.execvp("unshare", ["unshare", "-pf", "--mount-proc", "--kill-child", *words])
import contextlib, json, os, socket, struct, subprocess, sys, threading
folder, files, runs, before, reach = map(json.loads, sys.argv[1:])
root = os.getcwd()
if before: exec(reach)
os.chdir(folder)
for at in ("/run", "/var/spool"):
    subprocess.run(["mount", "-t", "tmpfs", "none", at], check=True)
for at in ("/run/dbus", "/run/user/0", "/run/systemd/resolve", "/run/systemd/journal", "/run/nscd",
           "/run/systemd/userdb", "/run/avahi-daemon", "/var/spool/cron/crontabs",
           "/var/spool/cron/atjobs", "/var/spool/postfix/maildrop"):
    os.makedirs(at)
kept = []
def serve(sock):
    sock.listen(); kept.append(sock)
    def hand_over():
        while True:
            taken = sock.accept()[0]; kept.append(taken)
            with contextlib.suppress(OSError):
                if sock.family == socket.AF_UNIX:
                    socket.send_fds(taken, [b"x"], [taken.fileno()])
    threading.Thread(target=hand_over, daemon=True).start()
def bound(family, kind, to):
    sock = socket.socket(family, kind); kept.append(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); sock.bind(to)
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
for name in (b"\\0\\xff\\xfehelper", b"\\0tele\\0mock"):
    bound(socket.AF_UNIX, socket.SOCK_DGRAM, name)
slow = bound(socket.AF_UNIX, socket.SOCK_STREAM, f"{folder}/slow"); slow.listen(0)
while True:
    one = socket.socket(socket.AF_UNIX); one.setblocking(False); kept.append(one)
    if one.connect_ex(f"{folder}/slow"): break
serve(bound(socket.AF_INET, socket.SOCK_STREAM, ("0.0.0.0", 9001)))
bound(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 9002))
bound(socket.AF_INET, socket.SOCK_DGRAM, ("0.0.0.0", 9003))
stub = bound(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.53", 53))
ADDRESSES = {1: socket.inet_pton(socket.AF_INET, "203.0.114.9"),
             28: socket.inet_pton(socket.AF_INET6, "2606:1::9")}
def resolve():
    while True:
        asked, client = stub.recvfrom(512)
        end = asked.index(0, 12) + 5
        found = ADDRESSES.get(int.from_bytes(asked[end - 4:end - 2]))
        if found and asked[12:end - 4] == b"\\7allowed\\7example\\0":
            answer = b"\\xc0\\x0c" + asked[end - 4:end] + struct.pack("!IH", 60, len(found)) + found
            head = asked[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0)
            stub.sendto(head + asked[12:end] + answer, client)
threading.Thread(target=resolve, daemon=True).start()
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
           "TELEMOCK_LOGS": f"{folder}/logs", "PYTHONPATH": root}
os.makedirs(f"{folder}/home")
if before: subprocess.run(["chown", "-R", "12345", folder], check=True)
for file, text in files.items():
    open(file, "w").write(text.replace("#FACTS", facts))
def run(command, *given):
    done = subprocess.run(
        [*before, sys.executable, "-P", "-m", "app.cli", "run", *given, "--json", "--", *command],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environ)
    return done.returncode, done.stdout, done.stderr
found = [run(command, *given) for command, given in runs]
victim.kill()
print(json.dumps(found))
"""


class Gate(NamedTuple):
    """What one gate said: its exit code, its document ({} without one), and all of it as text."""

    code: int
    found: dict[str, Any]
    said: str

    def reasons(self, pids: range | None = None) -> set[str]:
        """Ids of what was sent and of gaps; those that name one of these processes."""
        gate = self.found["gate"]
        named = [(one["how"], [one["by"]]) for one in gate["sent"]]
        named += [(gap["id"], gap["who"]) for gap in gate["gaps"]]
        return {id for id, who in named if _names(who, pids)}

    def reached(self, pids: range | None = None) -> str:
        sent = self.found["gate"]["sent"]
        to = " ".join(f"to {one['to']}" for one in sent if _names([one["by"]], pids))
        return to.replace("[", "").replace("]", "")


class Tried(NamedTuple):
    """One of many scripts of one gate: its exit code, and what the gate said of its processes."""

    code: int
    reasons: set[str]
    reached: str
    said: str


def _names(who: list[str], pids: range | None) -> bool:
    numbers = [int(pid) for one in who for pid in re.findall(r"\(pid (\d+)\)", one)]
    return pids is None or any(pid in pids for pid in numbers)


def together(
    folder: Path, scripts: Mapping[str, str], *before: str
) -> tuple[Gate, dict[str, Tried]]:
    """One gate of all scripts, one after the other. Those that cannot be made here are left out."""
    made = {name: _made(folder, n, script) for n, (name, script) in enumerate(scripts.items())}
    files, lines, names = {}, [], []
    for name, one in made.items():
        if one is None:
            continue
        command, text = one
        if text:
            files[command[-1]] = text
        at = folder / f"said{len(names)}"
        lines.append(
            f"{shlex.join(command)} >{at}.out 2>&1 & echo $! >{at}.pid; wait $!; echo $? >{at}.code"
        )
        names.append(name)
    files[str(folder / "all.sh")] = "\n".join(lines)
    (gate,) = _run(folder, files, [(["sh", str(folder / "all.sh")], ["--nothing"])], *before)
    began = [int(_said(folder, n, "pid")) for n in range(len(names))]
    tried = {}
    for n, name in enumerate(names):
        pids = range(began[n], began[n + 1] if n + 1 < len(names) else sys.maxsize)
        code = int(_said(folder, n, "code"))
        tried[name] = Tried(code, gate.reasons(pids), gate.reached(pids), _said(folder, n, "out"))
    return gate, tried


def _said(folder: Path, number: int, what: str) -> str:
    return (folder / f"said{number}.{what}").read_text()


def alone(
    folder: Path, scripts: Mapping[str, tuple[str, Sequence[str]]], *before: str,
    resolver: str = RESOLVER,
) -> dict[str, Gate]:  # fmt: skip
    """Each script's own gate, with these options: `--nothing`, where they name no contract."""
    files, runs = {}, []
    for number, (script, given) in enumerate(scripts.values()):
        made = _made(folder, number, script)
        assert made is not None
        command, files[made[0][-1]] = made
        runs.append((command, [*([] if "--contract" in given else ["--nothing"]), *given]))
    found = _run(folder, files, runs, *before, resolver=resolver)
    return dict(zip(scripts, found, strict=True))


def _run(
    folder: Path, files: Mapping[str, str], runs: Sequence[tuple[Sequence[str], Sequence[str]]],
    *before: str, resolver: str = RESOLVER,
) -> list[Gate]:  # fmt: skip
    netns.require()
    given = map(json.dumps, (str(folder), files, runs, before, REACH))
    out = netns.run(
        SCRIPT, *given, network=NETWORK, files={"/etc/resolv.conf": resolver}, seconds=900
    )
    gates = []
    for code, stdout, stderr in json.loads(out.splitlines()[-1]):
        _, brace, document = stdout.rpartition('{"exit_code"')
        gates.append(Gate(code, json.loads(brace + document) if brace else {}, stdout + stderr))
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
