"""Dummy addresses in networks of all kinds: never where something of the machine's own is, and
after any end, kill -9 at any moment too, everything is as it was."""

import ipaddress
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.contract import dummies
from tests import netns, networks

PRELUDE = """
import json, os, signal, socket, subprocess, sys, threading
from ipaddress import ip_address, ip_network
from pathlib import Path
from tests.networks import changed, state
from tests.waiting import wait_for
REDIRECT = [sys.executable, "-m", "addon.redirect"]
# Of the same names as ours, and none of ours.
subprocess.run(["nft", "-f", "-"], check=True, text=True, input='''
add table ip telemock
add chain ip telemock to_sidecar { type filter hook output priority 0; }
add table inet other
add set inet other hosts4 { type ipv4_addr; elements = { 192.0.2.1 }; }
add chain inet other refused
''')
def serve(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.create_server((address, 17443), family=family)
    def loop():
        while True:
            s.accept()[0].close()
    threading.Thread(target=loop, daemon=True).start()
    return s
def redirect(*arguments, **environ):
    return subprocess.run([*REDIRECT, *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, env=os.environ | environ)
def chosen():
    done = redirect("--choose", "a.test,b.test")
    return done.stdout.strip() if done.returncode == 0 else sys.exit(done.stderr)
def addresses(given):
    return [pair.partition("=")[0] for pair in given.split(",")]
held = [serve("127.0.0.1"), serve("::1")]
before = state()
"""


def run(script: str, *arguments: str, known: networks.Known | None = None, **more) -> list[str]:
    netns.require()
    known = known or networks.NETWORKS["nothing"]
    return netns.run(
        PRELUDE + script,
        *arguments,
        network=(*networks.WIRE, *known.commands),
        files=networks.files(known) | more.pop("files", {}),
        seconds=110,
        **more,
    ).splitlines()


@pytest.mark.root
@pytest.mark.parametrize("name", networks.NETWORKS)
def test_what_is_chosen_is_free_works_and_leaves_nothing(name: str) -> None:
    known = networks.NETWORKS[name]
    out = run(
        """
given = chosen()
print(given)
print("looking changed", changed(before))
holder = subprocess.Popen([*REDIRECT, "--hold", "--hosts", given], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True)
print(holder.stdout.readline().split(":")[0], len(changed(before)) > 0)
for address in addresses(given):
    socket.create_connection((address, 443), 5).close()
holder.communicate()
print(holder.returncode, changed(before))
""",
        known=known,
    )
    ranges = [ipaddress.ip_network(network) for network in known.free]
    assert out[0] == dummies.mapped(dummies.assign(["a.test", "b.test"], ranges))
    assert out[1:] == ["looking changed []", "redirected True", "0 []"]


@pytest.mark.root
@pytest.mark.parametrize("mode", ["hosts", "all"])
@pytest.mark.parametrize("name", [n for n, k in networks.NETWORKS.items() if n != "nothing"])
def test_a_pod_with_addresses_that_collide_is_told_so_and_nothing_is_done(
    name: str, mode: str
) -> None:
    """In a pod the addresses are given: by an injector that cannot look."""
    known = networks.NETWORKS[name]
    out = run(
        """
done = redirect("--hosts", "192.0.2.1=a.test,100::1=a.test", f"--mode={sys.argv[1]}")
print(done.returncode, changed(before), done.stdout)
print(done.stderr)
""",
        mode,
        known=known,
    )
    assert out[0] == "1 [] "
    said = "\n".join(out[1:])
    of_pool = ("192.0.2.0/24", "100::/64")
    assert any(
        f"the range {n} of dummy addresses collides with what is in" in said for n in of_pool
    )
    assert "hint: set dummyRanges of the chart, or TELEMOCK_DUMMY_RANGES, to" in said
    assert all(network in said.partition("hint: ")[2] for network in known.free)


KINDS = (
    "addr add {address}/32 dev eth0",
    "addr add {address}/24 dev eth0",
    "addr add {address}/20 dev lo",
    "route add {address} dev eth0",
    "route add {network} dev eth0",
    "route add {network} dev eth0 table 77",
    "route add local {address} dev lo",
    "route add blackhole {network}",
    "route add default via {address} dev eth0 onlink",
    "route add 10.9.0.0/24 via {address} dev eth0 onlink",
    "rule add from {network} table 77",
    "rule add to {address} table 77",
    "neigh add {address} lladdr 02:00:00:00:00:01 dev eth0",
)
POOL4 = [n for n in dummies.NETWORKS if n.version == 4]


@pytest.mark.root
@settings(max_examples=int(os.environ.get("TELEMOCK_NETWORKS", "12")), deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.sampled_from(POOL4), st.integers(1, 254)),
        max_size=4,
        unique_by=lambda one: one[0],
    )
)
def test_nothing_of_the_machines_own_is_ever_taken(
    own: list[tuple[str, dummies.Network, int]],
) -> None:
    """Whatever there is in whichever ranges."""
    commands = tuple(
        # Two of them may be the same to the kernel.
        kind.format(address=network[number], network=network) + " || true"
        for kind, network, number in own
    )
    used = {network for kind, network, _ in own}
    free = next((n for n in POOL4 if n not in used), None)
    out = run(
        """
done = redirect("--choose", "a.test")
print(done.returncode, done.stdout.strip())
if done.returncode == 0:
    print(redirect("--hosts", done.stdout).returncode, redirect("--remove").returncode)
print(changed(before))
""",
        known=networks.Known(commands, ("", "")),
    )
    # /24 and /20 of an address may reach into no other range of the pool.
    if free is None:
        assert out == ["1 ", "[]"]
    else:
        assert out == [f"0 {free[1]}=a.test,100::1=a.test", "0 0", "[]"]


@pytest.mark.root
def test_where_none_is_free_it_says_what_collides_and_what_to_set() -> None:
    known = networks.Known(
        ("addr add 192.0.2.2/24 dev eth0", "route add 198.51.100.0/24 dev eth0",
         "rule add from 203.0.113.0/24 table 9",
         *(f"route add 198.18.0.{n} dev eth0" for n in range(1, 7))),
        ("", ""),
    )  # fmt: skip
    out = run('print(redirect("--choose", "a.test").stderr); print(changed(before))', known=known)
    assert out == [
        "error: no range of IPv4 for dummy addresses is free on this machine:",
        "  192.0.2.0/24: the address 192.0.2.2 of eth0, the route 192.0.2.0/24 dev eth0, the route"
        " local 192.0.2.2 dev eth0 table local, the route broadcast 192.0.2.255 dev eth0 table"
        " local",
        "  198.51.100.0/24: the route 198.51.100.0/24 dev eth0",
        "  203.0.113.0/24: the policy rule 32765 (ip rule)",
        "  198.18.0.0/15: the route 198.18.0.1 dev eth0, the route 198.18.0.2 dev eth0, the"
        " route 198.18.0.3 dev eth0, the route 198.18.0.4 dev eth0, 2 more",
        "",
        "hint: set TELEMOCK_DUMMY_RANGES to networks such as 198.51.100.0/24,2001:db8::/32, comma"
        " separated, of IPv4 and of IPv6, that this machine does not use",
        "",
        "[]",
    ]


KILLED = """
real = {name: subprocess.check_output(["which", name], text=True).strip() for name in ("ip", "nft")}
folder = Path(sys.argv[1])
for name, path in real.items():
    # Counts calls that change something, and kills its caller before or after the chosen one.
    (folder / name).write_text(f'''#!/bin/sh
case "$*" in *"-batch -"|*"-f -") ;; *) exec {path} "$@";; esac
n=$(($(cat {folder}/count) + 1)); echo $n > {folder}/count
[ "$n" != "$KILL_BEFORE" ] || {{ kill -9 $PPID; exit 1; }}
{path} "$@"; code=$?
[ "$n" != "$KILL_AFTER" ] || kill -9 $PPID
exit $code
''')
    (folder / name).chmod(0o755)
given = chosen()
def round(**environ):
    (folder / "count").write_text("0")
    done = redirect("--hold", "--hosts", given, PATH=f"{folder}:{os.environ['PATH']}", **environ)
    return done.returncode
print(round(), changed(before))
calls = int((folder / "count").read_text())
dirty = 0
for call in range(1, calls + 1):
    for when in ("KILL_BEFORE", "KILL_AFTER"):
        code = round(**{when: str(call)})
        dirty += bool(changed(before))
        # The next start mends it, and so does --remove.
        mended = chosen() == given if call % 2 else redirect("--remove").returncode == 0
        if code != -9 or not mended or changed(before):
            print(call, when, code, mended, changed(before))
print(calls, dirty)
"""


@pytest.mark.root
@pytest.mark.parametrize(
    "name", ["documentation", "routes and addresses of somebody's own, on loopback"]
)
def test_killed_at_any_moment_the_next_start_leaves_everything_as_it_was(name, tmp_path) -> None:
    out = run(KILLED, str(tmp_path), known=networks.NETWORKS[name])
    # Routes of each family, the table, and the same back: but for the first and the last moment
    # something is left.
    assert out == ["0 []", "6 10"]


@pytest.mark.root
def test_a_redirect_that_is_made_again_keeps_what_is_there() -> None:
    """As an init container that runs a second time; the pod's hostAliases are in /etc/hosts."""
    hosts = "192.0.2.1=a.test,100::1=a.test,192.0.2.2=b.test"
    out = run(
        """
for _ in range(2):
    done = redirect("--hosts", sys.argv[1])
    print(done.returncode, done.stderr)
print(redirect("--remove").returncode, changed(before))
""",
        hosts,
        files={
            "/etc/hosts": "::1 localhost\n192.0.2.1\ta.test\n100::1\ta.test\n192.0.2.2 B.test\n"
        },
    )
    assert out == ["0 ", "0 ", "0 []"]


@pytest.mark.root
@pytest.mark.parametrize(
    "table",
    [
        "",
        "add chain inet telemock input { type filter hook input priority 0; }",
        "add chain inet telemock to_sidecar\nadd chain inet telemock refused\n"
        "add set inet telemock own { type mark; }",
    ],
)
def test_a_table_of_the_same_name_is_left_alone(table: str) -> None:
    out = run(
        """
added = "add table inet telemock\\n" + sys.argv[1]
subprocess.run(["nft", "-f", "-"], check=True, text=True, input=added)
before = state()
for arguments in (["--choose", "a.test"], ["--hosts", "192.0.2.1=a.test"], ["--remove"]):
    done = redirect(*arguments)
    print(done.returncode, done.stderr.splitlines()[0])
print(changed(before))
""",
        table,
    )
    assert len(out) == 4 and out[-1] == "[]"
    for line in out[:3]:
        assert line.startswith("1 error: the nft table inet telemock is none that telemock made (")
