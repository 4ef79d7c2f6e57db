"""app/transparent.py: the command's own /etc/hosts, and who may make a redirect. The redirect at
work is in tests/integration/test_run.py."""

import os
import subprocess
import sys

import pytest

from app import local, transparent

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


def test_every_host_gets_an_address_of_both_families():
    settings = transparent.Redirect(["a.test", "b.test"]).settings
    assert settings["TELEMOCK_HOSTS"] == (
        "192.0.2.1=a.test,100::1=a.test,192.0.2.2=b.test,100::2=b.test"
    )
    assert settings["TELEMOCK_TRANSPARENT"].startswith("127.0.0.1:")


def test_observe_is_refused_where_there_is_no_other_network():
    with pytest.raises(local.LocalError, match="observe cannot forward\n\nhint: "):
        transparent.isolate("observe")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="gives capabilities away, so needs them")
def test_root_without_its_capabilities_may_not():
    look = [sys.executable, "-c", "from app import transparent; print(transparent.allowed())"]
    dropped = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    run = [subprocess.run(c, capture_output=True, text=True) for c in (look, [*dropped, *look])]
    assert [r.stdout.strip() for r in run] == [str(transparent.allowed()), "False"]
