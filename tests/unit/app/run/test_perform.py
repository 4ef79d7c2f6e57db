"""app/run/perform.py: what it refuses. Whole runs are in tests/integration/test_run.py."""

import os

import pytest

from app.run.child import RunError
from app.run.perform import performed
from app.settings import load


@pytest.fixture
def settings(tmp_path):
    return load({"TELEMOCK_DATA": str(tmp_path / "data"), "TELEMOCK_LOGS": str(tmp_path / "logs")})


def refusal(command, settings, **given) -> RunError:
    with pytest.raises(RunError) as error, performed(command, settings, **given):
        raise AssertionError("it ran")
    return error.value


def test_hold_is_refused_with_a_sentence(settings):
    said = str(refusal(["true"], settings, mode="hold"))
    assert "cannot seal what it keeps\n\nhint: observe" in said
    assert not settings.data.exists()


def test_without_a_command_it_says_how(settings):
    assert "hint: telemock run -- COMMAND" in str(refusal([], settings))


def test_what_cannot_be_run_has_the_exit_code_of_a_shell(settings, tmp_path, monkeypatch):
    plain = tmp_path / "plain"
    plain.write_text("x")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name, code, said in (
        ("no-such-command-here", 127, "command not found"),
        ("", 127, "command not found"),
        ("/no/such/file", 127, "command not found"),
        (str(plain), 126, "not executable"),
        ("plain", 126, "not executable"),
        (str(tmp_path), 126, "not executable"),
        (f"{plain}/below", 127, "command not found"),
    ):
        error = refusal([name], settings)
        assert f"{name}: {said}\n\nhint: " in str(error)
        assert error.code == code
    assert not settings.data.exists()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/bin")
    assert "plain: command not found" in str(refusal(["plain"], settings))
