"""app/run/transparent.py: the command's own /etc/hosts, and what the kernel must allow. Whole runs
are in tests/integration/test_run_covers.py."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import trust
from app.run import seccomp, transparent

DUMMIES = [("127.116.0.1", "cdn.cribl.io"), ("100::1", "cdn.cribl.io")]


def test_the_hosts_file_has_both_addresses_and_no_others_for_the_host():
    original = (
        "127.0.0.1 localhost\n10.0.0.1\tCDN.cribl.io other.test # a comment\n"
        "10.0.0.2 cdn.cribl.io\n# cdn.cribl.io stays in a comment\n"
    )
    assert transparent.hosts_file(original, DUMMIES).splitlines() == [
        "127.0.0.1 localhost",
        "10.0.0.1\tother.test",
        "# cdn.cribl.io stays in a comment",
        "127.116.0.1\tcdn.cribl.io",
        "100::1\tcdn.cribl.io",
    ]


def test_an_allowed_host_stands_in_it_and_takes_no_telemetry_hosts_place(tmp_path, monkeypatch):
    (tmp_path / "hosts").write_text("192.0.2.1 pypi.test a.test\n")
    monkeypatch.setattr(transparent, "_HOSTS", tmp_path / "hosts")
    allowed = [
        transparent.AllowedHost(address, host, frozenset({443}))
        for address, host in (
            ("192.0.2.7", "pypi.test"), ("2606:1::7", "pypi.test"), ("192.0.2.8", "a.test"),
        )
    ]  # fmt: skip
    for names in (True, False):
        monkeypatch.setattr(transparent, "may_name_hosts", lambda names=names: names)
        one = transparent.Transparent(["a.test"], 1, tmp_path, allowed=allowed)
        one.prepare()
        assert (one.hosts_copy is not None) is names
        if one.hosts_copy:
            assert one.hosts_copy.read_text().splitlines() == [
                "127.116.0.1\ta.test", "100::1\ta.test", "192.0.2.7\tpypi.test",
                "2606:1::7\tpypi.test",
            ]  # fmt: skip
        assert "pypi.test" not in one.settings["TELEMOCK_HOSTS"]
        one.end()


def test_files_of_runs_that_were_killed_go(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    kept = [f"hosts-{os.getpid()}", "hosts-own", "store.sqlite"]
    for name in (*kept, f"hosts-{ended.pid}"):
        (tmp_path / name).touch()
    transparent._forget_killed(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(kept)


def look(script: str, *before: str) -> str:
    code = f"from app.run import transparent as t; {script}"
    done = subprocess.run([*before, sys.executable, "-c", code], capture_output=True, text=True,
                          timeout=60, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


UNPRIVILEGED = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
# The kernel lets root's own number into a user namespace with CAP_SETFCAP only.
LONE = ("unshare", "--user", "--map-root-user", "--net", "setpriv", "--bounding-set=-sys_admin",
        "--inh-caps=-sys_admin")  # fmt: skip


@pytest.mark.skipif(seccomp.HERE is None, reason="no filter for this machine")
def test_the_kernel_allows_it_without_any_capability():
    script = "print(repr(t.refused()), t.privileged())"
    assert look(script, *(UNPRIVILEGED if os.geteuid() == 0 else ())) == "'' False"


@pytest.mark.skipif(seccomp.HERE is None, reason="no filter for this machine")
def test_within_another_run_it_says_so():
    script = (
        "import socket; a, b = socket.socketpair(); t._send_listener(a); "
        "fd = socket.recv_fds(b, 1, 1)[1]; print(t.refused())"
    )
    assert look(script) == (
        "this process is watched so already: is it within another `telemock run`?"
    )


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, ""), (errno.ENOSYS, "it needs Linux 5.9 or newer"), (errno.EPERM, "this kernel refuses "
     "it (Operation not permitted): run it outside of the container or sandbox, or as root")],
)  # fmt: skip
def test_what_the_kernel_lacks_is_said_with_what_helps(number, said):
    assert transparent._why(number) == said


def test_another_machine_is_told_what_it_takes(monkeypatch):
    monkeypatch.setattr(seccomp, "HERE", None)
    assert transparent.refused() == "it needs Linux on x86-64 or arm64"


ROUTE = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\n"


@pytest.mark.parametrize(
    ("rows", "found"),
    [("", False), ("eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t\n", True),
     ("eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t\n", False)],
)  # fmt: skip
def test_a_default_route_is_found(rows, found, tmp_path, monkeypatch):
    table = tmp_path / "route"
    table.write_text(ROUTE + rows)
    monkeypatch.setattr(transparent, "_ROUTES", table)
    assert transparent._has_default_route() is found


@pytest.mark.root
def test_a_user_without_root_and_without_a_network_gets_an_etc_hosts_of_its_own(tmp_path):
    if subprocess.run([*LONE, "true"], capture_output=True).returncode:
        pytest.skip("no user namespace here")
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca/bundle.pem").write_text("the system's and ours")
    lists = [path for path in trust.SYSTEM_LISTS if Path(path).exists()]
    script = (
        "from pathlib import Path; import subprocess; "
        f"one = t.Transparent(['a.test'], 1, Path({str(tmp_path)!r})); run = one.prepare(); "
        f"print(subprocess.run(['tail', '-qn2', '/etc/hosts', *{lists}], preexec_fn=run, "
        "stdout=subprocess.PIPE, text=True).stdout, one.settings['TELEMOCK_HOSTS'])"
    )
    before = [Path(path).read_text() for path in ("/etc/hosts", *lists)]
    assert look(script, *LONE).split() == [
        "127.116.0.1", "a.test", "100::1", "a.test",
        *["the", "system's", "and", "ours"] * len(lists), "127.116.0.1=a.test,100::1=a.test",
    ]  # fmt: skip
    assert [Path(path).read_text() for path in ("/etc/hosts", *lists)] == before


def test_a_user_without_root_and_with_a_network_keeps_the_machines(monkeypatch):
    monkeypatch.setattr(transparent, "privileged", lambda: False)
    monkeypatch.setattr(transparent, "_has_default_route", lambda: True)
    assert transparent.may_name_hosts() is False


def test_a_command_that_could_not_be_started_leaves_nothing(tmp_path):
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca/bundle.pem").touch()
    one = transparent.Transparent(["a.test"], 1, tmp_path)
    one.prepare()
    one.end()
    one.end()
    assert not list(tmp_path.glob("hosts-*"))


def test_a_parent_that_ends_before_it_hears_leaves_no_process():
    """Its standard output ends with the last of its processes."""
    gone = (
        "import os, socket\n"
        "from app.run import transparent\n"
        "socket.recv_fds = lambda *_: os._exit(7)\n"
        "transparent.refused()"
    )
    done = subprocess.run(
        [sys.executable, "-c", gone], stdout=subprocess.PIPE, timeout=20, check=False
    )
    assert done.returncode == 7
