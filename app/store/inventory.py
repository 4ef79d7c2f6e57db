"""Derives field observations from a record: its request's fields, with type and shape.

The store calls `observe` while it writes and keeps the counts; values are not kept. Everything is
bounded, because senders choose names and values.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from app.contract.actions import OUTLINED
from app.contract.decoding.pairs import AGENT, inside, parameters, segments
from app.contract.decoding.read import Content, read
from app.contract.decoding.tree import Opaque, Opened, Several, attribute, is_attribute
from app.contract.record import CaptureRecord, Pair, Request, first, line_of, text
from app.contract.route_template import CATCH_ALL, RouteTable
from app.store.shapes import SHAPES as SHAPES
from app.store.shapes import number_shape, shape_of

TYPES = (
    "string", "integer", "number", "boolean", "null", "object", "array", "empty", "opaque",
)  # fmt: skip

FIELDS = 2_000  # distinct fields that are read of one request's bodies
NODES = 20_000  # values that are read of one request's bodies
DEPTH = 16
PATH = 200  # characters of a field's path
REREAD = "(another reading)"  # stands for a path that its rule took otherwise than it came
TLS_NAME = "header.(TLS name)"  # another one than the request's host
TRAILERS, CHUNK_EXTENSIONS = "header.(trailers)", "body.(chunk extensions)"  # which nobody reads

_NUMBER = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?")


class Field(NamedTuple):
    path: str
    type: str
    shape: str


# A scalar's kind ("type shape"); or an object's names, and the forms of its values; or for an array
# None, and the forms of its items. For what was opened the end of its name, the text's kind, and
# the form of what is in it; for several values of one name "", and their forms.
_Form = str | tuple[tuple[str, ...] | str | None, tuple["_Form", ...]]


_NO_TEXT: _Form = ("", ())


class Observation(NamedTuple):
    """`others` counts fields over the limits. Most requests of a product have the same fields:
    equal sets can be counted as one."""

    fields: frozenset[Field]
    others: int


def content_of(record: CaptureRecord, decoders: Sequence[str] = ()) -> Content:
    """The content of the request's body; empty when there is nothing to learn of the record.

    That is: any kind but exchange, refused and a line, and requests passed on unread.
    """
    if line := line_of(record):
        return read(line, "", decoders)
    if not _is_read(record) or record.request is None:
        return Content()
    return read(record.request.body, first(record.request.headers, "content-type"), decoders)


def _is_read(record: CaptureRecord) -> bool:
    return record.action not in OUTLINED and record.kind in ("exchange", "refused")


def observe(
    record: CaptureRecord, decoders: Sequence[str] = (), content: Content | None = None
) -> Observation | None:
    """The fields of the record's request; None when there is nothing to learn. `content` is that
    of `content_of`, if it is known."""
    request = record.request
    if line_of(record):
        found = content_of(record, decoders) if content is None else content
        form = ("body" + found.suffix, _form(found.value, 0))
        return _bodies((form,)) if found.value is not None else Observation(frozenset(), 0)
    if request is None or not _is_read(record):
        return None
    fields, others = both(
        pairs_seen("query.", request.query), pairs_seen("header.", request.headers)
    )
    others += request.left_out
    forms = _heads(record, request)
    if request.body is not None:
        found = content_of(record, decoders) if content is None else content
        if found.value is not None:
            forms.append(("body" + found.suffix, _form(found.value, 0)))
    if forms:
        small = request.body is None or len(request.body.text or "") <= _SMALL
        more, over = (_known_bodies if small else _bodies)(tuple(forms))
        fields = _union(fields, more) if small else fields | more
        others += over
    return Observation(fields, others)


def in_path(record: CaptureRecord, request: Request) -> list[Pair]:
    """The values that a path holds beside its route, and TLS' name where it is another one than the
    request's, by the names of their fields."""
    found = [*segments(request.path, record.route), *parameters(request.path)]
    if "path" in record.judged_by.split():  # /v1/x/../a is on the route /v1/a
        found.append((REREAD, request.path))
    said = [(f"path.{name}", value) for name, value in found]
    if record.tls is not None and record.tls.sni.lower().rstrip(".") not in ("", request.host):
        said.append((TLS_NAME, record.tls.sni))
    return said


def _heads(record: CaptureRecord, request: Request) -> list[tuple[str, _Form]]:
    """The forms of the pairs in a User-Agent, and of what is in the path."""
    found: list[tuple[str, _Form]] = [
        (path, _known_kind(value) if len(value) <= 128 else _kind(value))
        for path, value in in_path(record, request)
    ]
    if record.reason == "trailers":
        found.append((TRAILERS, "opaque not kept"))
    if request.chunk_extensions:
        found.append((CHUNK_EXTENSIONS, "opaque not kept"))
    if (said := first(request.headers, AGENT)) and (form := _known_agent(said)):
        found.append((f"header.{AGENT}", form))
    return found


@lru_cache(maxsize=1_024)
def _known_agent(said: str) -> _Form | None:
    found = inside(AGENT, said)
    return _form(found, 0) if isinstance(found, Opened) else None


_ROUTES = RouteTable()


def route_of(record: CaptureRecord) -> str:
    """The rule's route; where it names no path, or no rule took the request, its path as a
    template."""
    if record.request is None or (record.rule and record.route not in CATCH_ALL):
        return record.route
    return _ROUTES.of(record.profile, record.host, record.request.path)


# A product's instance sends the same names every minute, with values that differ but are of the
# same kind: results for names and kinds are cached, if they are small.
_SMALL = 4_096  # characters of names, or of a body
_INTEGER = "integer "


def pairs_seen(part: str, pairs: list[Pair]) -> Observation:
    """The fields of the query (`query.`) or of the headers (`header.`)."""
    names = tuple([n for n, _ in pairs])
    kinds = tuple([
        _INTEGER if len(v) < 10 and v.isdecimal()
        else _known_kind(v) if len(v) <= 128 else _kind(v)
        for _, v in pairs
    ])  # fmt: skip
    return (_known_names if len("".join(names)) <= _SMALL else _names)(part, names, kinds)


def _names(part: str, names: tuple[str, ...], kinds: tuple[_Form, ...]) -> Observation:
    if part == "header.":
        names = tuple(map(str.lower, names))
    fields: set[Field] = set()
    opened: list[tuple[str, _Form]] = []
    others = 0
    for name, kind in zip(names, kinds, strict=True):
        path = part + name
        if type(kind) is not str:
            opened.append((path, kind))
        elif len(path) <= PATH:
            fields.add(_field(path, kind))
        else:
            others += 1
    if not opened:
        return Observation(frozenset(fields), others)
    more, over = _bodies(tuple(opened))
    return Observation(more | fields, others + over)


_known_names = lru_cache(maxsize=1_024)(_names)


@lru_cache(maxsize=16_384)
def _field(path: str, kind: str) -> Field:
    type, _, shape = kind.partition(" ")
    return Field(text(path), type, shape)  # a name may hold what no store can


@lru_cache(maxsize=1_024)
def both(one: Observation, other: Observation) -> Observation:
    return Observation(one.fields | other.fields, one.others + other.others)


@lru_cache(maxsize=1_024)
def _union(one: frozenset[Field], other: frozenset[Field]) -> frozenset[Field]:
    return one | other if other else one


def classify(value: str) -> tuple[str, str]:
    """The type and shape of a value that was sent as text (query, header, form)."""
    if not value:
        return "empty", ""
    if value.isdecimal() and value.isascii():
        return "integer", number_shape(float(value)) if len(value) < 20 else ""
    if value[0] == "+" and (shape := shape_of(value)) == "phone":
        return "string", shape
    if _NUMBER.fullmatch(value):
        return "integer" if value.lstrip("+-").isdecimal() else "number", ""
    if value in ("true", "false"):
        return "boolean", ""
    if value == "null":
        return "null", ""
    return "string", shape_of(value)


# JSON, a form or pairs may stand in a text of any look but these.
_ATOMS = frozenset(SHAPES) - {"", "base64", "hex", "text", "path", "home", "host", "package"}


def _kind(value: str) -> _Form:
    """`classify` as one text: type, space, shape; and the form of what is in the value."""
    type, shape = classify(value)
    kind = f"{type} {shape}"
    found = inside("", value) if type == "string" and shape not in _ATOMS else value
    if not isinstance(found, Opened):
        return kind
    return found.suffix, (kind, _form(found.value, 0))


_known_kind = lru_cache(maxsize=16_384)(_kind)


def _form(value: Any, depth: int) -> _Form:
    """The form of a value of a tree: its kind, or the content of an object or array."""
    kind = type(value)
    if kind is str:
        return _known_json_kind(value) if len(value) <= 128 else _json_kind(value)
    if kind is dict:
        if depth >= DEPTH:
            return (), ()
        inner = depth + 1
        return tuple(value), tuple([
            _known_json_kind(v) if type(v) is str and len(v) <= 128
            else _INTEGER if type(v) is int and -(10**9) < v < 10**9
            else _form(v, inner)
            for v in value.values()
        ])  # fmt: skip
    if kind is list:
        return _list(value, depth + 1) if depth < DEPTH else (None, ())
    if kind is Opened:
        if value.unsure:
            return _form(value.text, depth) if value.text else _NO_TEXT
        said = _form(value.text, depth) if value.text else _NO_TEXT
        return value.suffix, (said, _form(value.value, depth))
    if kind is Several:
        return "", tuple([_form(v, depth) for v in value])
    return _json_kind(value)


def _list(items: list[Any], depth: int) -> _Form:
    """Of an array; OpenTelemetry's attributes are an object's names."""
    if items and is_attribute(items[0]) and all(map(is_attribute, items)):
        names = tuple([one["key"] for one in items])
        return names, tuple([_form(attribute(one), depth) for one in items])
    return None, tuple([
        _INTEGER if type(v) is int and -(10**9) < v < 10**9 else _form(v, depth) for v in items
    ])  # fmt: skip


def _bodies(forms: tuple[tuple[str, _Form], ...]) -> Observation:
    """Collects the distinct fields of one request's forms, within the limits."""
    fields: set[Field] = set()
    others = nodes = 0
    stack: list[tuple[str, _Form, int]] = [(path, form, 0) for path, form in forms]
    while stack:
        path, form, depth = stack.pop()
        nodes += 1
        if nodes > NODES:
            others += len(stack) + 1
            break
        field: Field | None = None  # of a path that is too long
        if isinstance(form, str):
            if len(path) <= PATH:
                field = _field(path, form)
        else:
            names, within = form
            if isinstance(names, str):
                inner = path + names
                stack.extend(
                    (path if names and n == 0 else inner, f, depth) for n, f in enumerate(within)
                )
                continue
            if len(path) <= PATH:
                field = _field(path, "array " if names is None else "object ")
            if depth >= DEPTH:
                others += 1
            elif names is None:
                stack.extend((f"{path}[]", f, depth + 1) for f in within)
            else:
                pairs = zip(names, within, strict=True)
                stack.extend((f"{path}.{name}", f, depth + 1) for name, f in pairs)
        if field is None or (len(fields) >= FIELDS and field not in fields):
            others += 1
        else:
            fields.add(field)
    return Observation(frozenset(fields), others)


_known_bodies = lru_cache(maxsize=512)(_bodies)


def _json_kind(value: Any) -> str:
    if isinstance(value, str):
        return f"string {shape_of(value)}" if value else "empty "
    if isinstance(value, Opaque):
        return f"opaque {value.looks}"
    if value is None:
        return "null "
    if isinstance(value, bool):
        return "boolean "
    if isinstance(value, int):
        return _INTEGER + (number_shape(value) if abs(value) < 1 << 63 else "")
    return "number "


_known_json_kind = lru_cache(maxsize=4_096)(_json_kind)
