"""The redirect: connections to the dummy addresses of telemetry hosts reach the sidecar; with
`--mode all` every connection to a web port does.

Run as `python -m addon.redirect` by the pod's init container, which leaves the redirect behind. By
hand it also tells addresses that are free (`--choose`), and holds a redirect while somebody looks
at it (`--hold`). Needs CAP_NET_ADMIN, `nft` and `ip`. Idempotent: what an earlier run left is
replaced, the nft table in one transaction.

Nothing of the machine's own is changed: addresses that collide with its network are refused before
anything is done, and only a table and routes that are known as ours are ever removed.
"""

import argparse
import contextlib
import errno
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from types import MappingProxyType

from addon import ready
from addon.redirect import ranges, routes, tool
from addon.redirect.ruleset import CHAINS, OBJECTS, TABLE, Dummy, ruleset
from addon.redirect.tool import RedirectError
from app.contract import dummies as pool
from app.contract import names
from app.contract.cores import no_core_dumps
from app.contract.settings import listed

CONNECT_SECONDS = 2.0
_PROVED = names.WEB_PORTS["https"]  # the port that the proof connects to
_LOCK = "\0telemock-redirect"  # abstract socket: one per network namespace, gone with its process
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")


def parse(text: str) -> list[Dummy]:
    """`ADDRESS=HOST`, comma separated, as in TELEMOCK_HOSTS. Raises RedirectError."""
    found = []
    for item in listed(text):
        address, _, host = item.partition("=")
        try:
            number = ip_address(address.strip().strip("[]"))
        except ValueError:
            number = None
        host = host.strip().lower()
        if number is None or not _HOST.fullmatch(host):
            raise RedirectError(
                f"--hosts has {item!r}, expected ADDRESS=HOST\n\n"
                "hint: such as 192.0.2.1=cdn.cribl.io,100::1=cdn.cribl.io"
            )
        found.append(Dummy(number, host))
    return found


def usable(dummies: Sequence[Dummy]) -> list[Dummy]:
    """The dummies of the address families that this network namespace has."""
    return [d for d in dummies if d.address.version in tool.families()]


def apply(
    dummies: Sequence[Dummy],
    port: int,
    everything: Sequence[int] = (),
    more: Mapping[str, Sequence[int]] = MappingProxyType({}),
) -> None:
    """Adds routes for the addresses, so that they work without any other route, and the nft table.
    `everything`: IP versions whose connections to web ports are all redirected. `more`: other ports
    of hosts.

    Raises RedirectError, after all of ours was removed.
    """
    try:
        routes.put([d.address for d in dummies])
        tool.run("nft", "-f", "-", text=ruleset(dummies, port, everything, more))
    except RedirectError:
        remove()
        raise


def remove() -> list[str]:
    """Removes our table and our routes, even if only some of them exist.

    Returns what could not be removed, as sentences.
    """
    left = []
    try:
        if _table():
            tool.run("nft", "-f", "-", text=f"delete table inet {TABLE}\n")
    except RedirectError as e:
        left.append(str(e))
    try:
        routes.put([])
    except RedirectError as e:
        left.append(str(e))
    return left


def _table() -> bool:
    """True if our table exists. Raises RedirectError if it is somebody else's by the same name."""
    listed = json.loads(tool.run("nft", "-j", "list", "tables"))["nftables"]
    if not any(
        (row["table"]["family"], row["table"]["name"]) == ("inet", TABLE)
        for row in listed
        if "table" in row
    ):
        return False
    rows = json.loads(tool.run("nft", "-j", "list", "table", "inet", TABLE))["nftables"]
    found = {(kind, row[kind].get("name")) for row in rows for kind in row}
    found = {(kind, name) for kind, name in found if kind not in ("metainfo", "table", "rule")}
    if found <= OBJECTS and {("chain", name) for name in CHAINS} <= found:
        return True
    more = ", ".join(f"{kind} {name}" for kind, name in sorted(found - OBJECTS)) or "no chain of it"
    raise RedirectError(
        f"the nft table inet {TABLE} is none that telemock made ({more})\n\n"
        "hint: rename or delete it: see nft list table inet telemock"
    )


def prove(dummies: Sequence[Dummy], port: int) -> None:
    """Checks that the redirect accepts and counts one connection to a dummy of each family.

    Raises RedirectError with the reason if it does not.
    """
    for version, dummy in {d.address.version: d for d in dummies}.items():
        _prove(version, str(dummy.address), f" ({dummy.host})", port, "redirected")


def prove_all(version: int, port: int) -> None:
    """Checks that the redirect accepts and counts one connection to an unused address. Without a
    default route there is nothing to redirect, and nothing to prove.

    Raises RedirectError with the reason if it does not.
    """
    nobody = ranges.nobody(version)
    _prove(version, nobody, ", which stands for any other address,", port, "all")


def _prove(version: int, address: str, what: str, port: int, counter: str) -> None:
    before = _redirected(version, counter)
    try:
        with socket.create_connection((address, _PROVED), CONNECT_SECONDS) as c:
            if counter != "all":
                with contextlib.suppress(ConnectionError):  # it arrived, and a rehearsal reset it
                    c.sendall(names.REDIRECT_PROOF)
    except OSError as e:
        if counter == "all" and e.errno in _NO_ROUTE:
            return
        raise RedirectError(
            f"a connection to {address}{what} did not reach the sidecar: {e}\n\n"
            f"hint: the sidecar must listen on port {port} of "
            f"{'127.0.0.1' if version == 4 else '::1'} before the redirect is made"
        ) from None
    if _redirected(version, counter) <= before:
        raise RedirectError(
            f"a connection to {address}{what} was accepted, but not by the redirect\n\n"
            "hint: another rule takes it first: see nft list ruleset and ip rule"
        )


_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)


def _redirected(version: int, what: str) -> int:
    """The number of connections that the redirect took."""
    counter = f"{what}{version}"
    listed = json.loads(tool.run("nft", "-j", "list", "counter", "inet", TABLE, counter))
    found = [int(o["counter"]["packets"]) for o in listed["nftables"] if "counter" in o]
    return sum(found)


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
        "--ports",
        type=pool.parse_ports,
        default=os.environ.get(pool.PORTS_SETTING, ""),
        help=f"other ports of these hosts than 80 and 443: {pool.PORTS_WANTED}",
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
    what.add_argument(
        "--choose",
        metavar="HOST,…",
        help="print --hosts for these, with addresses that are free here",
    )
    parser.add_argument(
        "--ranges",
        type=pool.parse,
        default=os.environ.get(pool.SETTING) or pool.DEFAULT,
        help="that the addresses are of: CIDR, …",
    )
    what.add_argument("--remove", action="store_true", help="take the redirect away")
    what.add_argument("--hold", action="store_true", help="keep it until standard input closes")
    given = parser.parse_args(arguments)
    try:
        with _alone():
            if given.choose is not None:
                return _choose(given.choose.split(","), given.ranges)
            if given.remove:
                return _report_left(remove())
            return _run(
                parse(given.hosts),
                given.port,
                given.ranges,
                given.ports,
                everything=given.mode == "all",
                wait=given.wait,
                hold=given.hold,
            )
    except (RedirectError, ready.NotReady) as e:
        print(f"error: {e}", file=sys.stderr)
        return 1


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Raises RedirectError while another process holds the lock of this network namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as lock:
        try:
            lock.bind(_LOCK)
        except OSError:
            raise RedirectError(
                "another telemock holds the redirect of this network namespace\n\n"
                "hint: wait until that one has ended"
            ) from None
        yield


def _run(
    named: Sequence[Dummy],
    port: int,
    networks: Sequence[pool.Network],
    more: Mapping[str, Sequence[int]],
    *,
    everything: bool,
    wait: bool,
    hold: bool,
) -> int:
    if not named and not everything:
        raise RedirectError(
            "--hosts names no address\n\nhint: it takes ADDRESS=HOST, comma separated"
        )
    dummies = usable(named)
    everywhere = tool.families() if everything else ()
    # However the parent ends, even interrupted together with us, the redirect must go.
    if hold:
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: os.close(0))
    if wait:  # else the kernel ignores SIGTERM for the first process of a container
        # No exception: Python would swallow one that is raised within a destructor.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    _table()
    ranges.check(dummies, networks)
    apply(dummies, port, everywhere, more)
    try:
        if wait:
            ready.wait(ready.WAIT_SECONDS)
        prove(dummies, port)
        for version in everywhere:
            prove_all(version, port)
    except (RedirectError, ready.NotReady):
        remove()
        raise
    done = [
        f"{d.address} ({d.host}{''.join(f', {p}' for p in more.get(d.host, ()))})" for d in dummies
    ]
    done += [f"all of IPv{version}" for version in everywhere]
    print(f"redirected: {', '.join(done)}", flush=True)
    if not hold:
        return 0
    try:
        while os.read(0, 4096):
            pass
    except OSError:  # closed by the signal
        pass
    return _report_left(remove())


def _choose(hosts: Sequence[str], networks: Sequence[pool.Network]) -> int:
    """Prints --hosts for these. First it removes the redirect of an earlier run that was killed."""
    if left := remove():
        return _report_left(left)
    print(ranges.choose(hosts, networks), flush=True)
    return 0


def _report_left(left: Sequence[str]) -> int:
    for sentence in left:
        print(f"error: {sentence}", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
