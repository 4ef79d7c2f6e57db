"""Writes a draft as a profile's YAML, with what was seen in comments: a person edits and keeps it.

Called by `telemock learn`. What a sender chose stands in quotes that YAML escapes, or in a comment
on one line.
"""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from app.contract.actions import MOCK, OBSERVE
from app.contract.files import write_whole
from app.escape import plain
from app.learn.draft import Draft, DraftRule
from app.profiles.compile import compiled_draft
from app.version import VERSION


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True  # the format takes none


class WrittenDraft(NamedTuple):
    """A profile's text, and the files that its answers name, by their paths from it."""

    text: str
    files: dict[str, bytes]


def written(draft: Draft, folder: str = "") -> WrittenDraft:
    """A text that `telemock rules check` finds right. `folder` is the one for files of answers."""
    files = {
        f"{folder}/{one.reply.file(one.id)}": one.reply.beside
        for one in draft.endpoints
        if one.reply.beside
    }
    text = "".join(_parts(draft, folder))
    with tempfile.TemporaryDirectory(prefix="telemock-learn-") as beside:
        profile = Path(beside) / "draft.yaml"
        write_files(profile, files)
        compiled_draft(text.encode(), draft.id, profile)  # a fault of ours, unless it is right
    return WrittenDraft(text, files)


def write_files(profile: Path, files: Mapping[str, bytes], *, force: bool = False) -> list[Path]:
    """Writes the files of answers beside a profile, all or none; those that are new. Raises
    OSError, FileExistsError for other bytes that are there already, unless `force` is given."""
    new: list[Path] = []
    try:
        for name, data in files.items():
            file = profile.parent / name
            file.parent.mkdir(exist_ok=True)
            if file.parent.is_symlink():  # a profile's answers lie beside it
                raise FileExistsError(errno.EEXIST, "is a link", str(file.parent))
            if file.is_file() and file.read_bytes() == data:
                continue
            if not file.exists():
                new.append(file)
            write_whole(file, [data], 0o644, put=os.replace if force else os.link)
    except BaseException:
        remove_files(new)
        raise
    return new


def remove_files(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it holds others
            file.parent.rmdir()


def _parts(draft: Draft, folder: str) -> Any:
    yield _comment(
        f"Drafted by `telemock learn` {VERSION} from {draft.seen}: read, edit and keep it.",
        "`telemock rules check FILE` checks it, `telemock profiles add FILE` puts it in use.",
    )
    yield _dumped({"id": draft.id, "title": _title(draft.id)})
    yield _comment(
        "Asked for: without them every report says that they are not stated.",
        "licence: {class: none, note: no terms known}",
        f"evidence: [{_flow(_evidence(draft))}]",
    )
    hosts = [
        {"name": host, "ports": draft.ports[host]} if host in draft.ports else host
        for host in draft.hosts
    ]
    yield _dumped({"hosts": hosts})
    yield _version(draft)
    if draft.every:
        yield _comment("As observed: the middle of the times between two requests of one sender.")
        yield _dumped({"cadence": {"every": draft.every}})
    yield _sensitive(draft)
    yield "unknown:\n" + "".join(f"  - {_flow(plain(one, 1_000))}\n" for one in draft.unknown)
    yield "rules:\n"
    for endpoint in draft.endpoints:
        yield _comment(f"{endpoint.seen}; {endpoint.reply.how}.", indent="  ")
        yield _listed(_rule(endpoint, len(draft.hosts) > 1, folder))
    yield _comment(
        "What else comes to these hosts is forwarded and recorded. Remove it where they serve more "
        "than telemetry.",
        indent="  ",
    )
    ids = {endpoint.id for endpoint in draft.endpoints}
    other = next(id for id in ("other", "all-other", "any-other") if id not in ids)
    yield _listed({"id": other, "action": OBSERVE})


def _evidence(draft: Draft) -> dict[str, str]:
    claim = f"requests to {draft.hosts[0]}"
    if draft.endpoints:
        endpoint = draft.endpoints[0]
        claim = f"{endpoint.method} {endpoint.route} at {endpoint.host}"
    return {"claim": claim, "source": f"seen with telemock {VERSION}", "verified": draft.day}


def _version(draft: Draft) -> str:
    if not draft.versions:
        return _comment("version_from: [body.version]", "No field that was seen looks like it.")
    seen = ", ".join(draft.versions[0].values)
    rows = [
        {"field": one.field, "regex": one.regex} if one.regex else one.field
        for one in draft.versions
    ]
    said = _comment(f"The product's version, it seems; seen: {seen}.")
    return said + _dumped({"version_from": rows})


def _sensitive(draft: Draft) -> str:
    found = ""
    if draft.masked:
        of = ", ".join(draft.masked)
        found = _comment(f"Masked without a row here, by name or look: {of}.")
    if not draft.sensitive:
        return found + _comment("sensitive: [{field: any.email, as: token}]", "None was found.")
    found += "sensitive:\n"
    for one in sorted(draft.sensitive):
        found += f"  - {_flow({'field': one.field, 'as': one.how})}  # {plain(one.why, 80)}\n"
    return found


def _rule(endpoint: DraftRule, many: bool, folder: str) -> dict[str, Any]:
    path, exact = endpoint.path.value, endpoint.path.kind == "exact"
    match: dict[str, Any] = {"methods": [endpoint.method]}
    if many:
        match["hosts"] = [endpoint.host]
    match["path"] = path if exact else {"regex": path}
    if endpoint.reply.websocket:
        match["headers"] = {"upgrade": {"regex": "(?i)websocket"}}
    rule: dict[str, Any] = {"id": endpoint.id, "match": match, "action": MOCK}
    if not exact:
        rule["route"] = endpoint.route
    return rule | ({"answer": answer} if (answer := _answer(endpoint, folder)) else {})


def _answer(endpoint: DraftRule, folder: str) -> dict[str, Any]:
    reply = endpoint.reply
    answer: dict[str, Any] = {}
    if reply.websocket:
        answer["websocket"] = True
    elif reply.status != 200:
        answer["status"] = reply.status
    if reply.headers:
        answer["headers"] = reply.headers
    if reply.body:
        answer["body"] = reply.body
    if reply.beside:
        answer["file"] = f"{folder}/{reply.file(endpoint.id)}"
    return answer


def _title(id: str) -> str:
    return id.replace("-", " ").capitalize()


def _dumped(value: dict[str, Any]) -> str:
    return "".join(f"{name}: {_flow(of)}\n" for name, of in value.items())


def _flow(value: Any) -> str:
    """On one line, in ASCII."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, width=1 << 30, default_flow_style=True
    )
    return text.removesuffix("...\n").rstrip()


def _listed(rule: dict[str, Any]) -> str:
    first, *rest = _dumped(rule).splitlines()
    return "".join([f"  - {first}\n", *(f"    {line}\n" for line in rest)])


def _comment(*lines: str, indent: str = "") -> str:
    return "".join(f"{indent}# {plain(line, 300)}\n" for line in lines)
