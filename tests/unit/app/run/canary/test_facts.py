import socket
from pathlib import Path

import pytest

from app.run.canary import facts


def test_what_this_machine_says() -> None:
    found = {c.source: c.values for c in facts.real()}
    assert socket.gethostname() in found["host name (real)"]
    assert str(Path.cwd()) in found["working directory (real)"]


def test_the_machines_own_interfaces_come_before_those_of_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "_NETWORK", tmp_path)
    for number, name in enumerate(("br0", "docker0", "enp1s0", "lo", "wlan0")):
        (tmp_path / name).mkdir()
        mac = "00:00:00:00:00:00" if name == "lo" else f"02:00:00:00:00:0{number}"
        (tmp_path / name / "address").write_text(f"{mac}\n")
        if name in ("enp1s0", "wlan0"):
            (tmp_path / name / "device").mkdir()
    assert [file.parent.name for file in facts.addresses()] == ["enp1s0", "wlan0", "br0", "docker0"]


def test_the_names_of_a_project(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"name": "@own/thing", "version": "1"}')
    (tmp_path / "dbt_project.yml").write_text("config-version: 2\nname: 'acme'\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "my-tool"\n')
    assert facts.project_names(tmp_path) == ["@own/thing", "my-tool", "acme"]


def test_spellings() -> None:
    assert facts.uuid_spellings("0123456789abcdef0123456789abcdef")[1:] == (
        "01234567-89ab-cdef-0123-456789abcdef",
    )
    assert facts.uuid_spellings("") == facts.path_spellings("") == ()
    assert facts.uuid_spellings("odd") == ("odd",)
    assert facts.mac_spellings("02:00:00:00:00:ff")[2:] == (
        "0200000000ff", "2199023255807", "0x200000000ff",
    )  # fmt: skip
    assert "name" in facts.path_spellings("/no/such/name")
