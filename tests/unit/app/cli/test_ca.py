"""app/cli/ca.py: what is printed is a certificate, and says how each runtime takes it."""

import ssl

import pytest
import trustme

from app import trust
from app.cli.ca import ca
from app.contract import names
from app.run.processes import LocalError


def test_what_is_printed_names_every_variable_and_is_a_certificate(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TELEMOCK_DATA", str(tmp_path))
    (tmp_path / names.DIR_CA).mkdir()
    pem = trustme.CA().cert_pem.bytes().decode()
    (tmp_path / names.DIR_CA / names.FILE_CA_CERT).write_text(pem)
    ca()
    said = capsys.readouterr().out
    assert all(row.name in said for row in trust.VARIABLES)
    assert trust.JAVA in said and names.FILE_JAVA in said and str(tmp_path) in said
    assert said.endswith(pem)
    ssl.create_default_context(cadata=said)


def test_without_one_it_says_who_makes_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TELEMOCK_DATA", str(tmp_path))
    with pytest.raises(LocalError, match="yet\n\nhint: telemock run makes it"):
        ca()
