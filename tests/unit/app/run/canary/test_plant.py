import os
import re
import subprocess
from pathlib import Path

import pytest

from app.contract.canary.setting import canaries
from app.contract.canary.spec import Spec
from app.run.canary import facts, kernel, plant
from app.run.canary.plant import CORE, Planted, planted, token


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


@pytest.fixture
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "tried", lambda steps: {s.source: "no" for s in steps})


def spec_of(found: Planted) -> Spec:
    (path,) = found.settings.values()
    assert Path(path).stat().st_mode & 0o777 == 0o600
    spec = canaries(path, {})
    assert spec is not None
    return spec


@pytest.mark.usefixtures("no_kernel")
def test_values_are_given_to_the_sidecar_and_the_command_and_taken_back(folder: Path) -> None:
    environ = {"PATH": "/bin", "USER": "me", "XDG_CONFIG_HOME": "/me/.config"}
    with planted(["/opt/bin/next", "build"], environ) as found:
        spec = spec_of(found)
        of = {c.source: c for c in spec.canaries}
        assert found.environ["PATH"] == "/bin"
        assert found.environ["USER"] == of["user"].values[0]
        assert found.environ["EMAIL"] == of["git e-mail"].values[0]
        assert found.environ["HOME"] in of["home"].values
        assert found.environ["XDG_CONFIG_HOME"].startswith(found.environ["HOME"])
        assert {"next", "build"} <= set(spec.salts)
        assert "host name (real)" in of
        assert found.steps == []
        (Path(found.environ["HOME"]) / "kept").mkdir()
    assert environ["USER"] == "me"
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("no_kernel")
def test_what_the_kernel_refuses_is_said() -> None:
    with planted(["x"], {}) as found:
        assert found.not_planted["working directory"] == "no"
        assert found.planted["host name"].endswith("alone: no")
        assert found.planted["user"].endswith("alone: no")
        assert "machine id" not in found.planted
        assert "MAC address" in found.not_planted
        assert not {"machine id", "working directory"} & {c.source for c in found.canaries}


@pytest.fixture
def interfaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Two, in the place of this machine's, and loopback, which has no address."""
    network, files = tmp_path / "net", []
    for name, mac in (
        ("eth0", "02:42:ac:11:00:02"),
        ("lo", "00:00:00:00:00:00"),
        ("wlan0", "3c:22:fb:00:aa:01"),
    ):
        (network / name).mkdir(parents=True)
        (network / name / "address").write_text(mac + "\n")
        files.append(network / name / "address")
    monkeypatch.setattr(facts, "_NETWORK", network)
    return files


@pytest.mark.skipif(os.geteuid() != 0, reason="it needs root")
def test_each_interface_has_an_address_that_nobody_has(interfaces: list[Path]) -> None:
    with planted(["x"], {}) as found:
        assert "MAC address" not in found.not_planted, found.not_planted
        spec = spec_of(found)
        macs = [c.values[0] for c in spec.canaries if c.source == "MAC address"]
        real = [c.values[0] for c in spec.canaries if c.source == "MAC address (real)"]
        assert real == ["02:42:ac:11:00:02", "3c:22:fb:00:aa:01"]
        assert len(set(macs)) == 2 and all(re.fullmatch("02(:[0-9a-f]{2}){5}", m) for m in macs)
        seen = subprocess.run(
            ["cat", *map(str, interfaces)],
            preexec_fn=lambda: kernel.become(found.steps),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.split()
        assert seen == [macs[0], "00:00:00:00:00:00", macs[1]]
    assert interfaces[0].read_text() == "02:42:ac:11:00:02\n"


@pytest.mark.usefixtures("no_kernel")
def test_a_copy_of_gits_configuration_is_for_nobody_else(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    (tmp_path / "repo" / ".git" / "config").write_text("[http]\n\textraheader = token\n")
    monkeypatch.chdir(tmp_path / "repo")
    with planted(["x"], {}):
        (copy,) = folder.glob("telemock-canary-*/config")
        assert copy.stat().st_mode & 0o777 == 0o600


def test_what_was_planted_is_taken_back_after_an_error(folder: Path) -> None:
    with pytest.raises(RuntimeError), planted(["x"], dict(os.environ)):
        raise RuntimeError
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("no_kernel")
def test_variables_for_git_are_added_to_those_that_are_there() -> None:
    given = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "c"}
    with planted(["x"], given) as found:
        assert found.environ["GIT_CONFIG_COUNT"] == "3"
        assert found.environ["GIT_CONFIG_KEY_0"] == "a.b"
        assert found.environ["GIT_CONFIG_KEY_2"] == "user.name"


def test_a_token_is_a_name_everywhere_and_no_number() -> None:
    for _ in range(200):
        assert re.fullmatch("[g-z][a-z2-9]{11}", token())
    assert CORE * 4.9 > 48


def test_the_commands_hosts_file_gets_the_host_name(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    made = Planted(hosts="127.0.1.1\tx\n", steps=[kernel.host_name("x")])
    assert made.prepare(None, tmp_path / "hosts") is not None
    assert (tmp_path / "hosts").read_text().endswith("127.0.1.1\tx\n")
    then = lambda: None  # noqa: E731
    assert Planted().prepare(then, None) is then
    assert plant.ALONE
