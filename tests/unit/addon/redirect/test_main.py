"""addon/redirect/__main__.py: in a network namespace of its own, which connections reach the
sidecar's port
and which do not, and what it takes to make that so."""

import os

import pytest

from addon.redirect import __main__ as redirect
from tests import netns

HOSTS = "192.0.2.1=cdn.cribl.io,100::1=cdn.cribl.io"

# A sidecar's two listeners; each accepted connection is answered with where it arrived.
PRELUDE = """
import json, os, select, socket, subprocess, sys, threading
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
def ask(address, port, seconds=5):
    try:
        with socket.create_connection((address, port), seconds) as c:
            return c.recv(99).decode()
    except OSError as e:
        return type(e).__name__
def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
def tables():
    return output("nft", "list", "tables")
def routes():
    return "".join(output("ip", f, "route", "show", "table", "all") for f in ("-4", "-6"))
def redirect(*more, hosts=HOSTS, under=()):
    return subprocess.run([*under, sys.executable, "-m", "addon.redirect", "--hosts", hosts, *more],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
def udp(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        try:
            s.connect((address, 443)); s.send(b"quic"); s.recv(9); return "answered"
        except TimeoutError: return "hangs"
        except OSError as e: return "refused"
"""


@pytest.fixture(scope="module")
def namespace():
    netns.require()
    return lambda script, **more: netns.run(PRELUDE + script, **more)


@pytest.mark.parametrize(
    "text",
    ["cdn.cribl.io", "192.0.2.1", "192.0.2.1=a b", "x=cdn.cribl.io", "192.0.2.1=a;flush x"],
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
print("UDP", udp("192.0.2.1"))
print(redirect("--remove").returncode, redirect("--remove").returncode)
print("telemock" in tables(), "192.0.2.1" in routes(), "100::1" in routes())
""").splitlines()
    assert out[0] == "[0, 0] ['', '']"
    assert out[1] == "127.0.0.1 17443 127.0.0.1 17443 ::1 17443"
    assert out[2] == "127.0.0.1 443"
    assert out[3] == "ConnectionRefusedError 0.0.0.0 8443"
    assert out[4] == "UDP refused"
    assert out[5:] == ["0 0", "False False False"]


def test_without_an_address_there_is_nothing_to_redirect(capsys):
    assert redirect.main(["--hosts", ""]) == 1
    assert "--hosts names no address" in capsys.readouterr().err


# A pod's interface, whose other end forwards nothing.
WAY_OUT = """
for command in (
    "ip link add eth0 type veth peer name end", "ip link set eth0 up", "ip link set end up",
    "ip addr add 10.9.0.2/24 dev eth0", "ip route add default via 10.9.0.1",
    "ip neigh add 10.9.0.1 lladdr 02:00:00:00:00:01 dev eth0",
    "ip neigh add 169.254.169.254 lladdr 02:00:00:00:00:01 dev eth0",
    "ip route add 169.254.169.254 dev eth0",
    "ip -6 addr add fd09::2/64 dev eth0 nodad", "ip -6 route add default via fd09::1",
    "ip -6 neigh add fd09::1 lladdr 02:00:00:00:00:01 dev eth0",
):
    subprocess.run(command.split(), check=True)
def as_user(uid, address, port):
    os.seteuid(uid)
    try:
        return ask(address, port, 1)
    finally:
        os.seteuid(0)
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="other users exist for root only")
def test_all_takes_every_web_connection_but_the_machines_own_and_the_sidecars(namespace):
    out = namespace(
        WAY_OUT
        + """
held = [serve("127.0.0.1"), serve("::1"), serve("127.0.0.1", 443), serve("::1", 80),
        serve("10.9.0.2", 443)]
done = redirect("--mode=all")
print(done.returncode, done.stderr, done.stdout.strip())
print(ask("192.0.2.1", 443), ask("100::1", 80))
print(ask("203.0.113.9", 443), ask("203.0.113.9", 80), ask("2001:db8:1::9", 443))
print(ask("127.0.0.1", 443), ask("::1", 80), ask("10.9.0.2", 443))
print(as_user(65534, "203.0.113.9", 443), as_user(2931, "203.0.113.9", 443),
      as_user(2931, "2001:db8:1::9", 80), as_user(2931, "192.0.2.1", 443))
print(as_user(65534, "169.254.169.254", 80), as_user(65534, "203.0.113.9", 5432))
print(udp("203.0.113.9"), udp("2001:db8:1::9"), udp("192.0.2.1"))
print(redirect("--mode=all").returncode, redirect("--mode=all", "--remove").returncode,
      "telemock" in tables())
"""
    ).splitlines()
    assert out[0] == (
        "0  redirected: 192.0.2.1 (cdn.cribl.io), 100::1 (cdn.cribl.io), all of IPv4, all of IPv6"
    )
    assert out[1] == "127.0.0.1 17443 ::1 17443"
    assert out[2] == "127.0.0.1 17443 127.0.0.1 17443 ::1 17443"
    assert out[3] == "127.0.0.1 443 ::1 80 10.9.0.2 443"
    assert out[4] == "127.0.0.1 17443 TimeoutError TimeoutError 127.0.0.1 17443"
    assert out[5] == "TimeoutError TimeoutError"
    assert out[6] == "refused refused refused"
    assert out[7] == "0 0 False"


@pytest.mark.root
def test_all_needs_no_host_and_no_way_out(namespace):
    out = namespace("""
held = [serve("127.0.0.1"), serve("::1")]
done = redirect("--mode=all", hosts="")
print(done.returncode, done.stderr, done.stdout.strip())
""").splitlines()
    assert out == ["0  redirected: all of IPv4, all of IPv6"]


@pytest.mark.root
def test_all_without_a_sidecar_fails_with_a_sentence_and_leaves_nothing(namespace):
    out = namespace(
        WAY_OUT
        + """
done = redirect("--mode=all", hosts="")
print(done.returncode, "which stands for any other address" in done.stderr, "telemock" in tables())
"""
    ).splitlines()
    assert out == ["1 True False"]


@pytest.mark.root
@pytest.mark.parametrize("mode", ["hosts", "all"])
def test_without_ipv6_only_ipv4_is_redirected(namespace, mode):
    out = namespace(
        """
held = [serve("127.0.0.1")]
done = redirect(f"--mode={sys.argv[1]}")
print(done.returncode, done.stderr, done.stdout.strip(), ask("192.0.2.1", 443))
""".replace("sys.argv[1]", repr(mode)),
        ipv6=False,
    ).splitlines()
    every = ", all of IPv4" if mode == "all" else ""
    assert out == [f"0  redirected: 192.0.2.1 (cdn.cribl.io){every} 127.0.0.1 17443"]


@pytest.mark.root
@pytest.mark.parametrize("mode", ["hosts", "all"])
def test_as_the_init_container_it_needs_one_capability(namespace, mode):
    """uid 0, NET_ADMIN alone, no way to more, and nothing that can be written to."""
    out = namespace(
        """
held = [serve("127.0.0.1"), serve("::1")]
confined = ["setpriv", "--no-new-privs", "--bounding-set=-all,+net_admin",
            "--inh-caps=-all,+net_admin"]
sealed = ["unshare", "--mount", "sh", "-ec",
          'mount --make-rprivate /; mount -o remount,ro,bind / /; exec "$@"', "-"]
done = redirect("--mode=MODE", under=[*sealed, *confined])
print(done.returncode, done.stderr, ask("192.0.2.1", 443))
less = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
done = redirect("--mode=MODE", under=less)
print(done.returncode, "hint: this needs CAP_NET_ADMIN" in done.stderr)
""".replace("MODE", mode)
    ).splitlines()
    assert out == ["0  127.0.0.1 17443", "1 True"]


@pytest.mark.root
def test_without_a_sidecar_it_fails_with_a_sentence_and_leaves_nothing(namespace):
    out = namespace("""
done = redirect()
print(done.returncode, "hint: the sidecar must listen on port 17443" in done.stderr)
print("telemock" in tables(), "192.0.2.1" in routes())
""").splitlines()
    assert out == ["1 True", "False False"]


@pytest.mark.root
def test_the_proof_waits_for_the_sidecar(namespace):
    out = namespace("""
late = subprocess.Popen([sys.executable, "-m", "addon.redirect", "--hosts", HOSTS, "--wait"],
                        env=os.environ | {"TELEMOCK_HEALTH_HOST": "127.0.0.1"},
                        stdout=subprocess.PIPE, text=True)
while "telemock" not in tables():
    pass
held = [serve("127.0.0.1"), serve("::1")]
print(late.poll())
health = socket.create_server(("127.0.0.1", 17490))
client, _ = health.accept()
with client:
    client.recv(999)
    client.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\nready")
print(late.communicate()[0].split(":")[0], late.returncode)
""").splitlines()
    assert out == ["None", "redirected 0"]


@pytest.mark.root
def test_waiting_it_ends_on_sigterm_also_as_the_first_process_of_a_container(namespace):
    out = namespace("""
waiting = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child=SIGTERM", sys.executable,
                            "-m", "addon.redirect", "--hosts", HOSTS, "--wait"])
while "telemock" not in tables():
    pass
children = open(f"/proc/{waiting.pid}/task/{waiting.pid}/children").read().split()
os.kill(int(children[0]), 15)
print(waiting.wait(20))
""").splitlines()
    assert out == ["1"]


@pytest.mark.root
def test_a_sidecar_that_is_never_ready_leaves_no_redirect(namespace):
    out = namespace("""
held = [serve("127.0.0.1"), serve("::1")]
from addon import ready; from addon.redirect import __main__ as r
ready.WAIT_SECONDS = 0
print(r.main(["--hosts", HOSTS, "--wait"]), "telemock" in tables(), "192.0.2.1" in routes())
""").splitlines()
    assert out == ["1 False False"]


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


@pytest.mark.root
@pytest.mark.parametrize("mode", ["hosts", "all"])
def test_a_host_s_own_ports_are_redirected_for_its_addresses_alone(namespace, mode):
    out = namespace(f"""
held = [serve("127.0.0.1"), serve("::1"), serve("0.0.0.0", 61833)]
hosts = HOSTS + ",192.0.2.2=kong.test,100::2=kong.test"
done = redirect("--mode", "{mode}", "--ports", "kong.test:61833,kong.test:4319", hosts=hosts)
print(done.returncode, done.stdout, done.stderr)
print(ask("192.0.2.2", 61833), ask("192.0.2.2", 4319), ask("100::2", 61833), ask("192.0.2.2", 443))
print(ask("192.0.2.1", 61833), ask("192.0.2.2", 61834), ask("100::1", 4319))
print(ask("127.0.0.1", 61833))
print(redirect("--remove").returncode, "telemock" in tables())
""").splitlines()
    assert out[0].startswith("0 redirected: 192.0.2.1 (cdn.cribl.io), 100::1 (cdn.cribl.io), ")
    assert "192.0.2.2 (kong.test, 61833, 4319)" in out[0]
    assert out[-4:] == [
        "127.0.0.1 17443 127.0.0.1 17443 ::1 17443 127.0.0.1 17443",
        "ConnectionRefusedError ConnectionRefusedError ConnectionRefusedError",
        "0.0.0.0 61833",
        "0 False",
    ]
