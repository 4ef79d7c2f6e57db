"""Searches a record for the values of a run, before it is masked: what the record then carries is
the source, the field and the way, and never the value. Called by the sidecar's shipper, where a
spec is set.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from app.contract import body as bodies
from app.contract.canary.kept import KeptFiles
from app.contract.canary.literals import AS_IT_IS, kind
from app.contract.canary.matcher import Hit, Matcher
from app.contract.canary.spec import Spec
from app.contract.canary.views import views
from app.contract.decoding.read import read
from app.contract.decoding.tree import THEN, Opaque, Opened, Several, attribute, is_attribute
from app.contract.record import BODY_CAP, Body, CaptureRecord, Request, Searched, first, short
from app.contract.rules import RuleSet

log = logging.getLogger(__name__)

SECONDS = 0.5  # of one record, in processor time
FIELDS = 20_000  # of one record
FOUND = 64  # findings that a record carries
_DEPTH = 60
_KNOWN = 4_096  # values that are remembered, with what was found in them
_SHORTEST = 7  # characters of a value: an address has so many, all else more
_SMALL = 512  # characters of those

_NAME = re.compile(r"[A-Za-z_$@*][\w.$@:/ -]{0,63}")
_BYTES = "went on with "  # begins the detail of a connection that was no HTTP
_WITHIN = ("", ".", "[", THEN)  # what follows a field's name in that of one within it
_TIME, _MANY = "time is over", "it has more fields than are searched"

Leaf = tuple[str, str | bytes]


class Search:
    """The search of one sidecar. `rules`: the words of the profiles in use may be salts, too."""

    def __init__(self, spec: Spec, rules: Callable[[], RuleSet]) -> None:
        self._spec, self._rules = spec, rules
        self._matcher: Matcher | None = None
        self._kept = KeptFiles(spec.places)
        self._known: dict[str | bytes, tuple[Hit, ...]] = {}

    def record(self, record: CaptureRecord) -> None:
        """Sets the record's `canary`. Never raises: the record is kept in any case."""
        if record.kind == "log":
            return
        try:
            record.canary = self._searched(record)
        except Exception as e:  # the text may hold what the record holds
            log.error("a record could not be searched: %s", type(e).__name__)
            record.canary = Searched(skipped=["all of it: the search failed"])

    def _searched(self, record: CaptureRecord) -> Searched:
        matcher = self._matcher = self._matcher or Matcher(self._salted())
        for word in self._kept.new():
            if not any(matcher.find(word.word)):  # else it is one of those that are known
                matcher.learn(word, self._spec.canaries)
                self._known.clear()
        until = time.thread_time() + SECONDS
        found: dict[tuple[str, str, str], None] = {}
        number = 0
        known = self._rules().rule(record.profile, record.rule)
        leaves = _Leaves(
            known[1].decoders if known else (), lambda text: bool(self._hits(matcher, text))
        )
        for field, value in leaves.of(record):
            if time.thread_time() > until or number >= FIELDS:
                leaves.skipped.append(f"{field}: {_MANY if number >= FIELDS else _TIME}")
                break
            number += 1
            before = [*found]
            for hit in self._hits(matcher, value):
                if not _said(before, hit, field):
                    found[short(hit.source), short(field), short(hit.how)] = None
        if len(found) > FOUND:
            leaves.skipped.append(f"{len(found) - FOUND} findings more are not listed")
        return Searched(found=[*found][:FOUND], fields=number, skipped=leaves.skipped)

    def _salted(self) -> Spec:
        words = [w for p in self._rules().profiles for w in (p.id, *(h.name for h in p.hosts))]
        salts = tuple(dict.fromkeys((*self._spec.salts, *words[:_SALTS])))
        return msgspec.structs.replace(self._spec, salts=salts)

    def _hits(self, matcher: Matcher, value: str | bytes) -> tuple[Hit, ...]:
        if len(value) < _SHORTEST:
            return ()
        small = len(value) <= _SMALL
        if small and (known := self._known.get(value)) is not None:
            return known
        data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        found: dict[Hit, None] = {}
        outer: dict[Hit, tuple[str, ...]] = {}  # the layers around a hit where it was seen first
        for chain, view in views(data, BODY_CAP):
            for hit in matcher.find(view):
                around = outer.setdefault(hit, chain)
                if around == chain or chain[: len(around)] != around:
                    found[Hit(hit.source, _through(hit.how, chain))] = None
        hits = tuple(found)
        if small:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[value] = hits
        return hits


_SALTS = 64  # words of profiles


def _through(how: str, chain: tuple[str, ...]) -> str:
    """The way of a hit, and the layers around it from the inmost on."""
    layers = [f"in {name}" for name in reversed(chain)]
    return ", ".join(layers if layers and how == AS_IT_IS else [how, *layers])


def _said(found: Iterable[tuple[str, str, str]], hit: Hit, field: str) -> bool:
    """True if this field, or one within it, has it already."""
    way = kind(hit.how)
    return any(
        source == hit.source
        and inner.startswith(field)
        and inner[len(field) : len(field) + 1] in _WITHIN
        and kind(how) == way
        for source, inner, how in found
    )


class _Leaves:
    """Lists what a client sent: field by field, then each body whole, as not everything is a field.
    `skipped` says what of it was not there to be searched. `holds`: a value stands in the text."""

    def __init__(self, decoders: Sequence[str], holds: Callable[[str], bool]) -> None:
        self._decoders, self._holds = decoders, holds
        self.skipped: list[str] = []

    def of(self, record: CaptureRecord) -> Iterator[Leaf]:
        if record.tls is not None:
            yield "TLS name", record.tls.sni
        if record.detail.startswith(_BYTES):
            yield "first bytes", record.detail
        if record.reason == "trailers":
            self.skipped.append("trailers are not kept")
        if record.request is not None:
            yield from self._request(record.request)
        if record.message is not None and record.message.sender == "client":
            yield from self._body("message", record.message.body, "")

    def _request(self, request: Request) -> Iterator[Leaf]:
        yield "host", request.host
        yield "method", request.method
        yield "path", request.path
        for part, pairs in (("query", request.query), ("header", request.headers)):
            for name, value in pairs:
                yield f"{part}.*", name
                yield f"{part}.{self._step(name if part == 'query' else name.lower())}", value
        if request.left_out:
            self.skipped.append(f"{request.left_out} headers or parameters over the limit")
        if request.chunk_extensions:
            self.skipped.append("body: extensions of its chunks are not kept")
        if request.body is not None:
            yield from self._body("body", request.body, first(request.headers, "content-type"))

    def _body(self, part: str, body: Body, kind: str) -> Iterator[Leaf]:
        if body.withheld:
            self.skipped.append(f"{part}: its content is not kept ({body.withheld})")
            return
        if body.truncated:
            self.skipped.append(f"{part}: only its beginning is kept")
        content = read(body, kind, self._decoders)
        if not (body.truncated and isinstance(content.value, Opaque)):
            yield from self._within(part + content.suffix, content.value, 0)
        yield part, bodies.content(body)

    def _within(self, path: str, node: Any, depth: int) -> Iterator[Leaf]:
        if isinstance(node, Opaque) and len(self.skipped) < FOUND:
            self.skipped.append(f"{path}: not read ({node})")
        if depth > _DEPTH or node is None or isinstance(node, bool | Opaque):
            return  # what is deeper is in the body whole
        if isinstance(node, Opened):
            if not node.unsure:  # what else it may be read as is in the text, or in the body whole
                yield from self._within(path + node.suffix, node.value, depth + 1)
            if node.text:
                yield path, node.text
        elif isinstance(node, str):
            yield path, node
        elif isinstance(node, int | float):
            yield path, getattr(node, "written", None) or str(node)
        elif isinstance(node, list):
            within = path if isinstance(node, Several) else f"{path}[]"
            for one in node:
                if is_attribute(one):
                    yield f"{path}.*", one["key"]
                    name = f"{path}.{self._step(one['key'])}"
                    yield from self._within(name, attribute(one), depth + 1)
                else:
                    yield from self._within(within, one, depth + 1)
        elif isinstance(node, dict):
            for name, value in node.items():
                yield f"{path}.*", name
                yield from self._within(f"{path}.{self._step(name)}", value, depth + 1)

    def _step(self, name: str) -> str:
        """A name as it may be told: one that is no plain word may be a value itself."""
        return name if _NAME.fullmatch(name) and not self._holds(name) else "*"
