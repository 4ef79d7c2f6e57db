"""app/cli/statement.py: `telemock statement verify` passes what is signed, about it, and passed."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from typer.testing import CliRunner

from app.cli.statement import commands
from app.gate import statement
from app.gate.statement import StatementError
from tests.unit.app.gate.test_statement import keys


@pytest.fixture
def given(tmp_path):
    """Writes a statement of this verdict; returns its file and the public key's."""
    pem, pub = keys(tmp_path, ed25519.Ed25519PrivateKey.generate())
    (tmp_path / "app").write_bytes(b"x")

    def write(verdict):
        file = tmp_path / "gate.json"
        about = statement.of_file(tmp_path / "app")
        statement.write(file, [about], {"verdict": verdict, "says": f"it {verdict}"}, pem)
        return [str(file), "--key", str(pub)]

    return write


def test_a_gate_that_passed_verifies(given, tmp_path):
    done = CliRunner().invoke(commands, [*given("passed"), "--subject", str(tmp_path / "app")])
    assert done.exit_code == 0, done.output
    assert "signed" in done.output
    assert "it passed" in done.output


def test_one_that_did_not_has_code_1_and_says_why(given):
    done = CliRunner().invoke(commands, [*given("sent"), "--json"])
    assert done.exit_code == 1
    found = json.loads(done.output)
    assert found["statement"]["predicate"]["says"] == "it sent"
    assert found["signed_by"]


def test_another_subject_or_signer_fails(given, tmp_path):
    arguments = given("passed")
    (tmp_path / "other").write_bytes(b"y")
    done = CliRunner().invoke(commands, [*arguments, "--subject", str(tmp_path / "other")])
    assert "it is not about" in str(done.exception)
    _, other = keys(tmp_path, ed25519.Ed25519PrivateKey.generate(), "other")
    done = CliRunner().invoke(commands, [arguments[0], "--key", str(other)])
    assert isinstance(done.exception, StatementError)
