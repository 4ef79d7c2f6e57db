"""Makes a row for spreadsheets of a capture: its columns, and cells that no spreadsheet runs and no
terminal acts on. Called by `app.report.export`; `app.report.har` shares what a body says.
"""

import re
from collections.abc import Iterable

from app.contract import record
from app.contract.classes import dpv_of, fides_of, in_order
from app.contract.decoding.events import events, of_record
from app.contract.decoding.read import read
from app.contract.instant import iso
from app.contract.printable import one_line
from app.contract.record import Body, Pair, Request, Response, first, note
from app.store.classes import NO_WORDS, ClassWords
from app.store.facts import endpoint_of
from app.store.inventory import observe

COLUMNS = (
    "id", "time", "kind", "action", "profile", "rule", "method", "scheme", "host", "path", "query",
    "status", "product_version", "answered_by", "reason", "detail", "namespace", "pod", "node",
    "container", "client", "destination", "user_agent", "request_bytes", "response_bytes",
    "duration_ms", "request_type", "request_headers", "request_body", "request_body_note",
    "response_reason", "response_type", "response_headers", "response_body", "response_body_note",
    "trace_id", "events", "event_names", "classes", "dpv", "fideslang",
)  # fmt: skip
# Spreadsheets run such cells as formulas, also in full-width forms, and behind blanks and
# zero-width characters.
_FORMULA = re.compile("[\\s\ufeff\u200b-\u200f\u2060]*[=+@\uff1d\uff0b\uff0d\uff20-]|[\t\r\n]")
# Terminals act on these characters, or show text backwards; line ends and tabs stay.
_ACTS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffe\uffff]|\r(?!\n)"
)
_CELL_CAP = 32_000  # a cell of the common spreadsheets holds 32,767 characters


def row(line: bytes, words: ClassWords = NO_WORDS) -> list[object]:
    """Returns a record's values in the order of COLUMNS. A WebSocket client's message is in the
    request's body, one of the server in the response's."""
    found = record.decode(line)
    asked = found.request or Request(method="", scheme="", path="")
    answer = found.response or Response(status=0)
    by, sent, came = found.workload, asked.body, answer.body
    if found.message:
        if found.message.sender == "client":
            sent = found.message.body
        else:
            came = found.message.body
    content = read(sent, first(asked.headers, "content-type"))
    happened = events(content) if found.message else of_record(found, content)
    names = dict.fromkeys(one.name for one in happened if one.name)
    return [
        found.id, iso(found.time_ns, 3), found.kind, found.action, found.profile, found.rule,
        asked.method, asked.scheme, found.host, asked.path,
        "&".join(f"{name}={value}" for name, value in asked.query),
        answer.status if found.response else "", found.product_version, found.answered_by,
        found.reason, found.log.message if found.log else found.detail,
        by.namespace, by.pod, by.node, by.container,
        found.sent_by,
        found.destination.address if found.destination else "",
        first(asked.headers, "user-agent"),
        sent.size if sent else found.sent,
        came.size if came else found.received,
        round(found.duration_ns / 1e6, 3),
        first(asked.headers, "content-type"), _head(asked.headers), kept(sent), note(sent),
        answer.reason, first(answer.headers, "content-type"), _head(answer.headers), kept(came),
        note(came), found.trace_id, len(happened), "\n".join(names),
        *map("\n".join, terms(found, words)),
    ]  # fmt: skip


def terms(
    found: record.CaptureRecord, words: ClassWords = NO_WORDS
) -> tuple[list[str], list[str], list[str]]:
    """The classes of the request's fields, and their terms in DPV and fideslang."""
    seen, of = observe(found), endpoint_of(found)
    ids = in_order(words.of(of, *field).id for field in seen.fields) if seen else []
    return ids, [*dict.fromkeys(map(dpv_of, ids))], [*dict.fromkeys(map(fides_of, ids))]


def cell(value: object) -> str:
    """Makes a cell that can only be text or a number."""
    text, runs = shown(value)
    return f"'{text}" if runs else text


def shown(value: object) -> tuple[str, bool]:
    """Returns the value as text, bounded and with nothing that a terminal acts on; and True if a
    spreadsheet would run it as a formula."""
    text = str(value)
    cut = text[:_CELL_CAP]
    made = _ACTS.sub(lambda m: one_line(m[0]), cut)
    if len(text) > _CELL_CAP or len(made) > _CELL_CAP:
        made = made[:_CELL_CAP] + "…"
    return made, bool(_FORMULA.match(cut))


def kept(body: Body | None) -> str:
    """Returns a body's text or base64, "" without content; `note` says which."""
    return (body.text if body.text is not None else body.base64 or "") if body else ""


def _head(headers: Iterable[Pair]) -> str:
    """Joins headers, one a line."""
    return "\n".join(f"{name}: {value}" for name, value in headers)
