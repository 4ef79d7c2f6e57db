"""README and code agree: what the code declares stands there, and what stands there exists."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer

from addon.options import SETTINGS as SIDECAR_SETTINGS
from app.cli.root import cli
from app.contract import names
from app.contract.record import REASONS
from app.inject.process_settings import SETTINGS as INJECTOR_SETTINGS
from app.profiles import load_profiles
from app.settings import SETTINGS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def commands(command: click.Command, path: str) -> list[str]:
    inner = getattr(command, "commands", {})
    return [path, *(p for name, one in inner.items() for p in commands(one, f"{path} {name}"))]


def test_the_generated_blocks_are_up_to_date():
    done = subprocess.run(
        [sys.executable, "-m", "cogapp", "--check", "README.md"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"run make generate: {done.stdout}{done.stderr}"


@pytest.mark.parametrize(
    "row", [*SETTINGS, *SIDECAR_SETTINGS, *INJECTOR_SETTINGS], ids=lambda row: row.name
)
def test_every_setting_is_documented(row):
    assert f"| `{row.name}` |" in README
    assert row.help


@pytest.mark.parametrize("path", commands(typer.main.get_command(cli), "telemock"))
def test_every_command_is_documented(path):
    assert f"Usage: {path} " in README


@pytest.mark.parametrize("row", names.METRICS, ids=lambda row: row.name)
def test_every_metric_is_documented(row):
    assert f"| `{row.prometheus}{'_total' * (row.kind == 'counter')}` |" in README


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_documented(reason):
    assert f"| `{reason}` |" in README


def test_every_port_and_file_is_documented():
    ports = (
        names.PORT_APP, names.PORT_APP_TLS, names.PORT_INJECTOR, names.PORT_EXPLICIT_PROXY,
        names.PORT_PROXY, names.PORT_SIDECAR_HEALTH,
    )  # fmt: skip
    for port in ports:
        assert f"| {port} |" in README
    for file in (names.LOG_REQUESTS, names.LOG_APP, names.LOG_SIDECARS, names.FILE_SUMMARY,
                 names.FILE_REPORT, names.FILE_STORE, names.FILE_TOKEN, names.FILE_MASK_KEY,
                 names.FILE_CA_CERT, names.FILE_BUNDLE):  # fmt: skip
        assert file in README


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    for link in links:
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(
        re.findall(r"\bmake ([a-z-]+)", "".join(re.findall(r"```bash\n(.*?)```", README, re.S)))
    )
    assert used
    assert used <= targets


def test_the_profile_in_it_is_a_profile(tmp_path):
    blocks = re.findall(r"```yaml\n(.*?)```", README, re.S)
    (block,) = [b for b in blocks if "rules:\n  - " in b]
    (tmp_path / "acme.yaml").write_text(block)
    (profile,) = load_profiles([tmp_path / "acme.yaml"]).profiles
    assert (profile.id, len(profile.rules)) == ("acme", 1)
