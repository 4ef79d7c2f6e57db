# ruff: noqa: E501  # a script is a line
"""What jobs do and no gate may fail for, as scripts in the forms of `tests/ways_out.py`."""

from tests.ways_out import OUT, OUT6, UDP

HARMLESS: dict[str, str] = {
    "true": "sh:true",
    "ssl": "import ssl, http.client, urllib.request; ssl.create_default_context()",
    "ls": "sh:ls -l / >/dev/null",
    "git": "sh:cd $(mktemp -d) && git init -q . && git add -A && git -c user.name=a -c user.email=a@b commit -qm x --allow-empty && git status",
    "a compiler": "sh:cd $(mktemp -d) && echo 'int main(void) { return 0; }' >a.c && gcc a.c && ./a.out",
    "make": "sh:cd $(mktemp -d) && printf 'a: b\\n\\tcp b a\\nb:\\n\\techo b >b\\n' >Makefile && make -j4",
    "sqlite": "sh:sqlite3 :memory: 'select 1'",
    "accounts": "import pwd, grp, os; pwd.getpwall(); pwd.getpwuid(os.getuid()); grp.getgrall()",
    "an unknown account": "sh:id nobody-of-that-name; true",
    "a log without a daemon": "import syslog; syslog.syslog('x')",
    "localhost": "socket.getaddrinfo('localhost', 80)",
    "a server of its own": "s = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname()); c.send(b'x')",
    "a server of its own by http": "import http.server, threading, urllib.request\n"
        "s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n"
        "threading.Thread(target=s.serve_forever, daemon=True).start()\n"
        "urllib.request.urlopen(f'http://127.0.0.1:{s.server_port}/').read()",
    "go's servers, which want multipath tcp": "import contextlib\nwith contextlib.suppress(OSError): socket.socket(2, 1, 262)",
    "a server that is slow to take": "import threading\nl = socket.create_server(('127.0.0.1', 0), backlog=0)\n"
        "t = [threading.Thread(target=lambda: socket.socket().connect(l.getsockname())) for _ in range(6)]\n[x.start() for x in t]\n"
        "for _ in t: l.accept()\n[x.join() for x in t]",
    "kernel events": "s = socket.socket(16, 2, 15); s.bind((0, 1)); socket.socket(16, 3, 0); socket.if_nameindex()",
    "a server of a child's": "sh:cd $(mktemp -d) && python3 -m http.server -b 127.0.0.1 8099 >/dev/null 2>&1 & s=$!\n"
        "for i in 1 2 3 4 5 6 7 8 9; do sleep .3; curl -s http://127.0.0.1:8099/ >/dev/null && break; done; kill $s",
    "a server of its own, on every address": "for f, to in ((2, '127.0.0.1'), (2, '10.0.0.2'), (10, '::1'), (10, 'fd00::2')):\n"
        "  s = socket.create_server(('', 0), family=f); c = socket.create_connection((to, s.getsockname()[1]), 5); c.send(b'x'); print(s.accept()[0].recv(1))",
    "a server of its own, ipv6": "s = socket.create_server(('::1', 0), family=10); socket.create_connection(s.getsockname()[:2])",
    "a unix server of its own": "import tempfile; at = tempfile.mkdtemp() + '/s'\n"
        "l = socket.socket(1); l.bind(at); l.listen(); s = socket.socket(1); s.connect(at); s.send(b'x'); print(l.accept()[0].recv(1))",
    "an abstract server of its own": "l = socket.socket(1); l.bind('\\0own'); l.listen(); s = socket.socket(1); s.connect('\\0own')",
    "datagrams of its own": f"{UDP}u.bind(('127.0.0.1', 0)); socket.socket(type=2).sendto(b'x', u.getsockname())",
    "multiprocessing": "import multiprocessing as m\nif __name__ == '__main__':\n  with m.get_context('spawn').Pool(2) as p: print(p.map(abs, [-1, 2]))",
    "asyncio": "import asyncio\nasync def f():\n  p = await asyncio.create_subprocess_exec('true'); await p.wait()\nasyncio.run(f())",
    "pairs": "a, b = socket.socketpair(); socket.send_fds(a, [b'x'], [0]); a.sendmsg([b'x'])",
    "node": "sh:node -e \"const s = require('net').createServer(c => c.end()).listen(0, '127.0.0.1', () => require('net').connect(s.address().port).on('close', () => s.close()).resume())\"",
    "perl": "sh:perl -e 'use Socket; socketpair(A, B, AF_UNIX, SOCK_STREAM, 0) or die'",
    "interfaces": "sh:ip addr >/dev/null; ip route >/dev/null",
    "a way that is looked for": f"for f, to in ((2, '{OUT}'), (10, '{OUT6}'), (10, '::ffff:{OUT}')):\n  u = socket.socket(f, 2); u.connect((to, 0)); print(u.getsockname()); assert u.getsockname()[0] not in ('0.0.0.0', '::')",
    "a unix server of its own, by what it has open": "import os, tempfile; d = tempfile.mkdtemp(); f = os.open(d, os.O_PATH)\n"
        "l = socket.socket(1); l.bind(f'/proc/self/fd/{f}/s'); l.listen(); s = socket.socket(1); s.connect(f'/proc/self/fd/{f}/s'); s.send(b'x'); print(l.accept()[0].recv(1))",
    "unix datagrams of its own": "import tempfile; at = tempfile.mkdtemp() + '/s'\nu = socket.socket(1, 2); u.bind(at); socket.socket(1, 2).sendto(b'x', at); print(u.recv(1))",
    "a unix server that is gone": "import tempfile; at = tempfile.mkdtemp() + '/s'\nl = socket.socket(1); l.bind(at); l.listen(); l.close()\n"
        "for kind in (1, 2): print(socket.socket(1, kind).connect_ex(at), socket.socket(1, kind).connect_ex(at + 'x'))",
    "a manager": "from multiprocessing.managers import SyncManager\nif __name__ == '__main__':\n  with SyncManager() as m: d = m.dict(a=1); print(d['a'])",
    "a registry of its own": "sh:cd $(mktemp -d) && echo '{\"name\":\"a\",\"version\":\"1.0.0\"}' >package.json && npm pack --silent --offline --cache . --no-update-notifier >/dev/null 2>&1; true",
    "git by a file": "sh:cd $(mktemp -d) && git init -q a && git -C a -c user.name=a -c user.email=a@b commit -qm x --allow-empty && git -c user.name=a -c user.email=a@b clone -q a b && git -C b fetch -q",
    "java": "sh:cd $(mktemp -d) && echo 'class A { public static void main(String[] a) throws Exception { try (var s = new java.net.ServerSocket(0, 1, java.net.InetAddress.getLoopbackAddress()); var c = new java.net.Socket(s.getInetAddress(), s.getLocalPort())) { c.getOutputStream().write(1); } } }' >A.java && if command -v java >/dev/null; then java A.java; fi",
    "go": "sh:if command -v go >/dev/null; then go version >/dev/null; fi",
    "the message of another verdict": "print('telemock: gate failed: the command sent something')",
    "the kernel's ciphers": "import contextlib\nwith contextlib.suppress(OSError): socket.socket(38, 5)",
    "closed ports": f"socket.socket().connect_ex(('127.0.0.1', 9)); {UDP}u.sendto(b'x', ('127.0.0.1', 9))",
    "a debugger": "sh:gdb -q -batch -ex run --args true >/dev/null",
    "strace": "sh:strace -f -o /dev/null sh -c true",
    "pipes": "sh:seq 9 | sort | head -1 | cat",
    "a sandbox": "sh:unshare -r true",
    "random and time": "import os, time, tempfile, threading; os.urandom(9); time.time(); threading.Thread(target=print).start()",
}  # fmt: skip
