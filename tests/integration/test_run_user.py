"""`telemock run` as a real other user: an account and a home of their own, no capability, no right
to gain any."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import netns
from tests.integration.test_run_covers import LINE, OUTSIDE

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user"),
]

UID = 12345
HOME = "/mnt/home"
PASSWD = Path("/etc/passwd").read_text() + f"tele:x:{UID}:{UID}::{HOME}:/bin/sh\n"
# In mounts of its own: what the user needs is reached, though a folder above it is root's alone.
REACH = """
import os, subprocess, sys, tempfile
from pathlib import Path
def mount(*words): subprocess.run(["mount", *map(str, words)], check=True)
wanted = {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), Path.cwd().resolve()}
closed = {}
for path in sorted(wanted):
    shut = [p for p in reversed(path.parents) if not p.stat().st_mode & 1]
    if shut: closed.setdefault(shut[0], []).append(path)
for above, paths in closed.items():
    held = {path: tempfile.mkdtemp() for path in paths}
    for path, at in held.items(): mount("--bind", path, at)
    mount("-t", "tmpfs", "-o", "mode=755", "none", above)
    for path, at in held.items():
        if not path.exists():
            path.mkdir(parents=True)
            mount("--bind", at, path)
mount("-t", "tmpfs", "-o", "mode=755", "none", "/mnt")
work = Path("/mnt/home/work")
work.mkdir(parents=True)
for path in (work.parent, work): os.chown(path, 12345, 12345)
"""
RUN = f"""
{REACH}
import json, stat
arguments, more = map(json.loads, sys.argv[1:])
environ = {{"HOME": "{HOME}", "PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd(), **more}}
done = subprocess.run(["setpriv", "--reuid={UID}", "--regid={UID}", "--clear-groups",
                       "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all",
                       sys.executable, "-P", "-m", "app.cli", "run", *arguments],
                      cwd=work, env=environ, capture_output=True, text=True)
state = {{str(p): [p.lstat().st_uid, stat.S_IMODE(p.lstat().st_mode)]
         for p in Path("/mnt").rglob("*")}}
print(json.dumps([done.returncode, done.stdout, done.stderr, state]))
"""


class Done:
    def __init__(
        self,
        *command: str,
        network: tuple[str, ...] = OUTSIDE,
        options: tuple[str, ...] = (),
        **environ: str,
    ) -> None:
        netns.require()
        out = netns.run(
            RUN, json.dumps([*options, "--", *command]), json.dumps(environ), network=network,
            seconds=110, files={"/etc/passwd": PASSWD},
        )  # fmt: skip
        files: dict[str, Any]
        self.code, self.out, self.err, files = json.loads(out)
        self.state = {path: tuple(of) for path, of in files.items() if path != f"{HOME}/work"}


ASK = """
import socket, ssl
s = socket.create_connection(("203.0.114.9", 443), 10)
s = ssl.create_default_context().wrap_socket(s, server_hostname="cdn.cribl.io")
s.sendall(b"GET /telemetry/index.html?v=1 HTTP/1.0\\r\\nhost: cdn.cribl.io\\r\\n\\r\\n")
print(s.makefile().read().rpartition("\\n\\n")[2], end="")
"""


def test_it_is_transparent_and_private(tmp_path: Path) -> None:
    done = Done(sys.executable, "-c", ASK)
    assert (done.code, done.out) == (0, LINE), done.err
    assert "this run is not transparent" not in done.err
    assert "telemock: complete: 1 request" in done.err
    state = f"{HOME}/.local/state/telemock"
    assert done.state[state] == (UID, 0o700)
    below = {path: of for path, of in done.state.items() if path.startswith(f"{state}/")}
    assert len(below) > 10
    assert {path: of for path, of in below.items() if of[0] != UID or of[1] & 0o077} == {}
    assert [path for path in done.state if path.startswith(f"{HOME}/work")] == []


def test_the_state_is_where_xdg_says() -> None:
    done = Done("true", XDG_STATE_HOME=f"{HOME}/elsewhere")
    assert done.code == 0, done.err
    assert done.state[f"{HOME}/elsewhere/telemock"] == (UID, 0o700)
    assert f"{HOME}/.local" not in done.state


def test_the_command_is_still_that_user_and_gains_nothing() -> None:
    done = Done(
        "sh", "-c", "id -un; grep -E 'NoNewPrivs|CapEff' /proc/self/status; cat /etc/shadow"
    )
    assert done.out.split() == ["tele", "CapEff:", "0" * 16, "NoNewPrivs:", "1"], done.err
    assert "Permission denied" in done.err


def test_what_ignores_the_proxy_is_named_where_no_name_is_known() -> None:
    """With a default route there is no /etc/hosts of its own: the name comes by the proxy alone."""
    past = "curl -sS -m 9 --noproxy '*' https://cdn.cribl.io/telemetry/index.html?v=1 || true"
    by_proxy = "curl -sS https://cdn.cribl.io/telemetry/index.html?v=2"
    done = Done("sh", "-c", f"{past}; {by_proxy}")
    assert (done.code, done.out) == (0, LINE), done.err
    assert "Could not resolve host" in done.err  # so nothing of it left
    assert "telemock: complete: 1 request" in done.err


def test_without_a_route_the_names_are_known() -> None:
    """By an /etc/hosts of its own, in a user namespace."""
    ask = "curl -sS --noproxy '*' https://cdn.cribl.io/telemetry/index.html?v=1; id -u"
    done = Done("sh", "-c", ask, network=())
    if "Could not resolve" in done.err:
        pytest.skip("this kernel gives no user namespace to a user")
    assert (done.code, done.out) == (0, f"{LINE}{UID}\n"), done.err
    assert "telemock: complete: 1 request" in done.err


def test_a_program_of_somebody_elses_is_named_as_far_as_it_can_be() -> None:
    """What it may not look into, such as a program that nobody may read, is not passed over."""
    script = (
        "import ctypes, socket\n"
        "ctypes.CDLL(None).prctl(4, 0)\n"  # PR_SET_DUMPABLE
        "s = socket.socket(); s.setblocking(False); print(s.connect_ex(('203.0.114.9', 443)))"
    )
    done = Done(sys.executable, "-c", script)
    assert "not complete: 1 connection of a program" in done.err, done.err
