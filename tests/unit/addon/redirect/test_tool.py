"""addon/redirect/tool.py: what nft and ip say, and what is said where they do not."""

import stat

import pytest

from addon.redirect import __main__ as redirect
from addon.redirect import tool
from tests import netns


@pytest.fixture
def only(tmp_path, monkeypatch):
    """PATH with these scripts alone, by name."""

    def made(**scripts):
        for name, script in scripts.items():
            path = tmp_path / name
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(tool, "_MORE", "")
        monkeypatch.setenv("PATH", str(tmp_path))

    return made


def test_without_its_tools_it_names_the_package(only, capsys):
    only()
    assert redirect.main(["--hosts", "192.0.2.1=cdn.cribl.io"]) == 1
    assert "hint: install the package nftables" in capsys.readouterr().err
    with pytest.raises(tool.RedirectError, match="hint: install the package iproute2"):
        tool.rows("addr")


def test_what_was_said_first_is_the_reason(only):
    only(ip="echo first >&2; echo second >&2; exit 2")
    with pytest.raises(tool.RedirectError, match=r"^ip route list: first$"):
        tool.run("ip", "route", "list")


def test_a_missing_right_is_named(only):
    only(nft="echo 'Error: Operation not permitted' >&2; exit 1")
    with pytest.raises(tool.RedirectError, match="hint: this needs CAP_NET_ADMIN"):
        tool.run("nft", "list", "tables")


@pytest.mark.parametrize(
    ("said", "expected"), [("", []), ("[]", []), ('[{},{"dst":"::1"}]', [{"dst": "::1"}])]
)
def test_rows_are_what_ip_lists(only, said, expected):
    only(ip=f"printf '%s' '{said}'")
    assert tool.rows("route") == expected


def test_an_ip_without_json_is_named(only):
    only(ip="echo 'default via 10.0.0.1 dev eth0'")
    with pytest.raises(tool.RedirectError, match="hint: install the package iproute2"):
        tool.rows("route")


def test_what_the_kernel_does_not_know_is_not_there(only):
    only(ip="echo 'RTNETLINK answers: Address family not supported by protocol' >&2; exit 2")
    assert tool.rows("-6", "rule") == []


def test_what_is_no_text_is_no_reason_to_end(only):
    only(ip=r"""printf '[{"ifname":"\377"}]'""")
    assert tool.rows("addr") == [{"ifname": "\ufffd"}]


@pytest.mark.root
@pytest.mark.parametrize(("ipv6", "expected"), [(True, "(4, 6)"), (False, "(4,)")])
def test_families_are_those_of_the_namespace(ipv6, expected):
    netns.require()
    script = "from addon.redirect import tool; print(tool.families())"
    assert netns.run(script, ipv6=ipv6).strip() == expected
