"""`telemock run --transparent`: for programs that ignore proxy variables.

The command sees an /etc/hosts of its own, in which the telemetry hosts have dummy addresses, and
the pod's redirect (`addon.redirect`, as a process of its own) sends connections to these to the
sidecar. The addresses are from ranges that the machine does not use; no other address is touched,
and the machine's /etc/hosts is only read. Where that is not allowed, everything runs again in a
user namespace, which has no network but its own loopback.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from app.contract.actions import FORWARDED, Mode
from app.contract.dummies import MOST_HOSTS, Network
from app.run.processes import PYTHON, LocalError, free_port

_CAPABILITIES = (1 << 12) | (1 << 21)  # CAP_NET_ADMIN, CAP_SYS_ADMIN
_HOSTS = Path("/etc/hosts")
_OWN = "hosts-"  # + a process id: that run's copy of /etc/hosts
_REDIRECT = (*PYTHON, "addon.redirect")
_ISOLATE = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--"]
# An address besides 127.0.0.1: with AI_ADDRCONFIG, a C library ignores that one and then finds no
# host's IPv4 address.
_LOOPBACK_UP = ["sh", "-c", 'ip link set lo up && ip addr add 127.0.0.2/8 dev lo && exec "$@"',
                "sh"]  # fmt: skip
# $0 is the file that replaces /etc/hosts, for this command only.
_OWN_HOSTS = ["unshare", "--mount", "--propagation", "private", "--",
              "sh", "-c", f'mount --bind "$0" {_HOSTS} && exec "$@"']  # fmt: skip


def allowed() -> bool:
    """True if this process has the capabilities for the redirect."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return found is not None and int(found[1], 16) & _CAPABILITIES == _CAPABILITIES


def isolate(mode: Mode | None) -> NoReturn:
    """Runs this command line again as root of a new network namespace.

    Raises LocalError when the kernel does not allow it, or the mode needs another network.
    """
    if mode in FORWARDED:
        raise LocalError(
            "--transparent without root has no network beyond this machine, so --mode "
            f"{mode} cannot forward\n\nhint: run it as root, or without --transparent"
        )
    if shutil.which("unshare") is None:
        raise LocalError("--transparent needs unshare\n\nhint: install the package util-linux")
    probe = [*_ISOLATE, "true"]
    tried = subprocess.run(probe, capture_output=True, text=True, check=False)  # noqa: S603
    if tried.returncode:
        raise LocalError(
            "--transparent needs root or a user namespace, and this kernel refuses the latter: "
            f"{tried.stderr.strip()}\n\n"
            "hint: run it as root, or without --transparent (then programs that ignore HTTPS_PROXY "
            "are not seen)"
        )
    print(
        "telemock: not root, so the command runs in a user namespace without any other network: "
        "only telemetry is answered",
        file=sys.stderr,
        flush=True,
    )
    os.environ["PATH"] = _path()
    again = [*_ISOLATE, *_LOOPBACK_UP, *PYTHON, "app.cli", *sys.argv[1:]]
    os.execvp(again[0], again)  # noqa: S606


class Redirect:
    """The redirect for these hosts, and the sidecar's settings for it."""

    def __init__(self, hosts: Sequence[str], ranges: Sequence[Network]) -> None:
        """Raises LocalError when no range is free on this machine, or another run has one."""
        if not hosts:
            raise LocalError(
                "--transparent has no host to redirect\n\nhint: choose a profile that names one"
            )
        if more := hosts[MOST_HOSTS:]:
            raise LocalError(
                f"--transparent redirects {MOST_HOSTS} hosts, and the profiles have {len(more)} "
                "more\n\nhint: choose fewer with --profile"
            )
        self._command = [*_REDIRECT, "--ranges", ",".join(map(str, ranges))]
        done = subprocess.run(  # noqa: S603
            [*self._command, "--choose", ",".join(hosts)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise LocalError(done.stderr.strip().removeprefix("error: "))
        self._map = done.stdout.strip()
        self._port = free_port()

    @property
    def settings(self) -> dict[str, str]:
        """Settings of the sidecar."""
        at = [f"127.0.0.1:{self._port}", f"[::1]:{self._port}"]
        has_ipv6 = Path("/proc/net/if_inet6").exists()
        return {
            "TELEMOCK_HOSTS": self._map,
            "TELEMOCK_TRANSPARENT": ",".join(at if has_ipv6 else at[:1]),
        }

    @contextlib.contextmanager
    def held(self, directory: Path) -> Iterator[list[str]]:
        """Redirects while inside; gives the prefix of the command. The redirect is removed even if
        this process is killed: it hangs on a pipe that closes with this process.

        Raises LocalError.
        """
        _forget_killed(directory)
        own = directory / f"{_OWN}{os.getpid()}"
        dummies = [tuple(pair.split("=", 1)) for pair in self._map.split(",")]
        own.write_text(hosts_file(_HOSTS.read_text(errors="surrogateescape"), dummies),
                       errors="surrogateescape")  # fmt: skip
        holder = subprocess.Popen(  # noqa: S603
            [*self._command, "--hold", "--hosts", self._map, "--port", str(self._port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        try:
            if not (holder.stdout and holder.stdout.readline()):
                said = holder.communicate()[1].strip().removeprefix("error: ")
                raise LocalError(said or "the redirect could not be made")
            yield [*_OWN_HOSTS, str(own.absolute())]
        finally:
            left = holder.communicate()[1].strip()
            own.unlink(missing_ok=True)
            if holder.returncode < 0:  # it was killed, so the redirect is still there
                done = subprocess.run([*_REDIRECT, "--remove"], capture_output=True, text=True)  # noqa: S603
                left = done.stderr.strip()
            if holder.returncode and left:
                print(f"telemock: {left}", file=sys.stderr, flush=True)


def _forget_killed(directory: Path) -> None:
    """Removes the files of killed runs."""
    for path in directory.glob(f"{_OWN}*"):
        number = path.name.removeprefix(_OWN)
        if number.isdigit() and not Path(f"/proc/{number}").exists():
            path.unlink(missing_ok=True)


def hosts_file(original: str, dummies: Sequence[tuple[str, ...]]) -> str:
    """/etc/hosts with these addresses for these hosts, and no others for them."""
    ours = {host for _, host in dummies}
    kept = []
    for line in original.splitlines():
        words = line.partition("#")[0].split()
        left = [word for word in words[1:] if word.lower() not in ours]
        if words and len(left) < len(words) - 1:
            if left:
                kept.append("\t".join([words[0], *left]))
        else:
            kept.append(line)
    kept += [f"{address}\t{host}" for address, host in dummies]
    return "\n".join(kept) + "\n"


def _path() -> str:
    """PATH with the directories of ip and nft, which a user's PATH may lack."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
