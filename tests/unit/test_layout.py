"""The tree keeps its shape: tests beside sources, small files, a contract without a framework."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for room in ("app", "addon") for p in (ROOT / room).rglob("*.py"))
LONGEST = 400  # lines

# What app.contract may import: the sidecar has it, and it starts in milliseconds.
CONTRACT_NEEDS = {"msgspec", "re2", "zstandard", "brotli", "cryptography"}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_code(statement: ast.stmt) -> bool:
    """Whether it does more than name things: a docstring, an import or a constant needs no test."""
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Constant)
    return not isinstance(statement, ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign)


def place_of_test(source: Path) -> Path | None:
    """Path of the test file that a source file must have; None for one that holds no code."""
    folder = ROOT / "tests/unit" / source.relative_to(ROOT).parent
    if source.name != "__init__.py":
        return folder / f"test_{source.stem.strip('_')}.py"
    if any(map(is_code, ast.parse(source.read_text()).body)):
        return folder / "test_init.py"
    return None


@pytest.mark.parametrize("source", SOURCES, ids=relative)
def test_source_file_has_its_test_file(source: Path) -> None:
    expected = place_of_test(source)
    assert expected is None or expected.exists(), f"{relative(source)} needs {relative(expected)}"


def test_unit_tests_belong_to_a_source_file() -> None:
    wanted = {place_of_test(source) for source in SOURCES}
    found = [
        p for room in ("app", "addon") for p in (ROOT / "tests/unit" / room).rglob("test_*.py")
    ]
    assert [relative(p) for p in found if p not in wanted] == []


def test_one_class_name_means_one_thing() -> None:
    """But for what people write in a profile, which is named as what it is compiled to."""
    places: dict[str, list[str]] = {}
    for source in SOURCES:
        for statement in ast.parse(source.read_text()).body:
            if isinstance(statement, ast.ClassDef) and not statement.name.startswith("_"):
                places.setdefault(statement.name, []).append(relative(source))
    for at in places.values():
        if len(at) == 2 and "app/profiles/schema.py" in at:
            at.remove("app/profiles/schema.py")
    assert {name: at for name, at in places.items() if len(at) > 1} == {}


def test_no_file_is_too_long() -> None:
    files = [*SOURCES, *(ROOT / "tests").rglob("*.py")]
    lengths = {relative(p): len(p.read_text().splitlines()) for p in files}
    assert {p: n for p, n in lengths.items() if n > LONGEST} == {}


def imported(path: Path) -> set[str]:
    """Dotted names of the modules that a file imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


# What mitmproxy documents for addons: its objects, and the arguments of its hooks.
MITMPROXY = {
    "mitmproxy",
    *(f"mitmproxy.{x}" for x in ("connection", "http", "tcp", "tls", "websocket")),
    *(f"mitmproxy.proxy.{x}" for x in ("context", "layer", "server_hooks")),
}
# And for programs that run it as a library.
AS_LIBRARY = {"mitmproxy.addons", "mitmproxy.master"}


@pytest.mark.parametrize("source", SOURCES, ids=relative)
def test_one_room_knows_mitmproxys_insides(source: Path) -> None:
    if source.is_relative_to(ROOT / "addon/mitm"):
        return
    public = MITMPROXY | (AS_LIBRARY if source == ROOT / "addon/proxy.py" else set())
    found = {n for n in imported(source) if n.startswith(("mitmproxy.", "mitmproxy_rs"))}
    assert found - public <= {"mitmproxy_rs.dns"}


def test_the_sidecar_finds_nothing_through_mitmproxy() -> None:
    """Its parts are given what they need (addon/wiring.py)."""
    found = [relative(p) for p in SOURCES if "addons.get(" in p.read_text()]
    assert found == []


def test_three_protocols_are_enough_for_the_sidecar() -> None:
    found = [
        node.name
        for p in SOURCES
        if p.is_relative_to(ROOT / "addon")
        for node in ast.walk(ast.parse(p.read_text()))
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)
    ]
    assert sorted(found) == ["Answers", "ConnectionEvents", "LayerEvents"]


@pytest.mark.parametrize(
    "source", [p for p in SOURCES if "contract" in p.parts and "app" in p.parts], ids=relative
)
def test_contract_imports_only_what_the_sidecar_has(source: Path) -> None:
    foreign = {
        name
        for name in imported(source)
        if name.split(".")[0] not in CONTRACT_NEEDS | (sys.stdlib_module_names - {"sqlite3"})
        and not (name == "app.contract" or name.startswith("app.contract."))
    }
    assert foreign == set()


def test_product_code_runs_without_assertions() -> None:
    """The sidecar's image runs with -OO, which removes them."""
    found = [
        f"{relative(p)}:{node.lineno}"
        for p in SOURCES
        for node in ast.walk(ast.parse(p.read_text()))
        if isinstance(node, ast.Assert)
    ]
    assert found == []


# Rooms whose docstrings say what a thing does or is: "True if ...", not "Whether ...".
SAID = ("addon", "app")
# Descriptions in a schema, an API or a help text.
SHOWN = ("app/profiles/schema.py", "app/cli", "app/report/changes.py")
QUESTION = re.compile(r"(Whether|What|Who|Whom|Whose|How|Which|Where|When|Why)\b")


@pytest.mark.parametrize("room", SAID)
def test_no_docstring_begins_like_a_question(room: str) -> None:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    found = [
        f"{relative(p)}:{node.body[0].lineno}"
        for p in SOURCES
        if relative(p).startswith(f"{room}/") and not relative(p).startswith(SHOWN)
        for node in ast.walk(ast.parse(p.read_text()))
        if isinstance(node, documented) and QUESTION.match(ast.get_docstring(node) or "")
    ]
    assert found == []
