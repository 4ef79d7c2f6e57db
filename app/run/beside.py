"""Looks at what may send for a command without a connection of its own: schedulers and queues that
other programs of the machine read, and file systems of a network. Asked by `app.run.gate`.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

from app.report.coverage import Gap, count, listed

# Files and folders that cron, at, systemd, mail servers, crash reporters, the kernel's helpers and
# timers of the system act upon.
QUEUES = (
    "/etc/crontab", "/etc/anacrontab", "/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily",
    "/etc/cron.weekly", "/etc/cron.monthly", "/var/spool/cron", "/var/spool/cron/crontabs",
    "/var/spool/cron/atjobs", "/var/spool/at", "/var/spool/atjobs", "/var/spool/incron",
    "/etc/incron.d", "/etc/systemd/system", "/etc/systemd/user", "/run/systemd/system",
    "/run/systemd/transient", "/usr/lib/systemd/system", "/lib/systemd/system", "/etc/rc.local",
    "/etc/ld.so.preload", "~/.config/systemd/user", "~/.config/autostart", "~/.ssh/rc",
    "/var/spool/postfix/maildrop", "/var/spool/exim4/input", "/var/spool/mqueue",
    "/var/spool/mqueue-client", "/var/spool/clientmqueue", "/var/spool/nullmailer/queue",
    "/var/spool/cups", "/var/spool/lpd", "/var/spool/rsyslog", "/var/crash", "/var/spool/abrt",
    "/var/lib/systemd/coredump", "/var/spool/dma", "/var/spool/smtpd/offline", "/var/spool/fcron",
    "/var/spool/uucp", "/etc/init.d", "/etc/profile.d", "/etc/modprobe.d", "/run/modprobe.d",
    "/lib/modprobe.d", "/sbin/modprobe", "/sbin/request-key", "/etc/request-key.d",
    "/etc/udev/rules.d", "/run/udev/rules.d", "/etc/NetworkManager/dispatcher.d",
    "/etc/apt/apt.conf.d", "/etc/logrotate.d", "~/.msmtpqueue", "~/.local/share/systemd/user",
    "/etc/systemd/system.control", "/run/systemd/system.control", "/usr/local/lib/systemd/system",
    "/etc/xdg/autostart", "/etc/xdg/systemd/user", "~/.forward", "/etc/aliases", "/etc/inetd.conf",
    "/etc/xinetd.d", "/etc/network/if-up.d", "/etc/dhcp", "/etc/ppp/ip-up.d", "/etc/update-motd.d",
)  # fmt: skip
_MOST = 2000  # entries of one of them
_NETWORKS = ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs", "glusterfs", "lustre", "virtiofs")
_USERS = "fuse."  # sshfs, s3fs, …: what serves them is a program


class Queues:
    """Their state when this was made."""

    def __init__(self) -> None:
        self._before = _state()

    def changed(self) -> list[str]:
        now = _state()
        return [
            at for at in dict.fromkeys([*self._before, *now]) if self._before.get(at) != now.get(at)
        ]

    def gaps(self) -> Iterable[Gap]:
        if found := self.changed():
            yield Gap(
                id="queues", count=len(found),
                says=f"{count(len(found), 'file or folder', 'files or folders')} changed by which "
                f"other programs run commands or send: {listed(found)}",
                remedy="see what was put there; another program of the machine may have done it",
                who=found,
            )  # fmt: skip


def _state() -> Mapping[str, tuple[int, int, int]]:
    """Inode, size and change of each of them, and of what is in them, or a link there leads to."""
    found = {}
    for name in QUEUES:
        place = str(Path(name).expanduser())
        for path in (place, *islice(_below(place), _MOST)):
            with suppress(OSError):
                found[path] = _facts(os.lstat(path))
                if (at := Path(path)).is_symlink() and at.is_file():
                    found[str(at.resolve())] = _facts(at.stat())
    return found


def _facts(of: os.stat_result) -> tuple[int, int, int]:
    return of.st_ino, of.st_size, of.st_ctime_ns


def _below(place: str) -> Iterator[str]:
    for folder, folders, files in os.walk(place):
        folders.sort()
        for name in sorted((*folders, *files)):
            yield f"{folder}/{name}"


def network_mounts() -> list[str]:
    """The places at which what is written leaves the machine as it is written."""
    try:
        rows = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for row in rows:
        mounted, _, rest = row.partition(" - ")
        kind = rest.partition(" ")[0]
        if kind in _NETWORKS or (
            kind.startswith(_USERS) and not kind.endswith(("lxcfs", "portal"))
        ):
            found.append(f"{mounted.split()[4]} ({kind})")
    return found


def limits() -> list[str]:
    if not (found := network_mounts()):
        return []
    return [f"what is written to file systems of a network leaves the machine: {listed(found)}"]
