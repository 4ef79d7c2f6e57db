"""The lock files, the wheel, the images and the make targets are what they promise to be."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import addon.options
import app.settings
from app.contract.settings import Setting

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
SETS = {
    "app": PROJECT["dependencies"],
    "sidecar": EXTRAS["sidecar"],
    "dev": [*PROJECT["dependencies"], *EXTRAS["sidecar"], *EXTRAS["dev"]],
}
# Lowest versions without a known hole that matters here. Only what reads bytes from a network,
# checks a certificate or installs software stands here.
SAFE = {
    "brotli": ("1.2.0", "decompression bombs: output can be limited from here on"),
    "cryptography": ("46.0.5", "subgroup check of EC keys"),
    "h11": ("0.16.0", "request smuggling through chunked bodies"),
    "h2": ("4.3.0", "request smuggling through header values"),
    "jinja2": ("3.1.6", "sandbox escape by the attr filter"),
    "msgspec": ("0.20.0", "decodes everything that arrives"),
    "pyasn1": ("0.6.2", "memory exhaustion"),
    "requests": ("2.32.4", "credentials of .netrc sent to another host"),
    "setuptools": ("78.1.1", "path traversal at download"),
    "starlette": ("0.49.1", "quadratic parsing of Range headers"),
    "tornado": ("6.5.3", "header injection and quadratic header parsing"),
    "urllib3": ("2.6.3", "decompression bombs at redirects"),
    "werkzeug": ("3.1.4", "device names in safe_join"),
}


def pins(name: str) -> dict[str, str]:
    """Version by name, as one requirements file pins them."""
    text = (ROOT / f"requirements/{name}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", SETS)
def test_requirements_are_pins_with_hashes_and_nothing_else(name: str) -> None:
    text = (ROOT / f"requirements/{name}.txt").read_text()
    entries = text.replace("\\\n", " ").splitlines()
    entry = re.compile(r"[a-z0-9-]+==[^ ;]+( ; [^@]+?)?(\s+--hash=sha256:[0-9a-f]{64})+")
    assert [e for e in entries if not entry.fullmatch(e)] == []
    assert "://" not in text


@pytest.mark.parametrize("name", SETS)
def test_requirements_agree_with_the_ranges(name: str) -> None:
    pinned = pins(name)
    for requirement in map(Requirement, SETS[name]):
        version = pinned.get(requirement.name.lower(), "none")
        assert version in requirement.specifier, f"{requirement}: {version}; run `make lock`"


@pytest.mark.parametrize("name", ["app", "sidecar"])
def test_images_get_the_versions_that_tests_run_with(name: str) -> None:
    tested = pins("dev")
    assert {k: v for k, v in pins(name).items() if tested.get(k) != v} == {}


def test_app_and_sidecar_do_not_carry_each_other() -> None:
    assert not {"mitmproxy", "mitmproxy-rs"} & pins("app").keys()
    assert not {"fastapi", "pydantic", "pyyaml", "typer", "rich", "httpx"} & pins("sidecar").keys()


@pytest.mark.parametrize("name", SETS)
def test_no_pin_has_a_known_hole(name: str) -> None:
    old = {
        package: f"{version}, needs {SAFE[package][0]}: {SAFE[package][1]}"
        for package, version in pins(name).items()
        if package in SAFE and Version(version) < Version(SAFE[package][0])
    }
    assert old == {}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files in the wheel, built in a copy so that the tree stays clean."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for room in ("app", "addon", "scripts"):
        shutil.copytree(
            ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    (copy / "README.md").touch()
    code = f"from setuptools.build_meta import build_wheel; build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=copy, check=True, capture_output=True)
    (path,) = out.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_wheel_holds_every_file_of_the_packages(wheel: set[str]) -> None:
    files = {
        p.relative_to(ROOT).as_posix()
        for room in ("app", "addon")
        for p in (ROOT / room).rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    assert files - wheel == set()


def test_wheel_holds_nothing_else(wheel: set[str]) -> None:
    rooms = {name.split("/")[0] for name in wheel if ".dist-info/" not in name}
    (data,) = (room for room in rooms if room.endswith(".data"))
    assert rooms == {"app", "addon", data}
    assert {n for n in wheel if n.startswith(f"{data}/")} == {f"{data}/scripts/telemock"}


@pytest.mark.parametrize("name", ["app", "sidecar"])
def test_image_installs_only_what_a_hash_covers_and_runs_as_a_number(name: str) -> None:
    text = (ROOT / f"images/{name}.Dockerfile").read_text().replace("\\\n", " ")
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"debian:trixie-slim"}
    installs = re.findall(r"pip (?:install|download).*?(?=&&|$)", text, re.MULTILINE)
    assert installs
    assert [i for i in installs if "--require-hashes" not in i and "--no-index" not in i] == []
    # A number: Kubernetes can tell that it is not root (runAsNonRoot).
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE)[-1] in {"2930:2930", "2931:2931"}
    assert "http://" not in text and "https://" not in text


@pytest.mark.parametrize(
    ("name", "room", "also"),
    [("app", "app", "kubernetes.aio"), ("sidecar", "addon", "mitmproxy.tools")],
)
def test_images_leave_out_only_what_is_never_imported(name: str, room: str, also: str) -> None:
    text = (ROOT / f"images/{name}.Dockerfile").read_text().replace("\\\n", " ")
    removed = set(re.findall(r"pip uninstall -y +([^&]*)", text)[0].split()) - {"pip"}
    assert removed <= pins(name).keys()
    absent = [
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} <= removed
    ]
    assert len(absent) >= len(removed)
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_WITHOUT, room, also, *absent],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


# What is imported before the rest: mitmproxy by way of addon.mitm.imports, and what
# app.cluster.kube imports late.
IMPORT_WITHOUT = """
import importlib, pkgutil, sys
class Missing:
    def find_spec(name, path, target=None):
        if name in sys.argv[2:]:
            raise ModuleNotFoundError(f"{name} is not in the image")
sys.meta_path.insert(0, Missing)
if sys.argv[1] == "addon":
    import addon.proxy
else:
    from kubernetes import client, config
room = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def test_compose_services_are_locked_down() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert {"mock-server", "mitmproxy"} <= services.keys()
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert all(p.startswith("127.0.0.1:") for p in service.get("ports", []))


@pytest.mark.parametrize(
    ("name", "table"), [("app", app.settings.SETTINGS), ("sidecar", addon.options.SETTINGS)]
)
def test_images_and_services_set_only_what_is_a_setting(name: str, table: list[Setting]) -> None:
    text = (ROOT / f"images/{name}.Dockerfile").read_text().replace("\\\n", " ")
    (line,) = re.findall(r"^ENV (.*)$", text, re.MULTILINE)
    given = {word.partition("=")[0] for word in line.split()}
    for service in yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values():
        if service["image"].startswith(f"telemock-{name}:"):
            given |= service["environment"].keys()
    others = {"PATH", "OWNER", "MALLOC_ARENA_MAX"}
    others |= {g for g in given if g.startswith(("PYTHON", "OTEL_"))}
    assert given - others - {row.name for row in table} == set()


def make(
    folder: Path, *arguments: str, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`environ` None means this process's, without what an outer make tells its children."""
    if environ is None:
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environ, capture_output=True, text=True
    )


def without_python(home: Path) -> dict[str, str]:
    """An environment that has what the Makefile uses, but no Python outside of `home`."""
    tools = home / "tools"
    tools.mkdir()
    for name in ("bash", "sh", "make", "sort", "rm"):
        (tools / name).symlink_to(str(shutil.which(name)))
    return {"PATH": str(tools), "HOME": str(home)}


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the Makefile and a lock file, but no environment."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/dev.txt").touch()
    return tmp_path


def test_make_alone_lists_the_targets(clone: Path) -> None:
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE))
    listed = {line.split()[0] for line in make(clone).stdout.splitlines()}
    assert listed == targets
    assert {"demo", "test", "fmt", "lint", "types", "generate", "verify", "lock"} <= listed


def test_make_says_what_to_do_about_an_old_python(clone: Path) -> None:
    script(clone / "old", "exit 1")  # what a Python of another version answers to the question
    done = make(clone, "venv", "PYTHON=./old")
    assert done.returncode != 0
    assert done.stderr.startswith("error: PYTHON is ./old, expected a Python >= 3.12 with")
    assert "\n\nhint: apt install python3-venv, or" in done.stderr
    assert not (clone / ".venv").exists()


def test_make_says_what_to_do_without_a_python(clone: Path) -> None:
    done = make(clone, "venv", environ=without_python(clone))
    assert done.returncode != 0
    assert done.stderr.startswith(f"error: PATH and {clone}/.pyenv/versions have no Python >= 3.12")
    assert "\n\nhint: apt install python3-venv, or" in done.stderr


def test_make_takes_a_python_of_pyenv(clone: Path) -> None:
    """`make venv` goes on with the newest one that answers; the one here then makes nothing."""
    for version, answer in (("3.9.1", 1), ("3.12.9", 0), ("3.13.2", 0)):
        bin_ = clone / f".pyenv/versions/{version}/bin"
        script(bin_ / "python3", f'[ "$1" = -c ] && exit {answer}; echo made by {version}; exit 1')
    done = make(clone, "venv", environ=without_python(clone))
    assert "made by 3.13.2" in done.stdout


def test_verify_fails_only_when_a_generated_file_changes(clone: Path) -> None:
    script(clone / ".venv/bin/python", "exit 0")
    block = "[[[cog written"
    script(
        clone / ".venv/bin/cog", f'shift 3; for page; do echo "{block} by program" > $page; done'
    )
    (clone / ".gitignore").write_text("/.venv/\n")
    (clone / "docs").mkdir()
    for page in ("README.md", "docs/page.md"):
        (clone / page).write_text(f"{block} by hand\n")
    (clone / "docs/plain.md").write_text("without a block")
    (clone / ".venv/.installed").touch()
    subprocess.run(["git", "init", "-q"], cwd=clone, check=True)
    first, second = make(clone, "verify"), make(clone, "verify")
    assert first.returncode != 0
    out_of_date = "error: generated files are out of date:\n  README.md\n  docs/page.md\n\nhint: "
    assert out_of_date in first.stderr
    assert second.returncode == 0, second.stderr
