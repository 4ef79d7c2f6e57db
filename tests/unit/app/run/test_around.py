"""app/run/around.py: the command's own connections to outside are seen while they last. The outside
is a network namespace."""

import pytest

from tests import netns, networks

SCRIPT = """
import os, socket, subprocess, sys
from app.run.around import Around
from tests.waiting import wait_for
ASK = ("import socket; s = socket.socket(); s.settimeout(20);"
       "s.connect_ex(('10.9.9.9', 4433))")
LOCAL = ("import socket, sys, time; s = socket.create_server(('127.0.0.1', 0));"
         "c = socket.create_connection(s.getsockname()); time.sleep(20)")
own = subprocess.Popen([sys.executable, "-c", ASK])
around = Around([own.pid])
commands = [subprocess.Popen([sys.executable, "-c", code]) for code in (ASK, LOCAL)]
wait_for(lambda: around._seen, 15)
for one in (own, *commands):
    one.kill(); one.wait()
(seen,) = around.stop()
print(seen.why, seen.program.pid == commands[0].pid, seen.program.name[:6], seen.to)
"""


@pytest.mark.root
def test_what_goes_round_the_proxy_is_named_with_its_program():
    netns.require()
    network = (*networks.WIRE, "addr add 10.0.0.2/24 dev eth0", "route add default via 10.0.0.1",
               "neigh add 10.0.0.1 lladdr 02:00:00:00:00:01 dev eth0")  # fmt: skip
    assert netns.run(SCRIPT, network=network) == "round True python 10.9.9.9:4433\n"
