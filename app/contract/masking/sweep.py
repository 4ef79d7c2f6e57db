"""The second pass of masking: values found under sensitive names, removed wherever else they stand.

Called by the masking once a record's own fields are masked.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from app.contract import body as bodies
from app.contract.masking.bounds import DEPTH
from app.contract.masking.fields import MASK, SMALL
from app.contract.masking.spans import scalars_changed
from app.contract.masking.traces import SHORTEST, Traces
from app.contract.record import Body, CaptureRecord, Pair, short

# Words without which a record cannot be read.
_USUAL = frozenset((
    "options", "connect", "user-agent", "content-type", "content-encoding", "content-length",
    "transfer-encoding",
))  # fmt: skip
_WORD = re.compile(r"[A-Za-z]+(?:[_.-][A-Za-z]+)*")


def sweep(record: CaptureRecord, traces: Traces, read: str | None = None) -> bool:
    """Replaces the traces in every text of the record and in its bodies.
    `read` is `values` of the record and the names of its query and headers, where the caller has
    them. False if there were too many to look for in time: then all texts are masked whole."""
    bodies_ = _bodies(record)
    plain = [body.text or "" for body in bodies_ if _is_short_and_plain(body)]
    if read is None:
        request = record.request
        pairs = (*request.query, *request.headers) if request is not None else ()
        read = "\n".join([values(record), *[name for name, _ in pairs]])
    joined = "\n".join([read, *_others(record), *plain, ""])
    affords = traces.affords(joined)
    there = traces.within(joined) if affords else None
    if not affords:
        _texts(record, lambda text: text and MASK)
    elif "…\n" in joined:
        _texts(record, traces.clean)  # a value may have been cut
    elif there is not None:
        _texts(record, there.clean)
    seen = there is None and affords
    for body in bodies_:
        if not (seen and _is_short_and_plain(body)):
            _body(body, traces)
    return affords


def values(record: CaptureRecord) -> str:
    """The values of a record's request and answer, a line each, but for their bodies."""
    lines: list[str] = []
    if (request := record.request) is not None:
        lines += [request.path, *values_of(request.query), *values_of(request.headers)]
    if (response := record.response) is not None:
        lines += [response.reason, *values_of(response.headers)]
    return "\n".join(lines)


def _others(record: CaptureRecord) -> list[str]:
    others = [record.detail, record.product_version]
    if record.tls is not None:
        others.append(record.tls.sni)
    if record.log is not None:
        others.append(record.log.message)
    if record.request is not None:
        others += [record.request.host, record.request.method]
    return others


def _bodies(record: CaptureRecord) -> list[Body]:
    parts = (record.request, record.response, record.message)
    return [part.body for part in parts if part is not None and part.body is not None]


def _is_short_and_plain(body: Body) -> bool:
    """True if a look at its text suffices to say that nothing is in it, as in most: nothing is cut,
    or written in a way that only a reader of its format undoes."""
    text = body.text
    return text is not None and len(text) <= SMALL and not body.truncated and "\\" not in text


def _texts(record: CaptureRecord, clean: Callable[[str], str]) -> None:
    record.detail = clean(record.detail)
    record.product_version = short(clean(record.product_version))
    if record.tls is not None:
        record.tls.sni = short(clean(record.tls.sni))
    if record.log is not None:
        record.log.message = clean(record.log.message)
    if record.request is not None:
        request = record.request
        request.host = short(clean(request.host))
        request.path = clean(request.path)
        request.query = [(clean(n), clean(v)) for n, v in request.query]
        request.method = short(_word(request.method, clean))
        request.headers = [(_word(n, clean), clean(v)) for n, v in request.headers]
    if record.response is not None:
        response = record.response
        response.reason = short(clean(response.reason))
        response.headers = [(n, clean(v)) for n, v in response.headers]


def _word(word: str, clean: Callable[[str], str]) -> str:
    """A method, or a header's name."""
    return word if len(word) < SHORTEST or word.lower() in _USUAL else clean(word)


def _body(body: Body, traces: Traces) -> None:
    if _without(body, traces):
        return
    data = bodies.content(body)
    if not data:
        return
    coded = body.base64 is not None
    plain = data.decode("latin-1") if coded else data.decode()
    found = _documents(data)
    if found is bodies.NOT_JSON and not traces.affords(plain):
        return withhold(body)
    if found is not bodies.NOT_JSON:
        strings = "\n".join(scalars(found)) if "\\" in plain else ""
        if there := traces.within(f"{plain}\n{strings}"):
            plain = scalars_changed(plain, there.replace)
    there = traces.within(plain)
    new = there.replace(plain) if there else plain
    if body.truncated:
        new = traces.cut(new)
    if new != data.decode("latin-1" if coded else "utf-8"):
        bodies.store(body, new.encode("latin-1", "replace") if coded else new.encode())


def _documents(data: bytes) -> Any:
    from app.contract.decoding import formats

    return formats.json(data) if data.lstrip()[:1] in b'{["' else bodies.NOT_JSON


def _without(body: Body, traces: Traces) -> bool:
    """True if a look at its text suffices to say that none is in it, as in most bodies: nothing is
    cut, or written in a way that only a reader of its format undoes."""
    text = body.text
    if text is None or body.truncated or "\\" in text or not traces.affords(text):
        return False
    return traces.within(text) is None


def swept(node: Any, traces: Traces, depth: int = 0) -> Any:
    """A document without the values, names of fields included."""
    if isinstance(node, dict) and depth <= DEPTH:
        return {traces.replace(k): swept(v, traces, depth + 1) for k, v in node.items()}
    if isinstance(node, list) and depth <= DEPTH:
        return [swept(n, traces, depth + 1) for n in node]
    plain = node if isinstance(node, str) else msgspec.json.encode(node).decode()
    without = traces.replace(plain)
    return node if without == plain else without


def scalars(node: Any, depth: int = 0, *, words: bool = True) -> list[str]:
    """Every text and number of a document, and the names of its fields; `words`: also those that
    consist of letters, such as `stringValue`."""
    if isinstance(node, str):
        return [node]
    if depth <= DEPTH and isinstance(node, dict):
        names = [name for name in node if words or not _WORD.fullmatch(name)]
        return [*names, *(s for v in node.values() for s in scalars(v, depth + 1, words=words))]
    if depth <= DEPTH and isinstance(node, list):
        return [s for v in node for s in scalars(v, depth + 1, words=words)]
    written: str = getattr(node, "written", "")  # a number that the lenient reader has read
    return [written or msgspec.json.encode(node).decode()]


def withhold(body: Body, why: str = "unmaskable") -> None:
    """Takes the content out of a body; `why` is an id in REASONS."""
    body.text = body.base64 = None
    body.withheld = why


def values_of(pairs: Sequence[Pair]) -> list[str]:
    return [value for _, value in pairs]


def may_nest(values: str) -> bool:
    """True if one of these lines may begin as a document does, told far faster than by a look at
    each. A character is found ten times as fast as two in a row."""
    return (
        values[:1] in _BEGUN
        or ("{" in values and "\n{" in values)
        or ("[" in values and "\n[" in values)
        or ("<" in values and "\n<" in values)
        or ('"' in values and '\n"' in values)
        or ("(" in values and "\n(" in values)
        or "\x1f" in values
        or "\0" in values
    )


_BEGUN = ("{", "[", "<", '"', "(")


def claims_text(kind: str) -> bool:
    kind = kind.lower()
    return kind.startswith("text/") or any(t in kind for t in ("json", "xml", "form-urlencoded"))


_OPENINGS = tuple(f'"{c}'.encode() for c in "eW{[")


_UNUSUAL = re.compile(rb"\\[^nrtbf\"\\]")  # an escape that may stand for a letter
_CONTROL = bytes(n for n in range(32) if n not in b"\t\n\r")


def hides(data: bytes) -> bool:
    """True if names may stand in JSON text other than as themselves."""
    return (
        (b"\\" in data and _UNUSUAL.search(data) is not None)
        or any(o in data for o in _OPENINGS)
        or b"&#" in data
        or b"<!" in data  # that declares an entity
        or not data.isascii()  # compatibility forms
        or len(data.translate(None, _CONTROL)) < len(data)
    )
