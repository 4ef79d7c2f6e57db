"""Writes a check, or a gate, as SARIF 2.1.0, as code scanning reads it: each violation at its place
in the contract's file."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from app.escape import as_json, plain
from app.gate.check import names_of
from app.gate.result import GATE_KINDS, KINDS, Checked, Violation
from app.version import VERSION

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LONGEST = 1_000  # characters of a message
_HELP = (
    "See what it is: `telemock captures list` and `telemock run --json` have all of it. Then stop "
    "it, by the product's opt-out or a firewall, or plan it: `--contract FILE`, `--allow HOST`."
)

Lines = Mapping[tuple[str, ...], int]


def sarif(found: Checked, contract: str = "") -> str:
    """`contract` is the text of the file, for the lines of its parts."""
    lines = lines_of(contract) if contract else {}
    rules = {**KINDS, **GATE_KINDS} if found.gate else KINDS
    notes = [("warning", one) for one in found.unchecked]
    notes += [("note", one) for one in found.doubts]
    notes += [("note", found.coverage.verdict)] if found.coverage else []
    run = {
        "tool": {
            "driver": {
                "name": "telemock",
                "version": VERSION,
                "rules": [
                    {"id": id, "shortDescription": {"text": says},
                     "fullDescription": {"text": says}, "help": {"text": _HELP},
                     "defaultConfiguration": {"level": "error"}}
                    for id, says in rules.items()
                ],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    {"level": level, "message": {"text": _message(note)}} for level, note in notes
                ],
            }
        ],
        "results": [_result(one, found.file, lines, [*rules]) for one in found.violations],
    }  # fmt: skip
    return as_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}) + "\n"


def _result(one: Violation, file: str, lines: Lines, rules: Sequence[str]) -> Mapping[str, Any]:
    says = f"{one.where}: {one.says} ({one.times})"
    key = (one.host, one.method, one.endpoint)
    names = names_of(one.host, [k[0] for k in lines if len(k) == 1])
    places = (
        (*of, one.field)[:length]
        for length in (4, 3, 1)
        for of in ((name, one.method, one.endpoint) for name in names)
    )
    line = next((lines[k] for k in places if k in lines), 1)
    identity = "\0".join((one.kind, *key, one.field)).encode("utf-8", "backslashreplace")
    return {
        "ruleId": one.kind,
        "ruleIndex": rules.index(one.kind),
        "level": "error",
        "message": {"text": _message(says)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(file)},
                    "region": {"startLine": line},
                },
                "logicalLocations": [{"fullyQualifiedName": plain(one.where, _LONGEST)}],
            }
        ],
        "partialFingerprints": {"violation/v1": hashlib.sha256(identity).hexdigest()},
        "properties": {
            "count": one.count, "of": one.of, "firstSeen": one.first_seen,
            "lastSeen": one.last_seen, "example": one.example,
        },
    }  # fmt: skip


def _uri(file: str) -> str:
    """From the root of the repository, where code scanning looks, wherever the job ran."""
    path = Path(os.path.normpath(Path.cwd() / file))
    root = next((at for at in path.parents if (at / ".git").exists()), None)
    found = str(path.relative_to(root)) if root else f"file://{path}"
    return quote(found.encode("utf-8", "replace"), safe="/:" if root is None else "/")


def _message(text: str) -> str:
    """Text in which nothing is a link: viewers make one of [text](target)."""
    return plain(text, _LONGEST).replace("](", "] (")


def lines_of(contract: str) -> Lines:
    """The lines of hosts, endpoints and fields in the text of a contract that was read before."""
    found: dict[tuple[str, ...], int] = {}
    root = yaml.compose(contract, yaml.SafeLoader)
    parts = _of(root)
    for node in getattr(parts.get("hosts"), "value", []):
        found[(str(node.value),)] = node.start_mark.line + 1
    for node in getattr(parts.get("endpoints"), "value", []):
        of = _of(node)
        key = (_text(of, "host"), _text(of, "method"), _text(of, "route"))
        found[key] = node.start_mark.line + 1
        for path, _ in getattr(of.get("fields"), "value", []):
            found[(*key, str(path.value))] = path.start_mark.line + 1
    return found


def _of(node: yaml.Node | None) -> Mapping[str, yaml.Node]:
    return (
        {key.value: value for key, value in node.value}
        if isinstance(node, yaml.MappingNode)
        else {}
    )


def _text(of: Mapping[str, yaml.Node], name: str) -> str:
    return str(of[name].value) if name in of else ""
