"""The redirect: connections to the dummy addresses of telemetry hosts reach the sidecar; with
`--mode all` every connection to a web port does.

Run as `python -m addon.redirect`: by the pod's init container, which leaves the redirect behind,
and by `telemock run --transparent`, which holds it (`--hold`) until its command has ended. Needs
CAP_NET_ADMIN, `nft` and `ip`. Idempotent: what an earlier run left is replaced in one transaction.
"""

import argparse
import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from ipaddress import ip_address

from addon import ready
from addon.ruleset import PORTS, TABLE, Dummy, ruleset
from app.contract import names
from app.contract.cores import no_core_dumps

CONNECT_SECONDS = 2.0
# Addresses of nobody, for documentation: what `all` is proved with. Nothing is sent there.
NOBODY = {4: "198.51.100.1", 6: "2001:db8::1"}
_LOCK = "\0telemock-redirect"  # an abstract socket: one a network namespace, gone with its process
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")


class RedirectError(Exception):
    """The redirect could not be made, proved or removed. The text is meant for people, whole."""


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
    return found


def usable(dummies: Sequence[Dummy]) -> list[Dummy]:
    """The dummies of the address families that this network namespace has."""
    return [d for d in dummies if d.address.version in families()]


def families() -> tuple[int, ...]:
    """The versions of IP that this network namespace has."""
    return (4, 6) if _has_ipv6() else (4,)


def apply(dummies: Sequence[Dummy], port: int, everything: Sequence[int] = ()) -> None:
    """Routes for the addresses, so that they work without any other route, and the nft table.
    `everything`: the versions of IP of which all connections to web ports are redirected.

    Raises RedirectError; then nothing of it is left.
    """
    try:
        for dummy in dummies:
            _tool("ip", f"-{dummy.address.version}", *_route("replace", dummy))
        _tool("nft", "-f", "-", text=ruleset(dummies, port, everything))
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


def prove_all(version: int, port: int) -> None:
    """One connection to an address of nobody must be accepted and counted by the redirect. Where
    there is no route to anywhere there is nothing to redirect, and nothing to prove.

    Raises RedirectError with what is wrong when it is not.
    """
    before = _redirected(version, "all")
    try:
        socket.create_connection((NOBODY[version], PORTS[-1]), CONNECT_SECONDS).close()
    except OSError as e:
        if e.errno in _NO_ROUTE:
            return
        raise RedirectError(
            f"a connection to {NOBODY[version]}, which stands for any other address, did not reach "
            f"the sidecar: {e}\n\nhint: the sidecar must listen on port {port} of "
            f"{'127.0.0.1' if version == 4 else '::1'} before the redirect is made"
        ) from None
    if _redirected(version, "all") <= before:
        raise RedirectError(
            f"a connection to {NOBODY[version]} was accepted, but not by the redirect\n\n"
            "hint: another rule takes it first: see nft list ruleset and ip rule"
        )


_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)


def _route(verb: str, dummy: Dummy) -> list[str]:
    return ["route", verb, "local", str(dummy.address), "dev", "lo"]


def _redirected(version: int, what: str = "redirected") -> int:
    """Connections that the redirect has taken."""
    counter = f"{what}{version}"
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
    no_core_dumps()
    parser = argparse.ArgumentParser(prog="python -m addon.redirect", description=__doc__)
    parser.add_argument(
        "--hosts",
        default=os.environ.get("TELEMOCK_HOSTS", ""),
        help="ADDRESS=HOST, …",
    )
    parser.add_argument(
        "--mode",
        choices=("hosts", "all"),
        default="hosts",
        help="all: every connection to ports 80 and 443, but the sidecar's own",
    )
    parser.add_argument("--port", type=int, default=names.PORT_PROXY, help="of the sidecar")
    parser.add_argument(
        "--wait",
        action="store_true",
        help="before the proof, until the sidecar at TELEMOCK_HEALTH_HOST is ready",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--remove", action="store_true", help="take the redirect away")
    what.add_argument("--hold", action="store_true", help="keep it until standard input closes")
    given = parser.parse_args(arguments)
    try:
        return _run(
            parse(given.hosts),
            given.port,
            everything=given.mode == "all",
            wait=given.wait,
            remove_only=given.remove,
            hold=given.hold,
        )
    except (RedirectError, ready.NotReady) as e:
        print(f"error: {e}", file=sys.stderr)
        return 1


def _run(
    named: Sequence[Dummy],
    port: int,
    *,
    everything: bool,
    wait: bool,
    remove_only: bool,
    hold: bool,
) -> int:
    if not named and not everything:
        raise RedirectError(
            "--hosts names no address\n\nhint: it takes ADDRESS=HOST, comma separated"
        )
    dummies = usable(named)
    everywhere = families() if everything else ()
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
        if wait:  # else the kernel spares the first process of a container
            # No exception: where the signal comes upon a destructor, Python would swallow it.
            signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
        apply(dummies, port, everywhere)
        try:
            if wait:
                ready.wait(ready.WAIT_SECONDS)
            prove(dummies, port)
            for version in everywhere:
                prove_all(version, port)
        except (RedirectError, ready.NotReady):
            remove(dummies)
            raise
        done = [f"{d.address} ({d.host})" for d in dummies]
        done += [f"all of IPv{version}" for version in everywhere]
        print(f"redirected: {', '.join(done)}", flush=True)
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
