"""Takes from a command what reaches past the questions of the kernel: into other programs'
memory, or around sockets. Called in the command's process, for a gate.

Landlock keeps a process out of the memory of programs that are not its own (ptrace(2), /proc/…/mem,
pidfd_getfd(2)), and where the kernel is new enough, from signalling them. Of root's rights the
command keeps those that a container engine leaves: without the others nobody mounts a network's
file system, changes routes or firewall, loads code into the kernel, or enters another network.
"""

import ctypes
import errno
import os
import resource
import struct
import sys
from contextlib import suppress
from pathlib import Path

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # on every architecture
_ASK_VERSION = 1
_SCOPED = 6  # the ABI (Linux 6.12) that needs no rule on files, which forbids to mount
_LINKS = 2  # the ABI (5.19) that can leave renames alone
_SIGNALS = 1 << 1
_MAKE_BLOCK, _REFER = 1 << 11, 1 << 13
_KERNEL_LOG = Path("/dev/kmsg")
_CRASHES = Path("/proc/sys/kernel/core_pattern")
_NO_HANDLER = (1, 1)  # bytes of a core: with these the kernel starts no program (core(5))
_YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")
# CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW,
# SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP
KEPT = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)
_BOUNDING_DROP, _BOUNDING_READ = 24, 23
_AMBIENT, _AMBIENT_CLEAR = 47, 4
_CAPSET, _CAPABILITIES_3 = {"x86_64": 126, "aarch64": 91}, 0x20080522
_SET_CAPABILITIES = struct.Struct("=6I")

_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _READ_ONLY = 442, -100, 0x8000, 1
_ATTRIBUTES = struct.Struct("=4Q")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def lacking(*, privileged: bool) -> str:
    """The sentence on what this kernel leaves open; "" if it leaves nothing."""
    if version() >= _LINKS:
        return ""
    try:
        own_children_only = int(_YAMA.read_text()) >= 1
    except (OSError, ValueError):
        own_children_only = False
    if own_children_only and not privileged:
        return ""
    return "the kernel lets the command write into other programs' memory, which could then send"


def limits() -> list[str]:
    """Sentences on what this kernel leaves open, and no way to send anything of the command's."""
    found = []
    if version() < _SCOPED:
        found.append(
            "signals to other programs of this machine are not seen (Linux 6.12 closes them)"
        )
    if _hands_on_crashes() and resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        found.append("a crash is handed to a program (core_pattern) that may send it")
    return found


def confine(*, privileged: bool) -> None:
    """Confines this process, and all that it starts, for good. Raises OSError."""
    has = version()
    if _hands_on_crashes():
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, _NO_HANDLER)
    if privileged:
        _close_settings()
    if has >= _SCOPED:
        _restrict(struct.pack("=3Q", 0, 0, _SIGNALS))
    elif has >= _LINKS:
        _restrict(struct.pack("=Q", _MAKE_BLOCK | _REFER), _MAKE_BLOCK | _REFER)
    _give_up()


def version() -> int:
    """Of Landlock; 0 or less where the kernel has none."""
    return int(_libc.syscall(_CREATE, None, 0, _ASK_VERSION)) if sys.platform == "linux" else 0


def _hands_on_crashes() -> bool:
    try:
        return _CRASHES.read_text().startswith("|")
    except OSError:
        return False


def _restrict(rules: bytes, allowed: int = 0) -> None:
    """`allowed`: below the root of files, which is everywhere."""
    fd = _checked(_libc.syscall(_CREATE, rules, len(rules), 0))
    try:
        if allowed:
            root = os.open("/", os.O_PATH | os.O_CLOEXEC)
            _checked(_libc.syscall(_ADD_RULE, fd, 1, struct.pack("=Qi", allowed, root), 0))
            os.close(root)
        _checked(_libc.syscall(_RESTRICT, fd, 0))
    finally:
        os.close(fd)


def _close_settings() -> None:
    """The kernel starts programs that its settings name (core_pattern, modprobe, release_agent),
    outside of any filter; and its log is read by who may send it on."""
    os.unshare(os.CLONE_NEWNS)
    _checked(_libc.mount(None, b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None))
    for path in (Path("/proc/sys"), Path("/sys")):
        if path.is_dir():
            place = bytes(path)
            flags = ctypes.c_ulong(_MS_BIND | _MS_REC)
            _checked(_libc.mount(place, place, None, flags, None))
            given = _ATTRIBUTES.pack(_READ_ONLY, 0, 0, 0)
            here = ctypes.c_int(_AT_FDCWD)
            _checked(_libc.syscall(_MOUNT_SETATTR, here, place, _AT_RECURSIVE, given, len(given)))
    if _KERNEL_LOG.exists():
        flags = ctypes.c_ulong(_MS_BIND)
        _checked(_libc.mount(b"/dev/null", bytes(_KERNEL_LOG), None, flags, None))


def _give_up() -> None:
    """Rights that root has and the command does not need; others than root have none."""
    held = _held()
    number = 0
    while (bound := _libc.prctl(_BOUNDING_READ, number, 0, 0, 0)) >= 0:
        if bound and number not in KEPT and _libc.prctl(_BOUNDING_DROP, number, 0, 0, 0):
            if ctypes.get_errno() == errno.EPERM:  # not root
                break
            raise _failed()
        number += 1
    _libc.prctl(_AMBIENT, _AMBIENT_CLEAR, 0, 0, 0)
    kept = [mask & sum(1 << of for of in KEPT) for mask in held]
    effective, permitted, inheritable = kept
    data = _SET_CAPABILITIES.pack(effective, permitted, inheritable, 0, 0, 0)
    head = struct.pack("=Ii", _CAPABILITIES_3, 0)
    _checked(_libc.syscall(_CAPSET[os.uname().machine], head, data))


def _held() -> tuple[int, int, int]:
    """Effective, permitted and inheritable rights."""
    rows = dict(
        line.split(":\t", 1)
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("Cap")
    )
    return int(rows["CapEff"], 16), int(rows["CapPrm"], 16), int(rows["CapInh"], 16)


def _checked(result: int) -> int:
    if result < 0:
        raise _failed()
    return int(result)


def _failed() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
