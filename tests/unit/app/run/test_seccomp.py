"""app/run/seccomp.py: which system calls the filter asks about, on each machine, and the answers
that a real process gets."""

import errno
import os
import re
import socket
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from app.run import seccomp
from app.run.seccomp import MACHINES
from tests.filtered import Filtered

ALLOW, ASK = 0x7FFF0000, 0x7FC00000
FASTOPEN = 0x20000000

needs_kernel = pytest.mark.skipif(seccomp.HERE is None, reason="no filter for this machine")


def refuses(number: int) -> int:
    return 0x00050000 | number


def verdict(code: bytes, arch: int, number: int, *arguments: int) -> int:
    """What the kernel would do with this call: a machine of classic BPF, for the six operations
    that the filter has."""
    data = struct.pack("=iIQ6Q", number, arch, 0, *arguments, *(0,) * (6 - len(arguments)))
    steps = list(struct.iter_unpack("=HBBI", code))
    at = value = 0
    while True:
        operation, then, otherwise, k = steps[at]
        at += 1
        if operation == 0x20:
            (value,) = struct.unpack_from("=I", data, k)
        elif operation == 0x54:
            value &= k
        elif operation == 0x06:
            return int(k)
        else:
            met = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[operation]
            at += then if met else otherwise


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_every_abi_asks_about_connections_and_addresses_and_leaves_the_rest(machine):
    code = seccomp.code_for(machine)
    for arch, calls in machine.abis.items():

        def judged(*call, arch=arch):
            return verdict(code, arch, *call)

        assert judged(calls.connect) == ASK
        assert judged(425) == refuses(errno.EPERM)
        for number, flags in ((calls.sendto, 3), (calls.sendmsg, 2), (calls.sendmmsg, 3)):
            arguments = [0] * 6
            assert judged(number, *arguments) == (ALLOW if number == calls.sendto else ASK)
            arguments[flags] = FASTOPEN | 0x4000
            assert judged(number, *arguments) == refuses(errno.EOPNOTSUPP)
        for address in (1, 0x7FFF_0000_0000, 0xFFFF_FFFF):
            assert judged(calls.sendto, 3, 9, 1, 0x4000, address, 16) == ASK
        taken = {*calls, 425}
        for number in set(range(500)) - taken:
            assert judged(number, 3) == ALLOW, number
        if calls.multiplexed is not None:
            asked = {n for n in range(25) if judged(calls.multiplexed, n) == ASK}
            assert asked == set(seccomp.MULTIPLEXED)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_a_socket_that_is_neither_tcp_nor_udp_is_asked_about(machine):
    """The filter and its words in Python are of one mind."""
    flags = socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    plain = {(1, 1, 0), (1, 5, 0), (16, 3, 0), (2, 1, 0), (2, 2, 17), (10, 1, 6), (10, 1, 262)}
    code = seccomp.code_for(machine)
    for arch, calls in machine.abis.items():
        for family in range(46):
            for kind in range(1, 11):
                for protocol in (0, 1, 6, 17, 33, 58, 132, 136, 262):
                    given = family, kind | flags, protocol
                    asked = verdict(code, arch, calls.socket, *given) == ASK
                    assert asked == seccomp.leads_out(*given), given
                    assert not asked or (family, kind, protocol) not in plain
        for given in ((2, 3, 6), (2, 2, 1), (10, 1, 132), (17, 3, 3), (40, 1, 0), (31, 1, 3)):
            assert verdict(code, arch, calls.socket, *given) == ASK


def test_other_abis_connect_not_at_all():
    code = seccomp.code_for(MACHINES["x86_64"])
    assert verdict(code, 0xC000003E, 0x40000000 + 42) == refuses(errno.ENOSYS)  # x32
    assert verdict(code, 0xC00000B7, 203) == refuses(errno.ENOSYS)


@needs_kernel
def test_a_call_waits_for_the_answer_and_tells_who_asks_what():
    asked = 'print(socket.socket().connect_ex(("127.0.0.1", 9)))'
    one = Filtered(f"{asked}\n{asked}\n{asked}")
    answers = []
    for call in one.calls:
        assert one.calls.waits(call)
        assert call.thread == one.process.pid
        assert call.name == "connect"
        own = seccomp.socket_of(call.thread, call.thread, call.arguments[0])
        assert str(Path(f"/proc/self/fd/{own}").readlink()).startswith("socket:")
        os.close(own)
        answers.append(call)
        match len(answers):
            case 1:
                one.calls.answer(call, 0)
            case 2:
                one.calls.answer(call, errno.ETIMEDOUT)
            case 3:
                one.calls.go_on(call)
        assert not one.calls.waits(call)
    assert one.said().split() == ["0", str(errno.ETIMEDOUT), str(errno.ECONNREFUSED)]
    one.calls.close()


@needs_kernel
def test_what_would_connect_unasked_is_refused():
    one = Filtered(
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "try: socket.socket().sendto(b'x', 0x20000000, ('127.0.0.1', 9))\n"
        "except OSError as e: print(e.errno)\n"
        "libc.syscall(425, 8, None); print(ctypes.get_errno())\n"
    )
    assert list(one.calls) == []
    assert one.said().split() == [str(errno.EOPNOTSUPP), str(errno.EPERM)]


@needs_kernel
def test_without_anybody_who_answers_nothing_connects():
    one = Filtered("sys.stdin.readline()\nprint(socket.socket().connect_ex(('127.0.0.1', 9)))")
    one.calls.stop()
    assert list(one.calls) == []
    one.calls.close()
    assert one.said() == str(errno.ENOSYS)


@needs_kernel
def test_stop_ends_all_threads_that_wait():
    one = Filtered("sys.stdin.readline(); import time; time.sleep(30)")
    threads = [threading.Thread(target=list, args=(one.calls,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    one.calls.stop()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    one.end()
    one.calls.close()


def test_a_socket_of_a_process_that_is_gone_is_an_error():
    ended = subprocess.Popen(["true"])
    ended.wait()
    with pytest.raises(OSError):
        seccomp.socket_of(ended.pid, ended.pid, 0)


# 32-bit ARM's is not among those that other machines have.
HEADERS = {
    ("aarch64", 0xC00000B7): "asm-generic/unistd.h",
    ("x86_64", 0xC000003E): "x86_64-linux-gnu/asm/unistd_64.h",
    ("x86_64", 0x40000003): "x86_64-linux-gnu/asm/unistd_32.h",
}


@pytest.mark.parametrize(("machine", "arch"), HEADERS)
def test_the_numbers_are_those_of_the_kernels_headers(machine, arch):
    header = Path("/usr/include") / HEADERS[machine, arch]
    if not header.exists():
        pytest.skip(f"needs {header}: apt-get install linux-libc-dev")
    known = dict(re.findall(r"^#define __NR_(\w+)\s+(\d+)", header.read_text(), re.MULTILINE))

    def number(name):
        return int(known[name])

    of, calls = MACHINES[machine], MACHINES[machine].abis[arch]
    keys = tuple(map(number, ("add_key", "request_key", "keyctl")))
    named = {name: number(name) for name in calls._fields if name not in ("keys", "multiplexed")}
    multiplexed = int(known["socketcall"]) if "socketcall" in known else None
    assert calls._asdict() == {**named, "keys": keys, "multiplexed": multiplexed}
    if arch == next(iter(of.abis)):
        assert (of.seccomp, of.pidfd_getfd) == (number("seccomp"), number("pidfd_getfd"))
    assert number("io_uring_setup") == seccomp._IO_URING_SETUP
