"""`telemock run --canary`: values that real processes find where they look, send in many ways, and
that the report names by source, field and way."""

import json
import os
import sys
from pathlib import Path

import pytest

from app.run.canary import facts
from tests.integration.test_run import telemock
from tests.integration.test_run_user import Done
from tests.ways import WAYS

ROOT = Path(__file__).parents[2]
AT = "https://cdn.cribl.io/telemetry/index.html?v=1"
SEND = f"""
import json, urllib.request
def send(body, kind="application/json"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request({AT!r}, data, {{"content-type": kind}})
    print(urllib.request.urlopen(request).read().decode())
"""
EACH = f"""
{SEND}
import socket
from tests.ways import WAYS
written = {{way: write(socket.gethostname()) for way, (write, said) in WAYS.items()
           if "'product'" not in said}}  # no word of this command
send({{f"w{{n}}": one for n, one in enumerate(written.values()) if isinstance(one, str)}})
for n, one in enumerate(written.values()):
    if isinstance(one, bytes):
        send(one, f"application/x-w{{n}}")
"""
WHO = f"""
{SEND}
import getpass, hashlib, os, platform, pwd, socket, subprocess, uuid
def digest(text): return hashlib.sha256(text.encode()).hexdigest()
def machine_id(): return open("/etc/machine-id").read().strip()
me = pwd.getpwuid(os.getuid())
sent = {{
    "host": socket.gethostname(), "node": digest(platform.node()), "user": getpass.getuser(),
    "login": digest(me.pw_name), "home": os.path.expanduser("~"), "of_account": me.pw_dir,
    "cwd": digest(os.getcwd()), "mail": os.environ["GIT_AUTHOR_EMAIL"],
    "all": sorted(os.environ.values()), "node_id": digest(str(uuid.getnode())),
    "files": os.listdir(os.path.expanduser("~")),
    "address": socket.gethostbyname(socket.gethostname()),
    "mac": [digest(open(f"/sys/class/net/{{name}}/address").read().strip())
            for name in sorted(os.listdir("/sys/class/net"))],
}}
send(sent)
"""
REMOTE = f"""
{SEND}
import hashlib, subprocess
ask = ["git", "config", "--local", "--get", "remote.origin.url"]
url = subprocess.run(ask, capture_output=True, check=True).stdout.strip()
send({{"project": hashlib.sha256(url).hexdigest()}})
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="it needs root")


def told(done) -> tuple[dict, dict[str, list[tuple[str, str]]]]:
    """The document, and the findings by their field."""
    document = json.loads(done.stdout.splitlines()[-1])
    found: dict[str, list[tuple[str, str]]] = {}
    for row in document["canary"]["found"]:
        found.setdefault(row["field"], []).append((row["source"], row["how"]))
    return document, found


def run(folder: Path, script: str, *options: str, **environ: str):
    python = (sys.executable, "-c", script)
    return telemock(
        folder, "run", "--canary", "--json", *options, "--", *python,
        PYTHONPATH=str(ROOT), **environ,
    )  # fmt: skip


@needs_root
def test_each_way_that_a_process_sends_the_host_name_is_found(tmp_path):
    done = run(tmp_path, EACH)
    assert done.returncode == 0, done.stderr
    document, found = told(done)
    assert document["coverage"]["complete"], document["coverage"]
    assert {source for rows in found.values() for source, _ in rows} == {"host name"}
    ways = [write for write, said in WAYS.values() if "'product'" not in said]
    texts = [n for n, write in enumerate(ways) if isinstance(write("x" * 12), str)]
    fields = {field.partition("›")[0] for field in found}
    assert {f"body.w{n}" for n in texts} <= fields
    others = [row for row in document["canary"]["found"] if not row["field"].startswith("body.w")]
    kinds = {row["how"] for row in others}
    assert len(ways) - len(texts) == 6 == sum(row["count"] for row in others), others
    assert len(kinds) > 1
    kept = b"".join(p.read_bytes() for p in (tmp_path / ".telemock").rglob("*") if p.is_file())
    assert b"values.json" not in kept


@needs_root
def test_where_programs_look_for_who_and_where_they_are(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "kept").touch()
    done = run(tmp_path, WHO, HOME=str(home))
    assert done.returncode == 0, done.stderr
    document, found = told(done)
    assert document["coverage"]["complete"], document["coverage"]
    for field, source, how in (
        ("host", "host name", "as it is"), ("node", "host name", "SHA-256"),
        ("user", "user", "as it is"), ("login", "user", "SHA-256"),
        ("home", "home", "as it is"), ("of_account", "home", "as it is"),
        ("cwd", "working directory", "SHA-256"), ("mail", "git e-mail", "as it is"),
        ("all[]", "an environment variable", "as it is"), ("all[]", "CI project", "as it is"),
    ):  # fmt: skip
        assert (source, how) in found[f"body.{field}"], field
    assert "body.files[]" not in found
    if facts.addresses():
        assert ("MAC address", "SHA-256") in found["body.mac[]"]
    else:
        assert "MAC address" in document["canary"]["not_planted"]
    assert not list(Path("/tmp").glob("telemock-canary-*/values.json"))  # noqa: S108
    assert (home / "kept").exists()


@needs_root
def test_the_real_home_under_another_name(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "kept").touch()
    script = f'{WHO}\nopen(os.path.expanduser("~/made"), "w")'
    done = run(tmp_path, script, "--own-home", HOME=str(home))
    assert done.returncode == 0, done.stderr
    _, found = told(done)
    assert ("home", "as it is") in found["body.home"]
    assert sorted(p.name for p in home.iterdir()) == ["kept", "made"]


@needs_root
def test_the_remote_of_the_repository(tmp_path):
    inner = tmp_path / "repo" / "inner"
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    inner.mkdir()
    config = tmp_path / "repo" / ".git" / "config"
    own = '[remote "origin"]\n\turl = git@example.test:own/name.git\n'
    config.write_text(f"[core]\n\trepositoryformatversion = 0\n{own}")
    (config.parent / "HEAD").write_text("ref: refs/heads/main\n")
    for name in ("objects", "refs"):
        (config.parent / name).mkdir()
    done = run(inner, REMOTE)
    assert done.returncode == 0, done.stderr
    assert told(done)[1] == {"body.project": [("git remote", "SHA-256")]}
    assert own in config.read_text()


def test_without_the_kernel_the_environment_is_planted_and_the_rest_said(tmp_path):
    script = f"{SEND}\nimport os; send({{'u': os.environ['USER']}})"
    done = run(tmp_path, script, "--no-transparent")
    assert done.returncode == 0, done.stderr
    document, found = told(done)
    assert found == {"body.u": [("user", "as it is")]}
    assert not document["coverage"]["complete"]


def test_nothing_found_says_what_was_looked_for(tmp_path):
    script = f"{SEND}\nsend({{'n': 1}})"
    done = telemock(tmp_path, "run", "--canary", "--", sys.executable, "-c", script)
    assert done.returncode == 0, done.stderr
    assert "canary: no known value was found (" in done.stderr
    assert "not planted: git remote" in done.stderr


def test_without_it_a_record_is_what_it_was(tmp_path):
    done = telemock(tmp_path, "run", "--", sys.executable, "-c", f"{SEND}\nsend({{'n': 1}})")
    assert done.returncode == 0, done.stderr
    listed = telemock(tmp_path, "captures", "list", "--json").stdout
    assert "canary" not in json.loads(listed.splitlines()[0])
    assert "canary" not in done.stderr


@pytest.mark.root
@needs_root
def test_another_user_without_rights_has_a_namespace_of_their_own():
    done = Done(sys.executable, "-c", WHO, options=("--canary", "--json"))
    assert done.code == 0, done.err
    document = json.loads(done.out.splitlines()[-1])
    found = {(row["field"], row["source"]) for row in document["canary"]["found"]}
    assert document["coverage"]["complete"], document["coverage"]
    wanted = {("host", "host name"), ("login", "user"), ("cwd", "working directory")}
    assert {(f"body.{field}", source) for field, source in wanted} <= found
    assert any("user namespace" in note for note in document["canary"]["notes"])


def test_the_real_home_is_asked_for_with_planted_values_alone(tmp_path):
    done = telemock(tmp_path, "run", "--own-home", "--", "true")
    assert done.returncode == 2
    assert "hint: add --canary" in done.stderr
