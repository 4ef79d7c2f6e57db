"""Compiles profiles to the rules that both halves read.

Called by `watch` for the app, by the CLI, and by `app.generate` for the sidecar's built-in rules.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from pydantic import BaseModel, ValidationError

from app.contract import rules as contract
from app.contract.decoding.tree import THEN
from app.profiles import schema, template
from app.profiles.last_good import Good, GoodProfile
from app.profiles.problems import ProfileError, ProfileProblem, from_pydantic, shown
from app.profiles.read import ProfileSource, answer_file, document, find, looked, parsed
from app.profiles.unreachable import taken_before

_TEXT = ("content-type", "text/plain; charset=utf-8")
_NOWHERE = Path("(a draft)")
ITEMS = 1_000  # of a list or mapping: some are compared with each other, each with each
ANSWERS_CAP = 8 << 20  # bytes of one profile's answer files, a file named twice counts twice


class Loaded(NamedTuple):
    """`files` are all files read, answers included: a change of one makes the rules stale. `good`
    are the profiles by their files' labels, compiled and as they stand there; `problems` is what
    was wrong with the others."""

    rules: contract.RuleSet
    files: tuple[Path, ...]
    good: Good
    problems: tuple[ProfileProblem, ...] = ()

    @property
    def written(self) -> tuple[schema.ProfileFile, ...]:
        return tuple(kept.written for kept in self.good.values())


def load_profiles(sources: Sequence[str | Path]) -> contract.RuleSet:
    """Returns the rules of built-in profiles (by name), files and folders, in their order.

    Raises ProfileError with every problem of every file.
    """
    return load(sources).rules


def load(sources: Sequence[str | Path]) -> Loaded:
    """Like `load_profiles`, and returns the files that it read. Raises ProfileError."""
    loaded = _loaded(find(sources), {})
    if loaded.problems:
        raise ProfileError(loaded.problems)
    return loaded


def load_each(sources: Sequence[str | Path], last_good: Good) -> Loaded:
    """Like `load`, file by file: in place of a refused or missing one its last good version is
    used, by the file's label; without one it is left out."""
    found, missing, empty = looked(sources)
    gone = [ProfileSource(Path(p.file), p.file) for p in missing]
    loaded = _loaded([*found, *gone], last_good)
    more = tuple(missing if found else [*missing, *empty])
    named = tuple(p for p in loaded.problems if p.file not in {g.label for g in gone})
    return loaded._replace(problems=named + more)


def _loaded(found: Sequence[ProfileSource], last_good: Good) -> Loaded:
    files: list[Path] = []
    problems: list[ProfileProblem] = []
    good: dict[str, GoodProfile] = {}
    owner: dict[str, str] = {}
    for source in found:
        files.append(source.path)
        kept: GoodProfile | None
        try:
            kept = GoodProfile(*_profile(source, files))
        except ProfileError as e:
            problems += e.problems
            kept = last_good.get(source.label)
        if kept is not None and (id := kept.profile.id) in owner:
            message = f"{id!r} is the id of {owner[id]} too"
            hint = "give one of them another id, or use only one"
            problems.append(ProfileProblem(source.label, "id", shown(id), message, hint))
            kept = last_good.get(source.label)
        if kept is not None and kept.profile.id not in owner:
            owner[kept.profile.id] = source.label
            good[source.label] = kept
    profiles = tuple(kept.profile for kept in good.values())
    etag = hashlib.sha256(msgspec.json.encode(profiles)).hexdigest()[:32]
    return Loaded(contract.RuleSet(profiles, etag), tuple(files), good, tuple(problems))


def _profile(
    source: ProfileSource, files: list[Path]
) -> tuple[contract.Profile, schema.ProfileFile]:
    return _compiled(source, document(source), files)


def compiled_draft(data: bytes, label: str, path: Path = _NOWHERE) -> contract.Profile:
    """Compiles a profile's text; unless it is of a `path`, no file beside it is read. Raises
    ProfileError."""
    source = ProfileSource(path, label)
    return _compiled(source, parsed(source, data), [])[0]


def _compiled(
    source: ProfileSource, written: Any, files: list[Path]
) -> tuple[contract.Profile, schema.ProfileFile]:
    if not isinstance(written, dict):
        message = "holds no profile" if written is None else f"holds {shown(written)}, no profile"
        hint = "a profile is a mapping that begins with `id: …`"
        raise ProfileError([ProfileProblem(source.label, "", shown(written), message, hint)])
    if long := [
        ProfileProblem(
            source.label, where, shown(items), f"has {len(items):,} items, the limit is {ITEMS:,}",
            "name fewer, or split the profile",
        )
        for where, items in _parts("", written)
        if len(items) > ITEMS
    ]:  # fmt: skip
        raise ProfileError(long)
    try:
        valid = schema.ProfileFile.model_validate(written)
    except ValidationError as e:
        raise ProfileError(from_pydantic(source.label, written, e, _keys())) from None
    return _Compiler(source, files).profile(valid), valid


def _parts(where: str, value: Any) -> Iterator[tuple[str, Collection[Any]]]:
    """All lists and mappings, with their places."""
    if not isinstance(value, list | dict):
        return
    yield where, value
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        at = f"{where}.{key}".lstrip(".") if isinstance(value, dict) else f"{where}[{key}]"
        yield from _parts(at, item)


def _keys() -> set[str]:
    """All keys of the format."""
    models = [m for m in vars(schema).values() if isinstance(m, type) and issubclass(m, BaseModel)]
    return {f.alias or n for m in models for n, f in m.model_fields.items()}


class _Compiler:
    """Compiles one file and collects the problems that no single value shows."""

    def __init__(self, source: ProfileSource, files: list[Path]) -> None:
        self._source = source
        self._files = files
        self._problems: list[ProfileProblem] = []
        self._size = 0  # bytes of answer files so far

    def _wrong(self, where: str, value: object, message: str, hint: str = "") -> None:
        self._problems.append(
            ProfileProblem(self._source.label, where, shown(value), message, hint)
        )

    def profile(self, written: schema.ProfileFile) -> contract.Profile:
        hosts = tuple(
            msgspec.structs.replace(_host(h.name), unmatched=h.unmatched, ports=tuple(h.ports))
            for h in written.hosts
        )
        for number, named in enumerate(hosts):
            if any(h.covers(named) and named.covers(h) for h in hosts[:number]):
                name = written.hosts[number].name
                message = f"{name!r} stands in the list twice"
                self._wrong(f"hosts[{number}]", name, message, "keep one of them")
        names = {_host(h.name) for h in written.hosts}
        rules: list[contract.Rule] = []
        for number, rule in enumerate(written.rules):
            where = f"rules[{number}]"
            compiled = self._rule(where, rule)
            if rule.id in [r.id for r in rules]:
                hint = "reports and metrics name a rule by its id: give it another"
                self._wrong(f"{where}.id", rule.id, f"{rule.id!r} is an earlier rule's id", hint)
            for n, (text, host) in enumerate(
                zip(rule.match.hosts, compiled.match.hosts, strict=True)
            ):
                if host not in names and not any(h.covers(host) for h in hosts):
                    message = f"{text!r} is not one of the profile's hosts"
                    self._wrong(f"{where}.match.hosts[{n}]", text, message, "add it to `hosts`")
            if earlier := taken_before(compiled, rules, lines=any(h.ports for h in hosts)):
                message = (
                    f"rule {rule.id!r} never matches: {earlier.id!r} before it takes all it could"
                )
                hint = f"put it before {earlier.id!r}, or narrow that rule's match"
                self._wrong(where, rule.id, message, hint)
            rules.append(compiled)
        sensitive = tuple(_sensitive(s) for s in written.sensitive)
        for number, field in enumerate(sensitive):
            if any((field.where, field.name) == (s.where, s.name) for s in sensitive[:number]):
                name = written.sensitive[number].field
                message = f"{name!r} stands in the list twice"
                self._wrong(f"sensitive[{number}].field", name, message, "keep one of them")
        self._safe(written, sensitive)
        self._segments(written)
        if self._problems:
            raise ProfileError(self._problems)
        return contract.Profile(
            id=written.id,
            title=written.title,
            hosts=hosts,
            rules=tuple(rules),
            sensitive=sensitive,
            safe_query=tuple(written.safe_query),
            version_from=tuple(map(extract, written.version_from)),
            licence_note=" ".join(written.licence.note.split()) if written.licence else "",
        )

    def _safe(self, written: schema.ProfileFile, sensitive: tuple[contract.Sensitive, ...]) -> None:
        hidden = {s.name for s in sensitive if s.where in ("query", "any") and s.how != "keep"}
        for number, name in enumerate(written.safe_query):
            if name.lower() in hidden:
                message = f"{name!r} is called sensitive too"
                hint = "spans and logs show what is safe: take it out of one of the lists"
                self._wrong(f"safe_query[{number}]", name, message, hint)

    def _segments(self, written: schema.ProfileFile) -> None:
        """A segment of the path has the name that a route gives it."""
        routes = [rule.route or "" for rule in written.rules]
        named = [(f"version_from[{n}].field", e.field) for n, e in enumerate(written.version_from)]
        named += [(f"sensitive[{n}].field", s.field) for n, s in enumerate(written.sensitive)]
        for where, field in named:
            part, _, name = field.partition(".")
            if part == "path" and not any(f"{{{name}}}" in route.split("/") for route in routes):
                hint = f"name it in a rule: `route: /v1/{{{name}}}`"
                self._wrong(where, field, f"no rule's route names the segment {name!r}", hint)

    def _rule(self, where: str, rule: schema.Rule) -> contract.Rule:
        paths = tuple(
            contract.Path(kind, value)  # type: ignore[arg-type]
            for kind, value in (p.chosen for p in rule.match.path or ())
        )
        match = contract.Match(
            methods=tuple(rule.match.methods),
            hosts=tuple(map(_host, rule.match.hosts)),
            paths=paths,
            query=_values(rule.match.query),
            headers=_values({n.lower(): c for n, c in rule.match.headers.items()}),
            body=_values(rule.match.body),
        )
        answer = contract.Answer()
        if rule.answer is not None:
            answer = self._answer(f"{where}.answer", rule.answer)
        return contract.Rule(
            id=rule.id,
            action=rule.action,
            match=match,
            route=rule.route or _route(paths),
            answer=answer,
            answer_at=rule.answer.at if rule.answer else "app",
            decoders=tuple(rule.decode),
        )

    def _answer(self, where: str, written: schema.Answer) -> contract.Answer:
        if written.sequence:
            steps = tuple(
                self._reply(f"{where}.sequence[{n}]", reply)
                for n, reply in enumerate(written.sequence)
            )
            return msgspec.structs.replace(steps[0], sequence=steps)
        answer = self._reply(where, written)
        return msgspec.structs.replace(answer, websocket=written.websocket)

    def _reply(self, where: str, written: schema.Reply) -> contract.Answer:
        body = (written.body or written.fallback or "").encode()
        if written.file is not None:
            body = self._file(f"{where}.file", written.file)
        if written.template is not None:
            self._template(f"{where}.template", written.template)
        headers = tuple(
            (name.lower(), value)
            for name, values in written.headers.items()
            for value in ([values] if isinstance(values, str) else values)
        )
        if (body or written.template) and not any(n == "content-type" for n, _ in headers):
            headers = (_TEXT, *headers)
        return contract.Answer(
            status=written.status,
            headers=headers,
            body=body,
            template=written.template or "",
            delay_ms=schema.milliseconds(written.delay) if written.delay else 0,
            fault=written.fault or "",
        )

    def _file(self, where: str, name: str) -> bytes:
        if self._source.path is _NOWHERE:
            hint = "write the answer as `body`, or check the file by `telemock rules check`"
            self._wrong(where, name, f"{name!r} is a file, and a draft has none beside it", hint)
            return b""
        folder = self._source.path.parent
        try:
            path, data = answer_file(folder, name)
        except ProfileError as e:
            self._wrong(where, name, f"{name!r} {e.problems[0].message}", e.problems[0].hint)
            return b""
        self._files.append(folder.resolve() / path)
        self._size += len(data)
        if self._size > ANSWERS_CAP >= self._size - len(data):
            message = f"the answer files of the profile hold more than {ANSWERS_CAP >> 20} MiB"
            self._wrong(where, name, message, "every sidecar fetches and holds them: name fewer")
        return data if self._size <= ANSWERS_CAP else b""

    def _template(self, where: str, text: str) -> None:
        try:
            template.check(text)
        except ValueError as e:
            message = f"is not a Jinja2 template of ours: {e}"
            self._wrong(where, text, message, "literal braces are written {{ '{{' }}")


def _host(text: str) -> contract.Host:
    return contract.Host(text.removeprefix("."), suffix=text.startswith("."))


def _values(conditions: dict[str, schema.ValueIs]) -> tuple[contract.Value, ...]:
    found = []
    for name, condition in conditions.items():
        op, value = condition.chosen
        text = value if isinstance(value, str) else ""
        found.append(contract.Value(name, op, text))  # type: ignore[arg-type]
    return tuple(found)


def _sensitive(written: schema.Sensitive) -> contract.Sensitive:
    where, _, name = written.field.partition(".")
    return contract.Sensitive(where, name.lower(), written.as_)  # type: ignore[arg-type]


def extract(written: schema.Extract) -> contract.Extract:
    where, _, name = written.field.partition(".")
    if where.endswith("[]"):  # as the inventory calls what is in a list
        name = f"*.{name}"
    where = where.removesuffix("[]").partition(THEN)[0]  # a body's own decodings need no name
    if where == "header":
        named, dot, within = name.partition(".")
        name = named.lower() + dot + within
    return contract.Extract(where, name, written.regex or "")  # type: ignore[arg-type]


def _route(paths: tuple[contract.Path, ...]) -> str:
    """A rule's default endpoint: its first path, with a * behind a prefix."""
    if not paths:
        return "/*"
    return paths[0].value + ("*" if paths[0].kind == "prefix" else "")
