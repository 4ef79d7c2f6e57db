"""Writes a draft as a profile's YAML, with what was seen in comments: a person edits and keeps it.

Called by `telemock learn`. What a sender chose stands in quotes that YAML escapes, or in a comment
on one line.
"""

from typing import Any

import yaml

from app.contract.actions import MOCK, OBSERVE
from app.escape import plain
from app.learn.draft import Draft, DraftRule
from app.profiles.compile import compiled_draft
from app.version import VERSION


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True  # the format takes none


def written(draft: Draft) -> str:
    """The profile's text, which `telemock rules check` finds right."""
    text = "".join(_parts(draft))
    compiled_draft(text.encode(), draft.id)  # a fault of ours, unless it is right
    return text


def _parts(draft: Draft) -> Any:
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
        yield _listed(_rule(endpoint, len(draft.hosts) > 1))
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
        of = ", ".join(dict.fromkeys(field for field, _ in draft.masked))
        found = _comment(f"Masked without a row here, by name or look: {of}.")
    if not draft.sensitive:
        return found + _comment("sensitive: [{field: any.email, as: token}]", "None was found.")
    found += "sensitive:\n"
    for one in sorted(draft.sensitive):
        found += f"  - {_flow({'field': one.field, 'as': one.how})}  # {plain(one.why, 80)}\n"
    return found


def _rule(endpoint: DraftRule, many: bool) -> dict[str, Any]:
    path, exact = endpoint.path.value, endpoint.path.kind == "exact"
    match: dict[str, Any] = {"methods": [endpoint.method]}
    if many:
        match["hosts"] = [endpoint.host]
    match["path"] = path if exact else {"regex": path}
    rule: dict[str, Any] = {"id": endpoint.id, "match": match, "action": MOCK}
    if not exact:
        rule["route"] = endpoint.route
    reply = endpoint.reply
    answer: dict[str, Any] = {"status": reply.status} if reply.status != 200 else {}
    if reply.headers:
        answer["headers"] = reply.headers
    if reply.body:
        answer["body"] = reply.body
    return rule | ({"answer": answer} if answer else {})


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
