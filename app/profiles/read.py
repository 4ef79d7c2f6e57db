"""Finds a source's files (a built-in name, a file, a folder) and parses their YAML.

Called by `compile`. This checks only syntax; `schema` checks the meaning.
"""

import os
import stat
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from app.profiles.problems import ProfileError, ProfileProblem, shown

BUILT_IN = Path(__file__).parent / "vendors"
DEFAULT = ("cribl",)  # the profiles in use where nobody names any
FILE_CAP = 1 << 20  # bytes of one profile, and of one answer file
_ENDINGS = (".yaml", ".yml")
_DEPTH = 50


class ProfileSource(NamedTuple):
    """`label` is the file's name in errors."""

    path: Path
    label: str


def built_in() -> list[str]:
    """Names of the profiles that come with telemock."""
    return sorted(path.stem for path in BUILT_IN.glob("*.yaml"))


def find(sources: Iterable[str | Path]) -> list[ProfileSource]:
    """Finds the profile files of the sources, each once, in order. A folder may be empty if another
    source has a profile: files may come later. Raises ProfileError."""
    found, problems, empty = looked(sources)
    if not found:
        problems += empty
    if problems:
        raise ProfileError(problems)
    return found


def looked(
    sources: Iterable[str | Path],
) -> tuple[list[ProfileSource], list[ProfileProblem], list[ProfileProblem]]:
    """Like `find`, and returns what it would raise: sources that are missing, empty folders."""
    found: dict[Path, ProfileSource] = {}
    problems: list[ProfileProblem] = []
    empty: list[ProfileProblem] = []
    for source in sources:
        files = list(_files(source))
        if not files:
            (empty if Path(source).is_dir() else problems).append(_nothing(source))
        for file in files:
            found.setdefault(file.path.resolve(), file)
    return list(found.values()), problems, empty


def _files(source: str | Path) -> Iterable[ProfileSource]:
    if isinstance(source, str) and source in built_in():
        return [ProfileSource(BUILT_IN / f"{source}.yaml", f"{source}.yaml")]
    path = Path(source)
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix in _ENDINGS and p.is_file())
        return [ProfileSource(p, str(p)) for p in files]
    return [ProfileSource(path, str(path))] if path.is_file() else []


def _nothing(source: str | Path) -> ProfileProblem:
    known = ", ".join(built_in())
    if Path(source).is_dir():
        message, hint = "the folder holds no profile", "a profile's file ends in .yaml or .yml"
    else:
        message = "there is no built-in profile, file or folder of this name"
        hint = f"built-in profiles: {known}"
    return ProfileProblem(str(source), "", shown(str(source)), message, hint)


def read_bytes(path: Path, label: str) -> bytes:
    """Reads at most FILE_CAP bytes of a file; a pipe or device is none. Raises ProfileError."""
    hint = "check that the file exists and that this user may read it"
    try:
        with open(path, "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                hint = "write it to a file, and name that"
                raise OSError("it is a pipe or device")
            data = file.read(FILE_CAP + 1)
    except (OSError, ValueError) as e:
        reason = (e.strerror if isinstance(e, OSError) and e.strerror else str(e)).lower()
        raise ProfileError(
            [ProfileProblem(label, "", "", f"cannot be read: {reason}", hint)]
        ) from None
    if len(data) > FILE_CAP:
        message = f"is larger than {FILE_CAP >> 20} MiB"
        hint = "a profile and its answers are small; split it, or shorten the answer"
        raise ProfileError([ProfileProblem(label, "", "", message, hint)])
    return data


def _at_once(path: str, flags: int) -> int:
    """Opens a pipe without waiting for its other end."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def answer_file(folder: Path, name: str) -> tuple[Path, bytes]:
    """Reads a file that an answer names: its path within the profile's `folder`, links followed,
    and its bytes. Raises ProfileError."""
    folder = folder.resolve()
    try:
        path = (folder / name).resolve()
    except (OSError, ValueError):
        path = folder
    if path == folder or not path.is_relative_to(folder):
        hint = "name a file in the profile's folder, relative to it"
        raise ProfileError(
            [ProfileProblem(name, "", shown(name), "is not a file beside the profile", hint)]
        )
    return path.relative_to(folder), read_bytes(path, name)


def document(source: ProfileSource) -> Any:
    """Parses the file's one YAML document to mappings, lists and scalars. Raises ProfileError."""
    return parsed(source, read_bytes(source.path, source.label))


def parsed(source: ProfileSource, data: bytes) -> Any:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        message = f"is not UTF-8 text (byte {e.start} is 0x{data[e.start]:02x})"
        hint = "a profile is a YAML text file; save it as UTF-8"
        raise ProfileError([ProfileProblem(source.label, "", "", message, hint)]) from None
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader that takes less
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        line = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        message = f"is not valid YAML: {e.problem or e.context}"
        hint = "a value with ': ', '#' or a leading '*', '&', '[', '{' or '@' needs quotes"
        raise ProfileError([ProfileProblem(source.label, line, "", message, hint)]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        message = f"is not valid YAML: {str(e).splitlines()[0] if str(e) else type(e).__name__}"
        hint = "a profile is a YAML text file"
        raise ProfileError([ProfileProblem(source.label, "", "", message, hint)]) from None


def with_answers(text: str, renamed: Callable[[str], str]) -> str:
    """The text of a profile that compiles, with other names of its answers' files."""
    root = yaml.compose(text, _Loader)
    found = [
        node
        for rule in _items(_value(root, "rules"))
        for answer in [_value(rule, "answer")]
        for reply in (answer, *_items(_value(answer, "sequence")))
        if isinstance(node := _value(reply, "file"), yaml.ScalarNode) and node.tag.endswith(":str")
    ]
    for node in sorted(found, key=lambda node: node.start_mark.index, reverse=True):
        before = text[: node.start_mark.index]
        old, after = text[len(before) : node.end_mark.index], text[node.end_mark.index :]
        name = yaml.dump(renamed(node.value), default_style='"', width=1 << 30).rstrip()
        text = before + name + old[len(old.rstrip("\n")) :] + after
    return text


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _wrong(problem: str, at: Any) -> yaml.constructor.ConstructorError:
    mark = at.start_mark if at else None
    return yaml.constructor.ConstructorError(None, None, problem, mark)


class _Loader(yaml.SafeLoader):
    """Refuses YAML that misleads or explodes: a duplicate key, an alias (so the document stays a
    tree of the file's own size), nesting without end."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise _wrong(f"alias *{event.anchor} is not supported, write it out", event)
        self._depth += 1
        if self._depth > _DEPTH:
            raise _wrong(f"nested more than {_DEPTH} deep", parent)
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (yaml.YAMLError, RecursionError):
            raise
        except Exception as e:  # PyYAML's own, of a value that its tag does not fit
            kind = node.tag.rpartition(":")[2]
            raise _wrong(f"{e}: {shown(node.value)} is no {kind}", node) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode):
                raise _wrong("a key is text, not a list or mapping", key)
            if key.tag.endswith(":merge"):
                raise _wrong("a merge << is not supported, write it out", key)
            if key.value in seen:
                raise _wrong(f"key {key.value!r} stands here twice", key)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Float(float):
    """A number that a problem shows as it is written: 4.10 is meant as a version."""

    written: str

    def __repr__(self) -> str:
        return self.written


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    found = _Float(loader.construct_yaml_float(node))
    found.written = node.value
    return found


_Loader.add_constructor("tag:yaml.org,2002:float", _float)
