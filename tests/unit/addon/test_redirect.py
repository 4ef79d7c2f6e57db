"""addon/redirect.py: what it sends to nft, and in a network namespace of its own that connections
to the dummy addresses, and no others, reach the sidecar's port."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from addon import redirect

ROOT = Path(__file__).parents[3]
HOSTS = "192.0.2.1=cdn.cribl.io,100::1=cdn.cribl.io"
NAMESPACE = (
    ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
)
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"

# A sidecar's two listeners; each accepted connection is answered with where it arrived.
PRELUDE = """
import json, os, select, socket, subprocess, sys, threading
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
HOSTS = "192.0.2.1=cdn.cribl.io,100::1=cdn.cribl.io"
def serve(address, port=17443):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.create_server((address, port), family=family)
    def loop():
        while True:
            c, _ = s.accept()
            c.sendall(f"{address} {port}".encode())
            c.close()
    threading.Thread(target=loop, daemon=True).start()
    return s
def ask(address, port):
    try:
        with socket.create_connection((address, port), 5) as c:
            return c.recv(99).decode()
    except OSError as e:
        return type(e).__name__
def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
def tables():
    return output("nft", "list", "tables")
def routes():
    return "".join(output("ip", f, "route", "show", "table", "all") for f in ("-4", "-6"))
def redirect(*more):
    return subprocess.run([sys.executable, "-m", "addon.redirect", "--hosts", HOSTS, *more],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
"""


@pytest.fixture(scope="module")
def namespace():
    missing = [t for t in ("unshare", "nft", "ip") if shutil.which(t, path=PATH) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    probe = subprocess.run(
        [*NAMESPACE, "nft", "-f", "-"],
        input="add table inet probe\nadd chain inet probe c { type nat hook output priority 0; }\n",
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": PATH},
        check=False,
    )
    if probe.returncode:
        pytest.skip(f"no network namespace with nft here: {probe.stderr.strip()}")

    def run(script: str) -> str:
        done = subprocess.run(
            [*NAMESPACE, sys.executable, "-c", PRELUDE + script],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=ROOT,
            env={**os.environ, "PATH": PATH},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_table_is_replaced_in_one_transaction_and_names_nothing_else():
    text = redirect.ruleset(redirect.parse(HOSTS), 17443)
    assert text.splitlines()[:2] == ["add table inet telemock", "delete table inet telemock"]
    assert (
        "ip daddr @hosts4 tcp dport { 80, 443 } counter name redirected4 redirect to :17443" in text
    )
    assert "elements = { 100::1 }" in text
    rules = [line.split() for line in text.splitlines() if " counter " in line and "daddr" in line]
    assert rules and all(
        rule[1:3] in (["daddr", "@hosts4"], ["daddr", "@hosts6"]) for rule in rules
    )


def test_a_family_without_addresses_is_left_out():
    text = redirect.ruleset(redirect.parse("192.0.2.1=a.example,192.0.2.2=b.example"), 1)
    assert "elements = { 192.0.2.1, 192.0.2.2 }" in text
    assert "ip6" not in text


@pytest.mark.parametrize(
    "text",
    ["", "cdn.cribl.io", "192.0.2.1", "192.0.2.1=a b", "x=cdn.cribl.io", "192.0.2.1=a;flush x"],
)
def test_what_is_no_address_and_host_is_refused_with_a_remedy(text):
    with pytest.raises(redirect.RedirectError, match="hint: "):
        redirect.parse(text)


@pytest.mark.root
def test_only_the_dummy_addresses_are_redirected(namespace):
    out = namespace("""
held = [serve("127.0.0.1"), serve("::1"), serve("127.0.0.1", 443), serve("0.0.0.0", 8443)]
done = [redirect(), redirect()]
print([d.returncode for d in done], [d.stderr for d in done])
print(ask("192.0.2.1", 443), ask("192.0.2.1", 80), ask("100::1", 443))
print(ask("127.0.0.1", 443))
print(ask("192.0.2.1", 8443), ask("127.0.0.1", 8443))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(5)
    try:
        s.connect(("192.0.2.1", 443)); s.send(b"quic"); print(s.recv(9))
    except TimeoutError: print("UDP hangs")
    except OSError: print("UDP refused")
print(redirect("--remove").returncode, redirect("--remove").returncode)
print("telemock" in tables(), "192.0.2.1" in routes(), "100::1" in routes())
""").splitlines()
    assert out[0] == "[0, 0] ['', '']"
    assert out[1] == "127.0.0.1 17443 127.0.0.1 17443 ::1 17443"
    assert out[2] == "127.0.0.1 443"
    assert out[3] == "ConnectionRefusedError 0.0.0.0 8443"
    assert out[4] == "UDP refused"
    assert out[5:] == ["0 0", "False False False"]


@pytest.mark.root
def test_without_a_sidecar_it_fails_with_a_sentence_and_leaves_nothing(namespace):
    out = namespace("""
done = redirect()
print(done.returncode, "hint: the sidecar must listen on port 17443" in done.stderr)
print("telemock" in tables(), "192.0.2.1" in routes())
""").splitlines()
    assert out == ["1 True", "False False"]


@pytest.mark.root
def test_held_it_ends_with_its_parent_and_excludes_another(namespace):
    out = namespace("""
held = [serve("127.0.0.1"), serve("::1")]
holder = subprocess.Popen([sys.executable, "-m", "addon.redirect", "--hosts", HOSTS, "--hold"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
print("redirected" in holder.stdout.readline(), ask("192.0.2.1", 443))
second = redirect()
print(second.returncode, "another telemock holds" in second.stderr, ask("192.0.2.1", 443))
holder.stdin.close()
print(holder.wait(20), "telemock" in tables(), "192.0.2.1" in routes())
""").splitlines()
    assert out == ["True 127.0.0.1 17443", "1 True 127.0.0.1 17443", "0 False False"]


@pytest.mark.root
def test_held_it_ends_on_sigterm(namespace):
    out = namespace("""
held = [serve("127.0.0.1"), serve("::1")]
holder = subprocess.Popen([sys.executable, "-m", "addon.redirect", "--hosts", HOSTS, "--hold"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
holder.stdout.readline()
holder.terminate()
print(holder.wait(20), "telemock" in tables())
""").splitlines()
    assert out == ["0 False"]


def test_without_its_tools_it_names_the_package(monkeypatch, capsys):
    monkeypatch.setattr(redirect.shutil, "which", lambda name, path: None)
    assert redirect.main(["--hosts", HOSTS]) == 1
    assert "hint: install the package iproute2" in capsys.readouterr().err
