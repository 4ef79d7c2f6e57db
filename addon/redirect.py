"""The redirect of the `hosts` mode: connections to the dummy addresses of telemetry hosts, and no
other packet, reach the sidecar.

Run as `python -m addon.redirect`: by the pod's init container, which leaves the redirect behind,
and by `telemock run --transparent`, which holds it (`--hold`) until its command has ended. Needs
CAP_NET_ADMIN, `nft` and `ip`. Idempotent: what an earlier run left is replaced in one transaction.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from app.contract import names

TABLE = "telemock"
# Before the chains of a mesh (-100), so that it sees what the sidecar does with the connection.
PRIORITY = -101
PORTS = (80, 443)
CONNECT_SECONDS = 2.0
_LOCK = "\0telemock-redirect"  # an abstract socket: one a network namespace, gone with its process
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")

Address = IPv4Address | IPv6Address


class RedirectError(Exception):
    """The redirect could not be made, proved or removed. The text is meant for people, whole."""


class Dummy(NamedTuple):
    """An address that is never assigned, and the telemetry host it stands for."""

    address: Address
    host: str


def parse(text: str) -> list[Dummy]:
    """`ADDRESS=HOST`, comma separated, as in TELEMOCK_HOSTS. Raises RedirectError."""
    found = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        address, _, host = item.partition("=")
        try:
            number = ip_address(address.strip().strip("[]"))
        except ValueError:
            number = None
        host = host.strip().lower()
        if number is None or not _HOST.fullmatch(host):
            raise RedirectError(
                f"--hosts has {item!r}, expected ADDRESS=HOST\n\n"
                f"hint: such as {names.DUMMY_IPV4}1=cdn.cribl.io,{names.DUMMY_IPV6}1=cdn.cribl.io"
            )
        found.append(Dummy(number, host))
    if not found:
        raise RedirectError(
            "--hosts names no address\n\nhint: it takes ADDRESS=HOST, comma separated"
        )
    return found


def ruleset(dummies: Sequence[Dummy], port: int) -> str:
    """nft's input for the whole table: TCP 80 and 443 to the addresses go to `port` on loopback,
    whatever else is sent to them is refused at once, so that HTTP/3 clients fall back to TCP.

    The first two lines make it replace an earlier table, or none, in one transaction.
    """
    parts, redirects, refusals = [], [], []
    for family, version, kind in (("ip", 4, "ipv4_addr"), ("ip6", 6, "ipv6_addr")):
        addresses = sorted({d.address for d in dummies if d.address.version == version}, key=int)
        if not addresses:
            continue
        elements = ", ".join(map(str, addresses))
        parts.append(f"  set hosts{version} {{ type {kind}; elements = {{ {elements} }}; }}")
        parts.append(f"  counter redirected{version} {{ }}")
        to = f"    {family} daddr @hosts{version}"
        ports = ", ".join(map(str, PORTS))
        redirects.append(
            f"{to} tcp dport {{ {ports} }} counter name redirected{version} redirect to :{port}"
        )
        # Not the answers: a client of a dummy address has that address as its own source too.
        refusals.append(f"{to} ct direction original counter reject")
    return "\n".join(
        [
            f"add table inet {TABLE}",
            f"delete table inet {TABLE}",
            f"table inet {TABLE} {{",
            *parts,
            "  chain to_sidecar {",
            f"    type nat hook output priority {PRIORITY}; policy accept;",
            *redirects,
            "  }",
            "  chain refused {",
            "    type filter hook output priority 0; policy accept;",
            *refusals,
            "  }",
            "}",
            "",
        ]
    )


def usable(dummies: Sequence[Dummy]) -> list[Dummy]:
    """The dummies of the address families that this network namespace has."""
    return [d for d in dummies if d.address.version == 4 or _has_ipv6()]


def apply(dummies: Sequence[Dummy], port: int) -> None:
    """Routes for the addresses, so that they work without any other route, and the nft table.

    Raises RedirectError; then nothing of it is left.
    """
    try:
        for dummy in dummies:
            _tool("ip", f"-{dummy.address.version}", *_route("replace", dummy))
        _tool("nft", "-f", "-", text=ruleset(dummies, port))
    except RedirectError:
        remove(dummies)
        raise


def remove(dummies: Sequence[Dummy]) -> list[str]:
    """Takes the table and the routes away, also where only some of them exist.

    Returns what could not be removed, as sentences.
    """
    left = []
    try:
        _tool("nft", "-f", "-", text=f"add table inet {TABLE}\ndelete table inet {TABLE}\n")
    except RedirectError as e:
        left.append(str(e))
    for dummy in dummies:
        try:
            _tool("ip", f"-{dummy.address.version}", *_route("del", dummy))
        except RedirectError as e:
            if "No such process" not in str(e):  # the route is not there
                left.append(str(e))
    return left


def prove(dummies: Sequence[Dummy], port: int) -> None:
    """One connection to a dummy of each family must be accepted and counted by the redirect.

    Raises RedirectError with what is wrong when it is not.
    """
    for version, dummy in {d.address.version: d for d in dummies}.items():
        before = _redirected(version)
        try:
            socket.create_connection((str(dummy.address), PORTS[-1]), CONNECT_SECONDS).close()
        except OSError as e:
            raise RedirectError(
                f"a connection to {dummy.address} ({dummy.host}) did not reach the sidecar: {e}\n\n"
                f"hint: the sidecar must listen on port {port} of "
                f"{'127.0.0.1' if version == 4 else '::1'} before the redirect is made"
            ) from None
        if _redirected(version) <= before:
            raise RedirectError(
                f"a connection to {dummy.address} ({dummy.host}) was accepted, but not by the"
                " redirect\n\nhint: another rule takes it first: see nft list ruleset and ip rule"
            )


def _route(verb: str, dummy: Dummy) -> list[str]:
    return ["route", verb, "local", str(dummy.address), "dev", "lo"]


def _redirected(version: int) -> int:
    """Connections that the redirect has taken."""
    counter = f"redirected{version}"
    listed = json.loads(_tool("nft", "-j", "list", "counter", "inet", TABLE, counter))
    found = [int(o["counter"]["packets"]) for o in listed["nftables"] if "counter" in o]
    return sum(found)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
            s.bind(("::1", 0))
    except OSError:
        return False
    return True


def _tool(name: str, *arguments: str, text: str = "") -> str:
    """Runs nft or ip and returns its output. Raises RedirectError with its last line."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        package = {"nft": "nftables", "ip": "iproute2"}[name]
        raise RedirectError(f"{name} is not installed\n\nhint: install the package {package}")
    done = subprocess.run([path, *arguments], input=text, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
        hint = ""
        if "Operation not permitted" in said:
            hint = "\n\nhint: this needs CAP_NET_ADMIN in the network namespace (root has it)"
        raise RedirectError(f"{name} {' '.join(arguments)}: {said}{hint}")
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 not possible (a sentence on stderr says why), 2 wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m addon.redirect", description=__doc__)
    parser.add_argument(
        "--hosts",
        default=os.environ.get("TELEMOCK_HOSTS", ""),
        help="ADDRESS=HOST, …",
    )
    parser.add_argument("--port", type=int, default=names.PORT_PROXY, help="of the sidecar")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--remove", action="store_true", help="take the redirect away")
    what.add_argument("--hold", action="store_true", help="keep it until standard input closes")
    given = parser.parse_args(arguments)
    try:
        return _run(given.hosts, given.port, remove_only=given.remove, hold=given.hold)
    except RedirectError as e:
        print(f"error: {e}", file=sys.stderr)
        return 1


def _run(hosts: str, port: int, *, remove_only: bool, hold: bool) -> int:
    dummies = usable(parse(hosts))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as lock:
        try:
            lock.bind(_LOCK)
        except OSError:
            raise RedirectError(
                "another telemock holds the redirect of this network namespace\n\n"
                "hint: wait until that `telemock run --transparent` has ended"
            ) from None
        if remove_only:
            return _report_left(remove(dummies))
        # However the parent ends, also interrupted together with us: the redirect goes.
        if hold:
            for number in (signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, lambda *_: os.close(0))
        apply(dummies, port)
        try:
            prove(dummies, port)
        except RedirectError:
            remove(dummies)
            raise
        print(f"redirected: {', '.join(f'{d.address} ({d.host})' for d in dummies)}", flush=True)
        if not hold:
            return 0
        try:
            while os.read(0, 4096):
                pass
        except OSError:  # closed by the signal
            pass
        return _report_left(remove(dummies))


def _report_left(left: Sequence[str]) -> int:
    for sentence in left:
        print(f"error: {sentence}", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
