"""app/trust.py: a command trusts the sidecar, and still trusts what its user set."""

from pathlib import Path

import pytest

from app import trust
from app.contract import names


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    folder = tmp_path / "ca"
    folder.mkdir()
    (folder / names.FILE_CA_CERT).write_text("OURS\n")
    (folder / names.FILE_BUNDLE).write_text("SYSTEM\nOURS\n")
    return folder


def test_additive_variables_get_our_certificate_and_the_others_the_whole_list(ca):
    found, told = trust.trusting({}, ca)
    assert told == []
    assert Path(found["NODE_EXTRA_CA_CERTS"]).read_text() == "OURS\n"
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        assert Path(found[name]).read_text() == "SYSTEM\nOURS\n"


def test_what_the_user_set_stays_trusted_and_is_told_once_a_file(ca, tmp_path):
    theirs = tmp_path / "corporate.pem"
    theirs.write_text("CORPORATE")
    environ = {"SSL_CERT_FILE": str(theirs), "CURL_CA_BUNDLE": str(theirs)}
    found, told = trust.trusting(environ, ca)
    assert Path(found["SSL_CERT_FILE"]).read_text() == "CORPORATE\nOURS\n"
    assert found["CURL_CA_BUNDLE"] == found["SSL_CERT_FILE"]
    assert theirs.read_text() == "CORPORATE"
    (line,) = told
    assert "SSL_CERT_FILE, CURL_CA_BUNDLE" in line
    assert str(theirs) in line


def test_a_file_that_cannot_be_read_is_told(ca):
    found, (line,) = trust.trusting({"SSL_CERT_FILE": "/nowhere.pem"}, ca)
    assert found["SSL_CERT_FILE"] == str(ca / names.FILE_BUNDLE)
    assert "/nowhere.pem" in line
    assert "cannot be read" in line


def test_run_inside_run_sets_the_same_and_says_nothing(ca):
    found, _ = trust.trusting({}, ca)
    assert trust.trusting(found, ca) == (found, [])


def test_a_proxy_of_the_user_is_replaced_and_told_without_its_password():
    environ = {"HTTPS_PROXY": "http://me:hunter2@proxy.corp:3128", "ALL_PROXY": "socks5://x"}
    found, (line,) = trust.proxied(environ, "http://127.0.0.1:1")
    assert found["HTTPS_PROXY"] == found["http_proxy"] == found["ALL_PROXY"] == "http://127.0.0.1:1"
    assert found["NODE_USE_ENV_PROXY"] == "1"
    assert "proxy.corp" in line
    assert "hunter2" not in line


def test_no_proxy_keeps_loopback_off_the_proxy_and_stays_as_the_user_set_it():
    found, told = trust.proxied({}, "http://127.0.0.1:1")
    assert "127.0.0.1" in found["NO_PROXY"]
    assert told == []
    found, (line,) = trust.proxied({"no_proxy": "cdn.cribl.io"}, "http://127.0.0.1:1")
    assert "no_proxy" not in found
    assert "cdn.cribl.io" in line


def test_every_variable_is_in_the_table_with_its_file():
    rows = {name: file for name, file, _ in trust.table()}
    assert set(rows) == {*trust.ADDED, *trust.REPLACED, trust.JAVA}
    assert {rows[name] for name in trust.ADDED} == {names.FILE_CA_CERT}
    assert {rows[name] for name in trust.REPLACED} == {names.FILE_BUNDLE}
    assert all(f"| `{name}` | `{file}` |" in trust.markdown() for name, file in rows.items())


def test_a_redirected_command_is_not_told_of_no_proxy():
    environ = {"NO_PROXY": "cdn.cribl.io"}
    found, told = trust.proxied(environ, "http://127.0.0.1:1", redirected=True)
    assert told == [] and "NO_PROXY" not in found
