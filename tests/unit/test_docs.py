"""Documentation and code agree: what is declared is documented, and what is named exists."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import click
import pytest
import typer
import yaml

from addon.options import SETTINGS as SIDECAR_SETTINGS
from app.cli.root import cli
from app.contract import names
from app.contract.metrics import METRICS
from app.contract.record import REASONS
from app.inject.process_settings import SETTINGS as INJECTOR_SETTINGS
from app.inject.reasons import REASONS as INJECTION_REASONS
from app.main import create_app
from app.profiles import load_profiles
from app.settings import SETTINGS, load

ROOT = Path(__file__).parents[2]
ENTRANCES = [
    ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")
]
PAGES = [*ENTRANCES, *sorted((ROOT / "docs").rglob("*.md"))]
# Chart values begin with the same word as modules of the app.
VALUES = yaml.safe_load((ROOT / "charts/telemock/values.yaml").read_text())["app"]


@cache
def page(name: str) -> str:
    return (ROOT / name).read_text()


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def commands(command: click.Command, path: str) -> list[str]:
    inner = getattr(command, "commands", {})
    return [path, *(p for name, one in inner.items() for p in commands(one, f"{path} {name}"))]


def test_the_generated_blocks_are_up_to_date():
    generated = [name_of(p) for p in PAGES if "[[[cog" in p.read_text()]
    assert "docs/reference/settings.md" in generated
    done = subprocess.run(
        [sys.executable, "-m", "cogapp", "-I", ".", "--check", *generated],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"run make generate: {done.stdout}{done.stderr}"


@pytest.mark.parametrize(
    "row", [*SETTINGS, *SIDECAR_SETTINGS, *INJECTOR_SETTINGS], ids=lambda row: row.name
)
def test_every_setting_is_documented(row):
    assert f"| `{row.name}` |" in page("docs/reference/settings.md")
    assert row.help


@pytest.mark.parametrize("path", commands(typer.main.get_command(cli), "telemock"))
def test_every_command_is_documented(path):
    assert f"Usage: {path} " in page("docs/reference/cli.md")


@pytest.mark.parametrize("row", METRICS, ids=lambda row: row.name)
def test_every_metric_is_documented(row):
    shown = f"| `{row.prometheus}{'_total' * (row.kind == 'counter')}` |"
    assert shown in page("docs/reference/metrics.md")


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_documented(reason):
    assert f"| `{reason}` |" in page("docs/reference/metrics.md")


@pytest.mark.parametrize("reason", INJECTION_REASONS)
def test_every_reason_of_the_injector_is_documented(reason):
    assert f"| `{reason}` |" in page("docs/reference/kubernetes.md")


@pytest.mark.parametrize("constant", [n for n in vars(names) if n[:6] in ("LABEL_", "ANNOTA")])
def test_every_label_and_annotation_is_documented(constant):
    assert f"| `{getattr(names, constant)}` |" in page("docs/reference/kubernetes.md")


def test_every_request_of_the_api_is_documented(tmp_path):
    settings = load({"TELEMOCK_DATA": str(tmp_path), "TELEMOCK_LOGS": str(tmp_path)})
    paths = create_app(settings).openapi()["paths"]
    assert "/api/v1/report" in paths
    for path, methods in paths.items():
        for method in methods:
            assert f"| `{method.upper()} {path}` |" in page("docs/reference/api.md")


def test_every_port_and_file_is_documented():
    ports = (
        names.PORT_APP, names.PORT_APP_TLS, names.PORT_INJECTOR, names.PORT_EXPLICIT_PROXY,
        names.PORT_PROXY, names.PORT_SIDECAR_HEALTH,
    )  # fmt: skip
    text = page("docs/reference/ports-and-files.md")
    for port in ports:
        assert f"| {port} |" in text
    for file in (names.LOG_REQUESTS, names.LOG_APP, names.LOG_SIDECARS, names.FILE_SUMMARY,
                 names.FILE_REPORT, names.FILE_STORE, names.FILE_TOKEN, names.FILE_MASK_KEY,
                 names.FILE_CA_CERT, names.FILE_BUNDLE):  # fmt: skip
        assert file in text


def test_the_readme_can_be_read_in_one_go():
    lines = page("README.md").splitlines()
    assert len(lines) <= 160
    for command in ("make demo ", "make test ", "telemock run ", "helm install ", "`make e2e "):
        assert any(command in line for line in lines), command


@pytest.mark.parametrize("path", ENTRANCES, ids=name_of)
def test_every_link_leads_somewhere(path):
    """Those within docs/ are followed when the site is built."""
    links = re.findall(r"\]\(([^)]+)\)", path.read_text())
    assert links
    for link in links:
        target, _, anchor = link.partition("#")
        if not link.startswith("https://"):
            assert (ROOT / target).exists(), link
            assert not anchor or anchor in anchors(ROOT / target), link


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in headings}


def test_the_site_is_built_and_loads_nothing_from_elsewhere(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT, env={"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    built = list(tmp_path.rglob("*.html"))
    assert len(built) >= len(PAGES) - len(ENTRANCES)
    loads = re.compile(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
    assert [m[0] for p in built for m in [loads.search(p.read_text())] if m] == []
    assert not any('class="mermaid' in p.read_text() for p in built)  # it would load a script


@pytest.mark.parametrize("path", [p for p in PAGES if p not in ENTRANCES], ids=name_of)
def test_a_list_begins_behind_an_empty_line(path):
    """MkDocs takes it for text otherwise, where a Git server shows a list."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    item = r"(?:\d+\.|[-*]) "
    assert re.findall(rf"^(?! |{item}|<!--|.*]]] -->).+\n{item}.*", text, re.MULTILINE) == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_make_target_exists(path):
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    blocks = "".join(re.findall(r"```bash\n(.*?)```", path.read_text(), re.DOTALL))
    inline = " ".join(re.findall(r"`(make [^`]+)`", path.read_text()))
    used = set(re.findall(r"\bmake ([a-z][a-z0-9-]+)", f"{blocks} {inline}"))
    assert used <= targets


# The changelog tells of what was.
@pytest.mark.parametrize("path", [p for p in PAGES if p.stem != "CHANGELOG"], ids=name_of)
def test_every_file_and_module_that_is_named_exists(path):
    text = re.sub(r"<!-- \[\[\[cog.*?\]\]\] -->", "", path.read_text(), flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", text)  # links are followed elsewhere
    files = set(re.findall(r"\b(?:app|addon|charts|tests|images|docs)/[\w./-]*\w/?", text))
    assert [f for f in files if not (ROOT / f).exists()] == []
    modules = set(re.findall(r"`(?:python -m )?((?:addon|app|charts|tests)\.[a-z_.]+)\b", text))
    modules = {m for m in modules if m.split(".")[1] not in VALUES}
    absent = [m for m in modules if not any((ROOT / p).exists() for p in spelled(m))]
    assert absent == []


def spelled(module: str) -> tuple[str, ...]:
    """The files that a dotted name may mean; the last part may be a name in the module."""
    path = module.replace(".", "/")
    return path, f"{path}.py", f"{path.rpartition('/')[0]}.py"


def test_the_profile_in_the_tutorial_is_a_profile(tmp_path):
    blocks = re.findall(r"```yaml\n(.*?)```", page("docs/profiles/tutorial.md"), re.DOTALL)
    (block,) = [b for b in blocks if "rules:\n  - " in b]
    (tmp_path / "acme.yaml").write_text(block)
    (profile,) = load_profiles([tmp_path / "acme.yaml"]).profiles
    assert (profile.id, len(profile.rules)) == ("acme", 1)
