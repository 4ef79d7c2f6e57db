"""The transparent form of `telemock run`: for programs that ignore proxy variables.

The kernel asks `app.run.interception` about each connection that the command makes, and the command
sees an /etc/hosts of its own in which the telemetry hosts have dummy addresses, so that they exist
without DNS. It needs no root and changes nothing of the machine's: what the kernel keeps for it
ends with the command's processes.
"""

import ctypes
import errno
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from queue import SimpleQueue
from types import MappingProxyType
from typing import NamedTuple

from app import trust
from app.contract import dummies, names
from app.run import confine, seccomp
from app.run.interception import Interception, Target, is_readable
from app.run.stage import FailingHosts
from app.run.strict import COMPARED, Strict

_SYS_ADMIN = 1 << 21
_SYSTEM_LISTS = tuple(map(Path, trust.SYSTEM_LISTS))
_HOSTS, _ROUTES = Path("/etc/hosts"), Path("/proc/net/route")
_OWN = "hosts-"  # + a process id: that run's copy of /etc/hosts, until it is mounted
# Without interception the one leads nowhere but here, the other nowhere at all (RFC 6666).
DUMMIES = (IPv4Network("127.116.0.0/16"), IPv6Network("100::/64"))
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)
_PROVED = ("127.0.0.1", 9)  # never connected to


def privileged() -> bool:
    """True if this process may mount, and filter programs that gain rights."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return found is not None and bool(int(found[1], 16) & _SYS_ADMIN)


def refused() -> str:
    """The kernel's reason against it, as a sentence's end with what helps; "" if it allows it.
    Proved with a process of our own, before the command runs."""
    if seccomp.HERE is None:
        return "it needs Linux on x86-64 or arm64"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = os.fork()
        if child == 0:
            ours.close()  # else what is sent waits in it for ever, should the parent be gone
            _prove(theirs)
        theirs.close()
        try:
            said, fds, _, _ = socket.recv_fds(ours, 16, 1)
            if not fds:
                return _why(int(said or b"0"))
            ours.settimeout(5)
            return _why(0 if is_readable(seccomp.Notifications(fds[0]), _PROVED) else errno.EPERM)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _prove(parent: socket.socket) -> None:
    """In a process of its own: asks to connect, and waits to be ended."""
    try:
        _send_listener(parent)
        with socket.socket() as sock:
            sock.connect_ex(_PROVED)
    except OSError as e:
        parent.send(str(e.errno or 0).encode())
    finally:
        os._exit(0)


def _why(number: int) -> str:
    match number:
        case 0:
            return ""
        case errno.EBUSY:
            return "this process is watched so already: is it within another `telemock run`?"
        case errno.ENOSYS | errno.EINVAL:
            return "it needs Linux 5.9 or newer"
    return (
        f"this kernel refuses it ({os.strerror(number)}): run it outside of the container or "
        "sandbox, or as root"
    )


def _send_listener(to: socket.socket, *, strict: bool = False) -> None:
    """Raises OSError. A thread without the filter sends: one with it would wait to be answered."""
    made: SimpleQueue[int] = SimpleQueue()
    sender = threading.Thread(
        target=lambda: socket.send_fds(to, [b"0"], [made.get()]), name="telemock-send", daemon=True
    )
    sender.start()
    fd = seccomp.install(privileged=privileged(), strict=strict)
    made.put(fd)
    sender.join()
    os.close(fd)


class AllowedHost(NamedTuple):
    """An address of a host that a gate allows, and the ports at which it does."""

    address: str
    host: str
    ports: frozenset[int]


class Transparent:
    """The transparent form of one command. `hosts` are the profiles' exact ones, `port` is the
    sidecar's on loopback; connections to hosts of `failing` go there. `more` are ports of hosts,
    and of suffixes, besides 80 and 443. `strict`: for a gate, in which the command's
    /etc/hosts also has `allowed`, but for hosts of profiles."""

    def __init__(
        self,
        hosts: Sequence[str],
        port: int,
        directory: Path,
        failing: FailingHosts | None = None,
        more: Mapping[str, Collection[int]] = MappingProxyType({}),
        *,
        strict: bool = False,
        allowed: Sequence[AllowedHost] = (),
    ) -> None:
        dummy, named = dict(dummies.assign(hosts, DUMMIES)), may_name_hosts()
        self._port, self._directory, self._more = port, directory, more
        self._failing, self._strict = failing, strict
        self._hosts: Mapping[str, str] = dummy if named else {}
        self._allowed = [one for one in allowed if one.host not in hosts] if named else []
        self._ours, self._theirs = socket.socketpair()
        self._file = directory / f"{_OWN}{os.getpid()}"

    @property
    def settings(self) -> dict[str, str]:
        """Settings of the sidecar."""
        at = [f"127.0.0.1:{self._port}", f"[::1]:{self._port}"]
        has_ipv6 = Path("/proc/net/if_inet6").exists()
        return {
            "TELEMOCK_HOSTS": dummies.mapped(list(self._hosts.items())),
            "TELEMOCK_TRANSPARENT": ",".join(at if has_ipv6 else at[:1]),
        }

    def prepare(self) -> Callable[[], None]:
        """Returns a function for the command's process, between fork and exec. Raises OSError."""
        _forget_killed(self._directory)
        lines = [*self._hosts.items(), *(one[:2] for one in self._allowed)]
        if lines:
            original = _HOSTS.read_text(errors="surrogateescape")
            text = hosts_file(original, lines)
            self._file.write_text(text, errors="surrogateescape")
            self._file.chmod(0o644)  # for whomever the command becomes

        bundle = self._directory / names.DIR_CA / names.FILE_BUNDLE
        mounts = [(self._file, _HOSTS), *((bundle, file) for file in _SYSTEM_LISTS)]

        def run() -> None:
            if lines:
                own_mounts()
                for source, target in mounts:
                    if target.exists():
                        bind(str(source), str(target))
            _send_listener(self._theirs, strict=self._strict)
            if self._strict:
                confine.confine(privileged=privileged())

        return run

    @property
    def hosts_copy(self) -> Path | None:
        """The command's own /etc/hosts, once it is prepared."""
        return self._file if self._hosts or self._allowed else None

    def end(self) -> None:
        """Removes what a command that could not be started has left."""
        self._file.unlink(missing_ok=True)
        self._ours.close()
        self._theirs.close()

    def begin(
        self,
        ours: frozenset[int],
        own: Collection[int] = (),
        need: Callable[[], bool] = lambda: True,
    ) -> Interception:
        """Once the command's process runs: answers the kernel until `Interception.stop`."""
        self._theirs.close()
        _, fds, _, _ = socket.recv_fds(self._ours, 16, 1)
        self.end()  # the mount keeps what it needs
        target = Target(self._port, ours, self._hosts, self._failing, self._more)
        asked = seccomp.Notifications(fds[0])
        if not self._strict:
            return Interception(asked, target)
        known = {
            (one.address, port)
            for one in self._allowed
            for port in COMPARED
            if port not in one.ports
        }
        return Strict(asked, target, own, need, known)


def may_name_hosts() -> bool:
    """True if the command may have an /etc/hosts of its own. Root may. Others may in a user
    namespace, in which other people's files belong to nobody, so that ssh refuses its
    configuration: only where no route leads to a resolver anyway."""
    if not _HOSTS.exists():
        return False
    if not privileged() and _has_default_route():
        return False
    child = os.fork()
    if child == 0:
        try:
            own_mounts()
            bind(str(_HOSTS), str(_HOSTS))
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def _has_default_route() -> bool:
    try:
        rows = [line.split() for line in _ROUTES.read_text().splitlines()[1:]]
    except OSError:
        rows = []
    return any(row[1] == row[7] == "00000000" for row in rows)


def own_mounts() -> None:
    """Gives this process mounts of its own. Raises OSError."""
    if not privileged():
        user, group = os.geteuid(), os.getegid()
        os.unshare(os.CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    os.unshare(os.CLONE_NEWNS)
    _mount(None, "/", _MS_REC | _MS_PRIVATE)


def bind(source: str, target: str, *, whole: bool = False) -> None:
    """Shows a file or directory at another path, too; `whole` with what is mounted below it.
    Raises OSError."""
    _mount(source, target, _MS_BIND | (_MS_REC if whole else 0))


def _mount(source: str | None, target: str, flags: int) -> None:
    from_ = None if source is None else os.fsencode(source)
    if _libc.mount(from_, os.fsencode(target), None, ctypes.c_ulong(flags), None):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


def _forget_killed(directory: Path) -> None:
    """Removes the files of runs that were killed before their command began."""
    for path in directory.glob(f"{_OWN}*"):
        number = path.name.removeprefix(_OWN)
        if number.isdigit() and not Path(f"/proc/{number}").exists():
            path.unlink(missing_ok=True)


def hosts_file(original: str, pairs: Sequence[tuple[str, ...]]) -> str:
    """/etc/hosts with these addresses for these hosts, and no others for them."""
    ours = {host for _, host in pairs}
    kept = []
    for line in original.splitlines():
        words = line.partition("#")[0].split()
        left = [word for word in words[1:] if word.lower() not in ours]
        if words and len(left) < len(words) - 1:
            if left:
                kept.append("\t".join([words[0], *left]))
        else:
            kept.append(line)
    kept += [f"{address}\t{host}" for address, host in pairs]
    return "\n".join(kept) + "\n"
