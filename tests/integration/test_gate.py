"""`telemock run --nothing`: no way to send passes it, and what sends nothing does."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import gates
from tests.gates import Gate, Tried
from tests.harmless import HARMLESS
from tests.ways_out import CLOSED, OUT, OUT6, WAYS

pytestmark = [pytest.mark.root, pytest.mark.timeout(1000)]
SENT, NOT_COMPLETE = 121, 122
# These show only after all the command's processes, so each has a gate of its own.
AFTERWARDS = ("queues", "descendants")
LATER = (
    "import os, time\nif os.fork(): os._exit(0)\nos.setsid(); time.sleep(20)\n"
    f"socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('{OUT}', 4433))"
)
# These take rights that no user has; those by the web differ in nothing else than the names' way.
ROOT_ALONE = {"datagrams: as nobody", "datagrams: a program that nobody may read",
              "other programs: a helper, another root",
              "other programs: a helper, by a link in another root",
              "other programs: a helper, datagrams by a link in another root",
              "other programs: a helper, by the name of the accounts' service",
              "processes: another user", "processes: the kernel's log",
              "processes: the kernel's helpers, by a procfs of its own"}  # fmt: skip
AS_A_USER = [
    name for name, (why, script) in WAYS.items()
    if why not in AFTERWARDS and not name.startswith(("web: ", "ports: "))
    and name not in ROOT_ALONE
]  # fmt: skip
# One of each kind, alone, with a few that only one gate can show.
PLANNED = ["--contract", str(Path(__file__).parents[1] / "planned.yaml")]
DIRECT = "sh:curl -sk --noproxy '*' 'https://cdn.cribl.io/telemetry/index.html?{}'"
ALONE = {
    **{name: (script, ["--wait", "3"]) for name, (reason, script) in WAYS.items()
       if reason in AFTERWARDS},
    **{name: (WAYS[name][1], []) for name in (
        "web: a query", "web: a host of a profile", "ports: another port", "datagrams: udp",
        "look-ups: libc", "other programs: a helper", "sockets: icmp", "processes: a daemon",
    )},
    "20 s later, waited for": (LATER, ["--wait", "60"]),
    "20 s later, not waited for": (LATER, ["--wait", "1"]),
    "with a failure of its own": (f"{WAYS['datagrams: udp'][1]}; sys.exit(3)", []),
    "to an allowed socket": (WAYS["other programs: the message bus"][1],
                             ["--allow", "/run/dbus/system_bus_socket"]),
    "to another by an allowed socket's name": (
        WAYS["other programs: a helper, by the bus's name in mounts of its own"][1],
        ["--allow", "/run/dbus/system_bus_socket"]),
    "to an allowed address": (WAYS["ports: another port"][1], ["--allow", f"{OUT}:8443"]),
    "to an address beside the allowed one": (WAYS["ports: another port"][1],
                                             ["--allow", "203.0.114.8:8443"]),
    "with the name of an allowed host": (WAYS["web: a name in a handshake"][1],
                                         ["--allow", "secret.example"]),
    "planned, past the proxy": (DIRECT.format("v=1"), PLANNED),
    "unplanned, past the proxy": (DIRECT.format("v=1&u=bob"), PLANNED),
    "nothing": ("", []),
    "nothing, with a failure of its own": ("sys.exit(3)", []),
    "nothing, without the kernel's questions": ("", ["--no-transparent"]),
}  # fmt: skip

TO_IT = "getaddrinfo('{}', 8443, type=socket.SOCK_STREAM)"
# With a resolver that knows `allowed.example`, at OUT and OUT6.
RESOLVED = {
    "an allowed name": (
        f"found = socket.{TO_IT.format('allowed.example')}\n"
        f"assert {{one[4][0] for one in found}} == {{'{OUT}', '{OUT6}'}}\n"
        "for family, *_, to in found:\n"
        "  s = socket.socket(family); s.setblocking(False); s.connect_ex(to)",
        ["--allow", "allowed.example:8443"]),
    "an allowed name, by the web": (
        WAYS["web: a name in a handshake"][1].replace("secret", "allowed")
        .replace(OUT, "allowed.example"), ["--allow", "allowed.example"]),
    # As Go and musl compare addresses.
    "an allowed name's ways": (
        f"for family, to in ((2, '{OUT}'), (10, '{OUT6}')):\n  for port in (9, 53, 65535):\n"
        "    u = socket.socket(family, 2); u.connect((to, port)); assert u.getsockname()[1]\n"
        "    try: u.send(b'x')\n    except OSError: pass\n    else: sys.exit(4)",
        ["--allow", "allowed.example"]),
    "a name below an allowed one": (f"socket.{TO_IT.format('secret.allowed.example')}",
                                    ["--allow", "allowed.example:8443"]),
    "a name that is not allowed": (f"socket.{TO_IT.format('allowed.example')}",
                                   ["--allow", f"{OUT}:8443"]),
    "a telemetry host beside it": (
        "print(sorted({one[4][0] for one in socket.getaddrinfo('cdn.cribl.io', 443)}))\n"
        "socket.getaddrinfo('allowed.example', 80)", ["--allow", "allowed.example,cdn.cribl.io"]),
    "a name that nobody knows": ("", ["--allow", "unknown.example"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tried]:
    scripts = {name: script for name, (why, script) in WAYS.items() if why not in AFTERWARDS}
    gate, found = gates.together(tmp_path_factory.mktemp("ways"), scripts)
    assert gate.code == SENT, gate.said
    return found


@pytest.fixture(scope="module")
def by_a_user() -> Iterator[dict[str, Tried]]:
    """In a folder that this user reaches."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        scripts = {name: WAYS[name][1] for name in AS_A_USER}
        gate, found = gates.together(Path(folder), scripts, *gates.AS_A_USER)
        assert gate.code == SENT, gate.said
        yield found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Gate]:
    return gates.alone(tmp_path_factory.mktemp("alone"), ALONE)


def test_there_are_a_hundred_ways_and_twenty_that_are_none() -> None:
    assert len(WAYS) >= 100
    assert len(HARMLESS) >= 20


@pytest.mark.parametrize("name", [name for name, (why, _) in WAYS.items() if why not in AFTERWARDS])
def test_no_way_to_send_passes(tried: dict[str, Tried], name: str) -> None:
    """What is sent or open makes the code of a gate (tests/unit/app/run/test_gate.py)."""
    if name not in tried:
        pytest.skip("it cannot be made here: it needs a C compiler, for 32 bits too")
    assert_named(tried[name], WAYS[name][0])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize("name", AS_A_USER)
def test_no_way_of_a_users_passes(by_a_user: dict[str, Tried], name: str) -> None:
    assert_named(by_a_user[name], WAYS[name][0])


def assert_named(found: Tried, reason: str) -> None:
    if reason == CLOSED:
        assert found.code == 7, found  # the script's own word that the kernel refused it
    elif reason.startswith("to "):
        assert reason in found.reached, found
    else:
        assert reason in found.reasons, found


@pytest.mark.parametrize("name", [name for name in ALONE if name in WAYS])
def test_a_gate_of_one_way_fails(alone: dict[str, Gate], name: str) -> None:
    gate, reason = alone[name], WAYS[name][0]
    assert gate.code in (SENT, NOT_COMPLETE), gate.said
    assert reason in (gate.reached() if reason.startswith("to ") else gate.reasons()), gate.said


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("20 s later, waited for", SENT, "datagrams"),
        ("20 s later, not waited for", NOT_COMPLETE, "descendants"),
        ("with a failure of its own", SENT, "datagrams"),
        ("to an address beside the allowed one", SENT, "other_port"),
        ("to another by an allowed socket's name", NOT_COMPLETE, "local"),
        ("with the name of an allowed host", SENT, ""),
        ("unplanned, past the proxy", SENT, ""),
        ("nothing, without the kernel's questions", NOT_COMPLETE, "proxy_ignored"),
    ],
)
def test_it_fails_for_a_reason(alone: dict[str, Gate], name: str, code: int, reason: str) -> None:
    gate = alone[name]
    assert gate.code == code, gate.said
    assert reason in {*gate.reasons(), ""}


@pytest.mark.parametrize(
    ("name", "code"),
    [("planned, past the proxy", 0), ("to an allowed socket", 0), ("to an allowed address", 0),
     ("nothing", 0), ("nothing, with a failure of its own", 3)],
)  # fmt: skip
def test_it_passes_with_the_commands_own_code(alone: dict[str, Gate], name: str, code: int) -> None:
    gate = alone[name]
    assert gate.code == code, gate.said
    assert gate.found["gate"]["verdict"] == "passed"
    assert gate.found["command_exit_code"] == code


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Gate]:
    return gates.alone(tmp_path_factory.mktemp("resolved"), RESOLVED, resolver=gates.STUB)


@pytest.mark.parametrize("name", [name for name in RESOLVED if name.startswith("an allowed")])
def test_who_looks_up_an_allowed_name_asks_nobody(resolved: dict[str, Gate], name: str) -> None:
    gate = resolved[name]
    assert gate.code == 0, gate.said
    assert gate.found["command_exit_code"] == 0


@pytest.mark.parametrize("name", ["a name below an allowed one", "a name that is not allowed"])
def test_a_look_up_of_another_name_fails_it(resolved: dict[str, Gate], name: str) -> None:
    gate = resolved[name]
    assert gate.code == SENT, gate.said
    assert "lookup" in gate.reasons()


def test_a_telemetry_host_that_is_allowed_stays_redirected(resolved: dict[str, Gate]) -> None:
    gate = resolved["a telemetry host beside it"]
    assert re.search(r"\['100::[0-9a-f]+', '127\.116\.0\.\d+'\]", gate.said), gate.said


def test_an_allowed_name_that_nobody_knows_is_said(resolved: dict[str, Gate]) -> None:
    gate = resolved["a name that nobody knows"]
    assert gate.code == 0, gate.said
    assert "--allow unknown.example: no address is known for it here" in gate.said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_where_the_command_has_no_hosts_file_its_look_up_fails_it() -> None:
    name = "an allowed name"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        gate = gates.alone(
            Path(folder), {name: RESOLVED[name]}, *gates.AS_A_USER, resolver=gates.STUB
        )[name]
    assert gate.code == SENT, gate.said
    assert "lookup" in gate.reasons()


def test_what_sends_nothing_passes(tmp_path: Path) -> None:
    gate, found = gates.together(tmp_path, HARMLESS)
    assert {name: one for name, one in found.items() if one.code} == {}
    assert gate.code == 0, gate.said


def test_what_no_question_to_the_kernel_sees_is_said(alone: dict[str, Gate]) -> None:
    said = json.dumps(alone["nothing"].found["gate"]["limits"])
    assert "a file, a pipe or shared memory" in said
    assert "fetch from a server" in said
