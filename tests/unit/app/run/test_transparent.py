"""app/run/transparent.py: the command's own /etc/hosts, and who may make a redirect. The redirect
at
work is in tests/integration/test_run.py."""

import os
import subprocess
import sys

import pytest

from app.contract import dummies
from app.run import processes, transparent
from tests import netns

DUMMIES = [("192.0.2.1", "cdn.cribl.io"), ("100::1", "cdn.cribl.io")]


def test_the_hosts_file_has_both_addresses_and_no_others_for_the_host():
    original = (
        "127.0.0.1 localhost\n10.0.0.1\tCDN.cribl.io other.test # a comment\n"
        "10.0.0.2 cdn.cribl.io\n# cdn.cribl.io stays in a comment\n"
    )
    assert transparent.hosts_file(original, DUMMIES).splitlines() == [
        "127.0.0.1 localhost",
        "10.0.0.1\tother.test",
        "# cdn.cribl.io stays in a comment",
        "192.0.2.1\tcdn.cribl.io",
        "100::1\tcdn.cribl.io",
    ]


REDIRECT = """
import sys
from app.contract.dummies import parse
from app.run.transparent import Redirect
print(Redirect(["a.test", "b.test"], parse(sys.argv[1])).settings)
"""


@pytest.mark.root
def test_every_host_gets_an_address_of_both_families():
    netns.require()
    found = netns.run(REDIRECT, dummies.DEFAULT)
    assert "'TELEMOCK_HOSTS': '192.0.2.1=a.test,100::1=a.test,192.0.2.2=b.test,100::2=b.test'" in (
        found
    )
    assert "'TELEMOCK_TRANSPARENT': '127.0.0.1:" in found
    chosen = netns.run(REDIRECT, "10.9.0.0/16,fd09::/64")
    assert "'TELEMOCK_HOSTS': '10.9.0.1=a.test,fd09::1=a.test,10.9.0.2=b.test,fd09::2" in chosen


@pytest.mark.parametrize(("hosts", "sentence"), [([], "no host"), (["x"] * 251, "1 more")])
def test_what_cannot_be_redirected_is_said(hosts, sentence):
    with pytest.raises(processes.LocalError, match="hint: ") as e:
        transparent.Redirect(hosts, dummies.NETWORKS)
    assert sentence in str(e.value)


def test_files_of_runs_that_were_killed_go(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    kept = [f"hosts-{os.getpid()}", "hosts-own", "store.sqlite"]
    for name in (*kept, f"hosts-{ended.pid}"):
        (tmp_path / name).touch()
    transparent._forget_killed(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(kept)


def test_observe_is_refused_where_there_is_no_other_network():
    with pytest.raises(processes.LocalError, match="observe cannot forward\n\nhint: "):
        transparent.isolate("observe")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="gives capabilities away, so needs them")
def test_root_without_its_capabilities_may_not():
    look = [sys.executable, "-c", "from app.run import transparent; print(transparent.allowed())"]
    dropped = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    run = [subprocess.run(c, capture_output=True, text=True) for c in (look, [*dropped, *look])]
    assert [r.stdout.strip() for r in run] == [str(transparent.allowed()), "False"]
