"""The machines of the bench: a pod, the Internet and the cluster, as network namespaces.

`enter` starts the bench again inside namespaces of processes, mounts and networks of its own, in
which a `Lab` then is made. When that process ends, however it ends, the kernel ends every process
below it and takes networks and mounts away. The folder goes too, unless by SIGKILL.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import trustme

from app.contract.names import SIDECAR_UID

ROOT = Path(__file__).parents[2]
TOOLS = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

TELEMETRY = "cdn.cribl.io"  # intercepted
WEB, BULK = "web.example.test", "bulk.example.test"  # other traffic
POD = "10.77.0.1"  # towards the cluster
POD_OUT = "10.78.0.1"  # towards the Internet
APP = "10.77.0.2"
PORT_OTLP = 4318  # of the collector, beside the app
ADDRESSES = {WEB: "10.78.0.2", BULK: "10.78.0.3"}
DUMMIES = {4: "192.0.2.1", 6: "100::1"}

REST_S = 120.0  # a proxy may keep an idle client for a minute, and the kernel what is half closed
_POD_HEX = "".join(f"{int(x):02X}" for x in reversed(POD_OUT.split(".")))
# States of /proc/net/tcp in which a connection still sends: not FIN_WAIT2, TIME_WAIT and LISTEN.
_OPEN = frozenset(("01", "02", "03", "04", "08", "09", "0B"))

# Deletes all tracked connections (ctnetlink's IPCTNL_MSG_CT_DELETE without a filter, of
# linux/netfilter/nfnetlink_conntrack.h), and waits for the answer: as `conntrack -F` does.
_FORGET = """
import socket, struct
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as s:
    s.send(struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 5, 1, 0, 0, 0, 0))
    said = struct.unpack_from("=i", s.recv(4096), 16)[0]
    if said not in (0, -22):  # -EINVAL: nothing was ever tracked
        raise OSError(-said, "the tracked connections stay")
"""
_INSIDE = "TELEMOCK_BENCH_FOLDER"
_NEEDED = ("unshare", "nsenter", "setpriv", "taskset", "ip", "nft", "sysctl", "mount")


class BenchError(Exception):
    """The text is meant for people, whole."""


def tool(name: str) -> str | None:
    return shutil.which(name, path=TOOLS)


def enter(module: str, arguments: Sequence[str]) -> int:
    """Runs `python -m module arguments` inside; its exit code. Raises BenchError."""
    if os.geteuid():
        raise BenchError(
            "the bench needs root: it makes network namespaces and runs proxies as another user\n\n"
            f"hint: sudo {sys.executable} -m {module}"
        )
    if missing := [name for name in _NEEDED if tool(name) is None]:
        raise BenchError(
            f"not installed: {', '.join(missing)}\n\n"
            "hint: apt install util-linux iproute2 nftables procps"
        )

    def ended(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, ended)
    with tempfile.TemporaryDirectory(prefix="telemock-bench-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid"]
        command += ["--fork", "--kill-child", "--mount-proc", sys.executable, "-m", module]
        environ = {**os.environ, "PATH": TOOLS, _INSIDE: made, "PYTHONPATH": str(ROOT)}
        return subprocess.run([*command, *arguments], env=environ, cwd=ROOT, check=False).returncode


def folder() -> Path | None:
    """The folder of this run, if we are inside."""
    return Path(os.environ[_INSIDE]) if _INSIDE in os.environ else None


def run(*command: object, text: str | None = None) -> str:
    """Runs a command; returns its output. Raises BenchError when it fails."""
    words = list(map(str, command))
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(words)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


class Lab:
    """The cluster is the bench's own namespace: it asks the sidecars for their health as a kubelet
    does, from outside the pod.

    `ca`: certificate (PEM) of the real hosts, and of every proxy but telemock's. `bytecode`: where
    Python keeps what it compiled for the proxies.
    """

    def __init__(self, where: Path) -> None:
        self.folder = where
        run("mount", "-t", "tmpfs", "tmpfs", "/run")  # where `ip` keeps names of namespaces
        run("ip", "link", "set", "lo", "up")
        for name in ("pod", "internet"):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
            # Some machines' default, bbr, sends by timers: on a wire of no length it takes twice
            # the processor time. reno is the one that each namespace may choose.
            self.inside(name, "sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno")
        self._link("cluster", "pod", POD, APP)
        self._link("internet", "pod", POD_OUT, *ADDRESSES.values())
        run("ip", "-n", "pod", "route", "add", "default", "via", ADDRESSES[WEB])
        settings = ("ip_local_port_range=10240 65000", "ip_unprivileged_port_start=0")
        self.inside("pod", "sysctl", "-qw", *(f"net.ipv4.{x}" for x in settings))
        for version, address in DUMMIES.items():
            route = ("route", "replace", "local", address, "dev", "lo")
            run("ip", "-n", "pod", f"-{version}", *route)
        self._hosts = where / "hosts"
        self.name("")
        run("mount", "--bind", self._hosts, "/etc/hosts")
        self._certify()

    def _link(self, far: str, near: str, address: str, *others: str) -> None:
        """A wire between two namespaces."""
        ends = f"to-{far}", f"from-{far}"
        there = os.getpid() if far == "cluster" else far
        run("ip", "link", "add", ends[0], "netns", near, "type", "veth", "peer", "name", ends[1],
            "netns", there)  # fmt: skip
        self.inside(near, "ip", "addr", "add", f"{address}/24", "dev", ends[0])
        self.inside(near, "ip", "link", "set", ends[0], "up")
        for other in others:
            self.inside(far, "ip", "addr", "add", f"{other}/24", "dev", ends[1])
        self.inside(far, "ip", "link", "set", ends[1], "up")

    def _certify(self) -> None:
        """The same authority for all, with an EC key as telemock makes it."""
        ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
        leaf = ca.issue_cert(TELEMETRY, WEB, BULK, key_type=trustme.KeyType.ECDSA)
        self.ca = self.folder / "ca.pem"
        self.certificate, self.key = self.folder / "server.pem", self.folder / "server.key"
        ca.cert_pem.write_to_path(str(self.ca))
        leaf.private_key_pem.write_to_path(str(self.key))
        for blob in leaf.cert_chain_pems:
            blob.write_to_path(str(self.certificate), append=True)
        self.confdir = self.folder / "mitmproxy"
        self.confdir.mkdir()
        self.bytecode = self.folder / "bytecode"
        self.bytecode.mkdir()
        for made in (self.confdir, self.bytecode):
            os.chown(made, SIDECAR_UID, SIDECAR_UID)
        self.key.chmod(0o644)  # of this run only
        both = ca.private_key_pem.bytes() + ca.cert_pem.bytes()
        (self.confdir / "mitmproxy-ca.pem").write_bytes(both)

    def within(self, place: str) -> list[str]:
        """The prefix that runs a command in that place."""
        return [] if place == "cluster" else ["nsenter", f"--net=/run/netns/{place}"]

    def inside(self, place: str, *command: object, text: str | None = None) -> str:
        return run(*self.within(place), *command, text=text)

    def name(self, telemetry: str) -> None:
        """Gives the telemetry host this address in /etc/hosts, as the pod's hostAliases do."""
        names = {"localhost": "127.0.0.1", **ADDRESSES}
        if telemetry:
            names[TELEMETRY] = telemetry
        self._hosts.write_text("".join(f"{address} {name}\n" for name, address in names.items()))

    def redirect(self, rules: str) -> None:
        """Loads these nft rules in the pod, in place of all others, and forgets the connections
        that the others translated: while no rule tracks, their ends go unseen, and a new one from
        the same port would be led where an old one was."""
        self.inside("pod", "nft", "-f", "-", text=f"flush ruleset\n{rules}")
        self.inside("pod", sys.executable, "-c", _FORGET)

    def loopback_packets(self) -> int:
        """Packets on the pod's loopback so far. Only connections with a proxy in the pod count,
        because the bench asks from outside."""
        said = self.inside("pod", "cat", "/proc/net/dev")
        (line,) = (x for x in said.splitlines() if x.strip().startswith("lo:"))
        return int(line.split(":")[1].split()[1])

    def come_to_rest(self) -> None:
        """Waits until every connection of the pod with the Internet has ended. The rules must be
        those it was made with: what they translate, others do not, and its last packets, three on
        the loopback for a connection that is closed after them, would be taken for somebody else's.
        So BenchError when some have not ended within REST_S."""
        deadline = time.monotonic() + REST_S
        at_rest = 0
        while at_rest < 2:  # the kernel gives the table in pieces, and one may move between two
            at_rest = 0 if self._open() else at_rest + 1
            if time.monotonic() > deadline:
                raise BenchError(
                    f"connections of the pod stay open for {REST_S:g} s: their last packets would "
                    "be counted with another system's\n\nhint: stop what else is busy here"
                )
            time.sleep(0.02)

    def _open(self) -> bool:
        lines = self.inside("pod", "cat", "/proc/net/tcp").splitlines()[1:]
        return any(_POD_HEX in line and line.split()[3] in _OPEN for line in lines)

    def tracked(self) -> int:
        """Connections that the pod's connection tracking keeps."""
        try:
            return int(self.inside("pod", "cat", "/proc/sys/net/netfilter/nf_conntrack_count"))
        except BenchError:  # the module is not loaded: nothing is tracked
            return 0
