"""app/environment.py: what belongs to the program that telemock runs is not read by telemock."""

import logging
import os
from pathlib import Path

import pytest

from app import environment
from app.contract.settings import SettingError
from app.settings import SETTINGS, load

SERVERS = [row.name for row in SETTINGS if not row.name.startswith("TELEMOCK_")]


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("TELEMOCK_", "OTEL_")) or name in SERVERS:
            monkeypatch.delenv(name)
    return tmp_path


@pytest.mark.parametrize("name", [*SERVERS, "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"])
def test_a_command_leaves_a_general_variable_to_the_program(
    name: str, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "no such value")
    (bare / ".env").write_text(f"{name}=nor this\n")
    assert name not in environment.client()
    assert name not in environment.child()
    assert environment.server()[name] == "no such value"
    assert load() == load({})


def test_lines_of_ours_in_the_file_count_and_the_environment_wins(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare / ".env").write_text("export TELEMOCK_MODE='block'\nTELEMOCK_FULLNAME=a\nPORT=81\n")
    monkeypatch.setenv("TELEMOCK_FULLNAME", "b")
    settings = load()
    assert (settings.mode, settings.fullname, settings.port) == ("block", "b", 8000)
    settings = load(environment.server())
    assert (settings.mode, settings.fullname, settings.port) == ("block", "b", 81)


def make_directory(file: Path) -> None:
    file.mkdir()


def make_pipe(file: Path) -> None:
    os.mkfifo(file)


def make_bytes(file: Path) -> None:
    file.write_bytes(b"PORT=\xff\xfe")


def make_loop(file: Path) -> None:
    file.symlink_to(file)


@pytest.mark.parametrize("make", [make_directory, make_pipe, make_bytes, make_loop])
def test_a_file_of_any_kind_stops_no_command(make, bare: Path) -> None:
    make(bare / ".env")
    assert load() == load({})
    if make is not make_pipe:
        with pytest.raises(SettingError, match=r"\.env cannot be read.*(.|\n)*hint: "):
            environment.server()


def test_a_line_that_is_none_is_not_spoken_of(bare: Path, caplog) -> None:
    (bare / ".env").write_text('what is this?\nTELEMOCK_MODE=block\n"\n')
    with caplog.at_level(logging.WARNING):
        assert load().mode == "block"
    assert caplog.text == ""


def test_another_file_may_be_named(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / ".env").write_text("TELEMOCK_MODE=block\n")
    (bare / "mine").write_text("TELEMOCK_MODE=observe\n")
    monkeypatch.setenv("TELEMOCK_ENV_FILE", "mine")
    assert load().mode == "observe"
    monkeypatch.setenv("TELEMOCK_ENV_FILE", os.devnull)
    assert load().mode is load(environment.server()).mode is None


def test_a_child_gets_what_the_table_passes_on_and_no_file(monkeypatch) -> None:
    given = {
        "TELEMOCK_MODE": "block", "LC_ALL": "C.UTF-8", "SSL_CERT_FILE": "/x", "PYTHONPATH": "/p",
        "HTTPS_PROXY": "http://p", "SSLKEYLOGFILE": "/nowhere/keys", "WEB_CONCURRENCY": "many",
        "PYTHONWARNINGS": "error", "NODE_OPTIONS": "--require x", "RANDOM": "1",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    passed = environment.child()
    assert {n: passed[n] for n in given if n in passed} == dict(list(given.items())[:4])
    assert passed["TELEMOCK_ENV_FILE"] == os.devnull
    assert passed["PATH"] == os.environ["PATH"]


def test_the_table_has_a_row_for_every_variable_and_shows_it() -> None:
    assert environment.TABLE[-1].names == "*"
    table = environment.markdown()
    for row in environment.TABLE:
        assert row.effect in table and row.effect.endswith(".")
