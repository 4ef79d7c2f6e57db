"""`telemock run`: real commands, seen through the proxy or the redirect, and what is said about
them afterwards."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from app.contract import names
from app.demo import host
from tests.volume import volume
from tests.waiting import wait_for

URL = "https://cdn.cribl.io/telemetry/index.html"
LINE = "cribl /// living the stream!\n"
TELEMOCK = [sys.executable, "-P", "-m", "app.cli"]
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy")

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def telemock(
    folder: Path, *arguments: str, before: tuple[str, ...] = (), **environ: str
) -> subprocess.CompletedProcess[str]:
    (folder / ".telemock").mkdir(exist_ok=True)
    clean = {name: value for name, value in os.environ.items() if name not in PROXIES}
    return subprocess.run(
        [*before, *TELEMOCK, *arguments],
        cwd=folder,
        env={**clean, "PATH": f"{clean['PATH']}:/usr/sbin:/sbin", **environ},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def captures(folder: Path, **environ: str) -> list[dict]:
    done = telemock(folder, "captures", "list", "--json", **environ)
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextlib.contextmanager
def real_hosts(folder: Path) -> Iterator[dict[str, str]]:
    """The demo's real hosts; settings that lead the sidecar to them."""
    folder.mkdir()
    child = subprocess.Popen([sys.executable, "-m", "app.demo.host", str(folder)])
    try:
        ports = folder / host.PORTS_FILE
        wait_for(ports.exists, 20)
        pairs = json.loads(ports.read_bytes()).items()
        yield {
            "TELEMOCK_RESOLVE": ",".join(f"{h}:443=127.0.0.1:{p}" for h, p in pairs),
            "TELEMOCK_UPSTREAM_CA": str(folder / host.CA_FILE),
        }
    finally:
        child.terminate()
        child.wait(20)


def test_the_command_gets_cribls_line_and_the_report_names_a_new_field(tmp_path):
    done = telemock(tmp_path, "run", "--", "curl", "-sS", f"{URL}?v=4.16.1-20904e45&lic=secretlic")
    assert (done.returncode, done.stdout) == (0, LINE)
    assert "GET /telemetry/index.html" in done.stderr
    (seen,) = captures(tmp_path)
    query = dict(seen["request"]["query"])
    assert query["v"] == seen["product_version"] == "4.16.1-20904e45"
    assert query["lic"] != "secretlic"
    done = telemock(tmp_path, "run", "--", "curl", "-sS", f"{URL}?v=4.17.0&brand.new=1")
    assert done.stdout == LINE
    report = telemock(tmp_path, "report").stdout
    assert "query.brand.new" in report
    assert [p for p in (tmp_path / ".telemock").iterdir() if p.name == names.FILE_SERVER] == []


def test_json_follows_the_commands_own_output_and_the_exit_code_is_its(tmp_path):
    script = f"curl -sS '{URL}?v=1'; exit 9"
    done = telemock(tmp_path, "run", "--json", "--", "sh", "-c", script)
    assert done.returncode == 9
    line, document = done.stdout.splitlines()
    assert line + "\n" == LINE
    told = json.loads(document)
    assert told["exit_code"] == 9
    assert [(row["host"], row["count"]) for row in told["sent"]] == [("cdn.cribl.io", 1)]


def test_packages_of_the_same_name_in_the_working_directory_are_not_ours(tmp_path):
    for name in ("app", "addon"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not ours')\n")
    done = telemock(tmp_path, "run", "--", "curl", "-sS", f"{URL}?v=1")
    assert (done.returncode, done.stdout) == (0, LINE), done.stderr


def test_settings_in_dot_env_reach_the_sidecar(tmp_path):
    with real_hosts(tmp_path / "real") as settings:
        (tmp_path / ".env").write_text("".join(f"{n}={v}\n" for n, v in settings.items()))
        ask = ("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"{URL}?v=1")
        assert telemock(tmp_path, "run", "--mode", "observe", "--", *ask).stdout == "404"


def test_verbose_shows_captures_as_they_come(tmp_path):
    done = telemock(tmp_path, "run", "-v", "--", "curl", "-sS", f"{URL}?v=1")
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert [line["request"]["host"] for line in lines if "request" in line] == ["cdn.cribl.io"]


def test_only_this_runs_captures_are_told(tmp_path):
    for _ in range(2):
        telemock(tmp_path, "run", "--", "curl", "-sS", f"{URL}?v=1")
    done = telemock(tmp_path, "run", "--json", "--", "true")
    assert json.loads(done.stdout)["sent"] == []
    assert len(captures(tmp_path)) == 2


def test_mode_block_refuses_and_mode_observe_forwards(tmp_path):
    ask = ("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"{URL}?v=1")
    blocked = telemock(tmp_path, "run", "--mode", "block", "--", *ask)
    assert blocked.stdout == "403"
    with real_hosts(tmp_path / "real") as settings:
        observed = telemock(tmp_path, "run", "--mode", "observe", "--", *ask, **settings)
        # The real host has no such page: what it says is what the command gets.
        assert observed.stdout == "404"
        assert (tmp_path / "real" / host.LOG_FILE).read_text() == f"GET {URL[8:]}\n"
    actions = [(one["action"], one["response"]["status"]) for one in captures(tmp_path)]
    assert actions == [("observe", 404), ("block", 403)]


def test_a_host_that_no_profile_names_shows_its_own_certificate(tmp_path):
    with real_hosts(tmp_path / "real") as settings:
        ask = ["curl", "-sS", "--cacert", settings["TELEMOCK_UPSTREAM_CA"]]
        url = f"https://{host.OTHER}/ingest"
        done = telemock(tmp_path, "run", "--json", "--", *ask, "-d", "[]", url, **settings)
    body, document = done.stdout.splitlines()
    assert body == '{"accepted":3}'
    (row,) = json.loads(document)["sent"]
    assert (row["host"], row["kind"], row["action"]) == (host.OTHER, "spliced", "pass")


def test_a_profile_of_the_users_own_is_used_from_the_first_request_on(tmp_path):
    profile = Path(__file__).parents[1] / "profile.yaml"
    ask = ("curl", "-sS", "https://t.acme.test/page")
    done = telemock(tmp_path, "run", "--profile", str(profile), "--", *ask)
    assert (done.returncode, done.stdout) == (0, "page\n"), done.stderr


def test_a_bad_profile_stops_it_with_the_place_of_the_fault(tmp_path):
    (tmp_path / "bad.yaml").write_text("id: bad\nrules: [{id: a, action: mok}]\n")
    done = telemock(tmp_path, "run", "--profile", "bad.yaml", "--", "true")
    assert done.returncode == 125
    assert "rules[0].action" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_user_set_is_told_and_their_certificates_stay_trusted(tmp_path):
    with real_hosts(tmp_path / "real") as settings:
        script = f"curl -sS '{URL}?v=1'; curl -sS -d '[]' https://{host.OTHER}/ingest"
        done = telemock(
            tmp_path, "run", "--", "sh", "-c", script,
            CURL_CA_BUNDLE=settings["TELEMOCK_UPSTREAM_CA"],
            https_proxy="http://me:hunter2@proxy.test:3128", **settings,
        )  # fmt: skip
    assert done.stdout == LINE + '{"accepted":3}\n', done.stderr
    assert f"CURL_CA_BUNDLE named {settings['TELEMOCK_UPSTREAM_CA']}" in done.stderr
    assert "proxy.test" in done.stderr
    assert "hunter2" not in done.stderr


def test_a_client_that_refuses_our_certificate_is_told(tmp_path):
    (tmp_path / "own.pem").write_bytes(trustme.CA().cert_pem.bytes())  # a list of its own
    ask = ("curl", "-sS", "--cacert", "own.pem", f"{URL}?v=1")
    done = telemock(tmp_path, "run", "--", *ask)
    assert done.returncode == 60
    assert "cdn.cribl.io" in done.stderr
    assert "did not accept the sidecar's certificate" in done.stderr


def test_a_request_that_its_host_did_not_get_was_seen(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    nowhere = {"TELEMOCK_RESOLVE": f"cdn.cribl.io:443=127.0.0.1:{port}"}
    ask = ("curl", "-sS", "https://cdn.cribl.io/dl/cribl.tgz")
    done = telemock(tmp_path, "run", "--", *ask, **nowhere)
    assert "the real host could not be reached" in done.stderr
    assert "no request to a host" not in done.stderr


MANY = """
for n in $(seq 40); do head -c 40000 /dev/urandom | base64 -w0 > body
curl -sS -o /dev/null -d @body https://cdn.cribl.io/telemetry/events; done
"""


def test_records_that_are_not_stored_are_told_and_come_with_the_next_run(tmp_path):
    with volume(tmp_path / "full", 2 << 20) as disk:
        settings = {"TELEMOCK_DATA": str(disk.path / "data"), "TELEMOCK_LOGS": str(tmp_path / "l")}
        enter = tuple([*disk.enter, "env", f"--chdir={tmp_path}"])
        done = telemock(tmp_path, "run", "--json", "--", "sh", "-c", MANY, before=enter, **settings)
        stored = sum(row["count"] for row in json.loads(done.stdout)["sent"])
        (left,) = map(
            int, re.findall(r"telemock: (\d+) records of this run are not st", done.stderr)
        )
        assert stored < 40 <= stored + left, done.stderr
        assert "the disk took no more" in done.stderr


@pytest.mark.skipif(shutil.which("wget") is None, reason="wget is not installed")
def test_a_client_that_leaves_with_the_certificate_is_told(tmp_path):
    """GnuTLS looks at it when the handshake is done, and leaves without a word."""
    (tmp_path / "own").mkdir()  # a list of its own, and empty
    ask = (
        "env",
        "-u",
        "SSL_CERT_FILE",
        "wget",
        "-q",
        "-t1",
        "--no-config",
        "--ca-directory=own",
        URL,
    )
    done = telemock(tmp_path, "run", "--", *ask)
    assert done.returncode == 5
    assert "telemock: not complete: 1 connection to cdn.cribl.io: the client did not" in done.stderr
    assert "it probably does not trust the sidecar's certificate" in done.stderr
    assert "no request to a host" not in done.stderr
    (seen,) = captures(tmp_path)
    assert seen["kind"] == "tls_rejected"
    assert "probably does not trust" in telemock(tmp_path, "report").stdout


def test_two_at_once_share_one_app_and_the_longer_one_loses_nothing(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    wait = f"until [ -e {second} ]; do sleep 0.05; done"
    outcome: list[subprocess.CompletedProcess[str]] = []
    one = threading.Thread(
        target=lambda: outcome.append(
            telemock(tmp_path, "run", "--", "sh", "-c", f"touch {first}; {wait}")
        )
    )
    one.start()
    wait_for(first.exists, 60)
    # The app belongs to the first run, which ends while the second goes on.
    app = json.loads((tmp_path / ".telemock" / names.FILE_SERVER).read_text())["url"]
    script = (
        f"touch {second}; while curl -s --noproxy '*' -o {os.devnull} {app}/health; "
        f"do sleep 0.05; done; curl -sS '{URL}?v=1'"
    )
    done = telemock(tmp_path, "run", "--json", "--", "sh", "-c", script)
    one.join(60)
    assert outcome[0].returncode == 0
    line, document = done.stdout.splitlines()
    assert line + "\n" == LINE
    assert [row["count"] for row in json.loads(document)["sent"]] == [1]


def test_the_commands_exit_code_stays_when_sidecar_and_app_are_killed(tmp_path):
    # Both are children of the same telemock as the command, in groups of their own.
    kill = (
        "for p in $(cat /proc/$PPID/task/*/children); do [ $p != $$ ] && "
        "grep -qE 'addon|serve' /proc/$p/cmdline && kill -9 $p; done; sleep 0.3; exit 6"
    )
    done = telemock(tmp_path, "run", "--", "sh", "-c", f"curl -sS '{URL}?v=1'; {kill}")
    assert (done.returncode, done.stdout) == (6, LINE), done.stderr
    assert "the sidecar ended before the command" in done.stderr
    # The one request was killed before it was spooled, or delivered by the next sidecar.
    assert ("1: the sidecar ended before" in done.stderr) is ("index.html" not in done.stderr)
    assert not list((tmp_path / ".telemock").rglob("*.ndjson"))
    assert "Traceback" not in done.stderr


def test_killed_it_leaves_no_child_behind(tmp_path):
    started = tmp_path / "started"
    one = subprocess.Popen(
        [*TELEMOCK, "run", "--", "sh", "-c", f"touch {started}; exec sleep 60"],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    wait_for(started.exists, 60)
    one.kill()
    one.wait()

    def left() -> list[str]:
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (entry / "cwd").readlink() == tmp_path.resolve():
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found

    wait_for(lambda: not any("addon" in c or "serve" in c for c in left()), 60)
    for entry in Path("/proc").iterdir():  # the command itself is the user's: it stays
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink() == tmp_path.resolve():
                os.kill(int(entry.name), signal.SIGKILL)


ROOT = os.geteuid() == 0
NAMESPACE = ("unshare", "--net") if ROOT else ("unshare", "--user", "--map-root-user", "--net")
UP = ("sh", "-c", 'ip link set lo up && exec "$@"', "sh")


@pytest.fixture
def namespace() -> tuple[str, ...]:
    """What runs a command as root of a network of its own, where nft works."""
    probe = "ip link set lo up && nft add table inet probe"
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    done = subprocess.run(
        [*NAMESPACE, "--mount", "sh", "-c", probe],
        env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"no namespace with nft here: {done.stderr.strip()}")
    return (*NAMESPACE, "--mount", *UP)


TRANSPARENT = f"""
cat /etc/hosts
curl() {{ command curl -sS --noproxy '*' "$@"; }}
curl '{URL}?v=1'; curl -6 '{URL}?v=1'; curl 'http{URL[5:]}?v=1'
exit 4
"""


@pytest.mark.root
def test_transparent_reaches_what_ignores_proxies_and_leaves_nothing(tmp_path, namespace):
    hosts = Path("/etc/hosts").read_text()
    script = (
        '"$@"; echo "code $?"; nft list tables; ip route show table all; '
        "ip -6 route show table all; cat /etc/hosts"
    )
    done = telemock(
        tmp_path, "run", "--transparent", "--", "sh", "-c", TRANSPARENT,
        before=(*namespace, "sh", "-c", script, "sh"),
    )  # fmt: skip
    inside, _, after = done.stdout.partition("code 4\n")
    addresses = re.findall(r"^(\S+)\tcdn\.cribl\.io$", inside, re.MULTILINE)
    assert [":" in address for address in addresses] == [False, True]
    assert inside.endswith(LINE * 3), done.stderr
    assert after, done.stdout + done.stderr
    assert "telemock" not in after
    assert not any(f"local {address} " in after for address in addresses)
    assert after.endswith(hosts)
    assert not list((tmp_path / ".telemock").glob("hosts-*"))
    assert [one["action"] for one in captures(tmp_path)] == ["mock"] * 3


@pytest.mark.root
def test_transparent_works_without_root(tmp_path, namespace):
    before: tuple[str, ...] = ()
    if ROOT:
        caps = "-net_admin,-sys_admin"
        before = ("setpriv", f"--bounding-set={caps}", f"--inh-caps={caps}")
    # Nothing but loopback: no route, so a look-up that asks for usable addresses needs the dummies.
    up = ("unshare", "--user", "--map-root-user", "--net", "sh", "-c",
          'ip link set lo up && ip addr add 127.0.0.2/8 dev lo && exec "$@"', "sh")  # fmt: skip
    ask = f"getent ahostsv4 cdn.cribl.io >&2 && curl -sS --noproxy '*' '{URL}?v=1'"
    done = telemock(tmp_path, "run", "--transparent", "--", "sh", "-c", ask, before=(*up, *before))
    assert (done.returncode, done.stdout) == (0, LINE), done.stderr
    assert "telemock: complete: 1 request" in done.stderr
    (seen,) = captures(tmp_path)
    assert (seen["action"], seen["program"]["name"]) == ("mock", "curl")
