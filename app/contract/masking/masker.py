"""Masking before the first write: what a profile calls sensitive leaves no trace in a record.

Called by the sidecar's shipper and by the mock with every record, before it is logged, spooled,
stored or sent, and by both halves for operational log lines and span attributes.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal
from urllib.parse import unquote, unquote_plus

from app.contract import body as bodies
from app.contract.masking.documents import Documents
from app.contract.masking.fields import MASK, SMALL, Places, SensitiveNames, tokens
from app.contract.masking.spelling import How, Meanings
from app.contract.masking.sweep import (
    NESTED,
    claims_text,
    is_text,
    may_nest,
    sweep,
    swept,
    values_of,
    withhold,
)
from app.contract.masking.traces import loose, traces
from app.contract.masking.values import note
from app.contract.record import BODY_CAP, Body, CaptureRecord, Pair, first, short, text
from app.contract.rules import RuleSet, Sensitive

_CUT = "…".encode()
_CREDENTIALS = ("authorization", "proxy-authorization", "cookie", "set-cookie")


class Masker:
    """Masks records by the sensitive fields of `rules`; `key` makes tokens, without it the value is
    masked instead. Values found under a sensitive name are removed wherever else they stand in the
    record too, raw, URL-, base64- or hex-encoded."""

    def __init__(self, rules: RuleSet, key: bytes | None = None, key_id: str = "") -> None:
        self._rules = rules
        self._key_id = key_id
        self._profiles = {p.id: SensitiveNames(p.sensitive) for p in rules.profiles}
        self._safe = {
            p.id: frozenset(
                n.lower()
                for n in p.safe_query
                if self._profiles[p.id].query.meaning(n) in (None, "keep")
            )
            for p in rules.profiles
        }
        self._common = SensitiveNames()
        # For text of which nobody knows the profile: every name of every profile.
        self._every = SensitiveNames(
            Sensitive(s.where, s.name, "mask")
            for p in rules.profiles
            for s in p.sensitive
            if s.how != "keep"
        )
        self._token = tokens(key) if key else None

    def record(self, record: CaptureRecord) -> CaptureRecord:
        """The record without sensitive values, changed in place and returned."""
        known = self._rules.rule(record.profile, record.rule)
        decoders = known[1].decoders if known else ()
        # A profile that is not in the rules any more may have named any of them.
        names = self._profiles.get(record.profile, self._every) if record.profile else self._common
        work = _Record(names, self._every, self._token, decoders)
        work.mask(record)
        if work.tokens:
            record.mask_key = self._key_id
        return record

    def foreign(self, record: CaptureRecord, more: list[Any]) -> list[Any]:
        """Documents that a record came with and that are not known here, masked; the values found
        in them are removed from the record too, in place. What a sidecar masked stays as it is."""
        names = self._profiles.get(record.profile, self._every) if record.profile else self._every
        work = _Record(names, self._every, self._token, ())
        work.masked_before = True
        masked: list[Any] = work.foreign(more, 0)
        if work.found:
            there = traces(work.found)
            sweep(record, there)
            masked = swept(masked, there)
        if work.tokens:
            record.mask_key = self._key_id
        return masked

    def line(self, text_: str) -> str:
        """An operational log line without values that stand under a sensitive name in it."""
        line = text(text_)
        data = line.encode()
        if not self._every.maybe(data):
            return line
        found: dict[str, str] = {}

        def masked(how: How, value: str) -> str:
            for part in loose(value):
                note(found, part, MASK)
            return MASK

        line = text(self._every.replace(data, masked))
        return traces(found).replace(line) if found else line

    def safe(self, profile: str) -> frozenset[str]:
        """Query parameters, in lower case, whose values spans and log lines may show."""
        return self._safe.get(profile, frozenset())

    def url(self, profile: str, url: str) -> str:
        """A URL for spans and log lines: query values stand only for the profile's safe list."""
        url, hash_, _ = text(url).partition("#")
        head, mark, query = url.partition("?")
        safe = self.safe(profile)
        shown = []
        for field in query.split("&") if query else ():
            name, equals, value = field.partition("=")
            if unquote_plus(name).lower() not in safe:
                shown.append(f"{name}={MASK}" if equals else MASK)
            else:
                shown.append(name + equals + self.line(value))
        return self.line(head) + mark + "&".join(shown) + (hash_ and hash_ + MASK)


class _Record(Documents):
    """The masking of one record: first every field under a sensitive name, then the traces that the
    values found there left elsewhere."""

    def __init__(
        self,
        names: SensitiveNames,
        every: SensitiveNames,
        token: Callable[[str], str] | None,
        decoders: tuple[str, ...],
    ) -> None:
        super().__init__(names, token)
        self.every = every
        self.decoders = decoders
        self.odd_names = False  # secrets may stand in names of its query or headers

    def mask(self, record: CaptureRecord) -> None:
        names = self.names
        request, response, message = record.request, record.response, record.message
        asked = ""  # the names of its query
        lines: list[str] = []  # `sweep.values`
        if request is not None:
            request.query, asked, query = self.pairs(request.query, "query")
            request.headers, _, headers = self.pairs(request.headers, "header")
            if names.path.names:
                request.path = self.path(request.path, record.route)
            lines += [request.path, query, headers]
            if request.body is not None:
                self.body(request.body, request.headers)
        if response is not None:
            response.headers, _, headers = self.pairs(response.headers, "header")
            lines += [response.reason, headers]
            if response.body is not None:
                self.body(response.body, response.headers)
        if message is not None:
            self.body(message.body, ())
        read = "\n".join(lines)
        changed = self.texts(record, read)
        if self.found:
            sweep(
                record, traces(self.found), self.decoders, None if changed else f"{read}\n{asked}"
            )

    # First pass: what stands under a sensitive name.

    def pairs(
        self, pairs: list[Pair], part: Literal["query", "header"]
    ) -> tuple[list[Pair], str, str]:
        """The pairs masked, and their names and values, a line each."""
        places = self.places(pairs, part)
        self.odd_names |= places.odd
        masked = pairs
        if places.at:
            sensitive: Meanings = getattr(self.names, part)
            masked = pairs.copy()
            for i in places.at:
                name, value = pairs[i]
                if name.lower() in _CREDENTIALS:
                    self.credential(name.lower(), value)
                masked[i] = (name, self.secret(sensitive.meaning(name) or "mask", value))
        values = "\n".join([value for _, value in masked])
        if not may_nest(values):
            return masked, places.names, values
        taken = {*places.at, *places.kept}
        nested = [i for i, (_, v) in enumerate(masked) if v[:1] in NESTED and i not in taken]
        if nested and masked is pairs:
            masked = pairs.copy()
        for i in nested:
            masked[i] = (pairs[i][0], self.nested(pairs[i][1]))
        return masked, places.names, "\n".join(values_of(masked))

    def path(self, path: str, route: str) -> str:
        """Segments that the route's template names (`{name}`), or that follow one of the name."""
        steps, template = path.split("/"), route.split("/")
        for i, step in enumerate(steps):
            named = template[i][1:-1] if i < len(template) and template[i][:1] == "{" else ""
            before = unquote(steps[i - 1]) if i else ""
            how = self.names.path.meaning(named) or self.names.path.meaning(before)
            if how not in (None, "keep"):
                steps[i] = self.secret(how, unquote(step))
        return "/".join(steps)

    def body(self, body: Body, headers: Sequence[Pair]) -> None:
        if body.text is None and body.base64 is None:
            return
        claimed = first(headers, "content-type")
        clean = body.text, claimed, self.decoders
        if clean in self.names.clean:
            return
        known = len(self.found)
        opened = bodies.uncompressed(bodies.content(body), self.decoders, BODY_CAP)
        if opened is None:
            return withhold(body)
        data, whole = opened
        body.truncated |= not whole
        if b"%" in data:
            self.encoded(data)
        kind, _ = bodies.parse(data, claimed, self.decoders)
        if kind == "text" and self.decoders:  # the rule's, which the client does not know
            kind, _ = bodies.parse(data, claimed)
        masked: bytes | None
        if kind == "form":
            masked = self.form(data)
        elif kind != "text":
            masked = self.json(data)
        else:
            masked = self.unparsed(data, claimed)
        if masked is None:
            return withhold(body)
        if body.truncated:
            masked = self.names.cut(masked, self.text_secret)
        if masked != data or body.base64 is not None:
            bodies.store(body, masked)
        elif len(self.found) == known and len(data) <= SMALL:
            self.names.remember(clean)

    def unparsed(self, data: bytes, kind: str) -> bytes | None:
        """Text of which only the names are understood; None when it is no text and something
        sensitive may be in it."""
        if is_text(data):
            return self.nested(data.decode()).encode() if data else data
        # UTF-16 is no binary, and none of its names can be found.
        if self.names.reads_bodies or (b"\0" in data and claims_text(kind)):
            return None
        return self.names.replace(data, self.text_secret) if self.names.maybe(data) else data

    def texts(self, record: CaptureRecord, read: str) -> bool:
        """URLs and `name=value` in values whose own name is not sensitive, of which `read` is all.
        Whether there may be any."""
        request, response = record.request, record.response
        for line in read.split("\n") if "%" in read else ():
            if "%" in line:
                self.encoded(line.encode())
        cut = "…\n" in read or read.endswith("…")
        if maybe := cut or self.odd_names or self.names.maybe(read.encode()):
            if request is not None:
                request.path = self.text(request.path)
                request.query = self.pair_texts(request.query, "query")
                request.headers = self.pair_texts(request.headers, "header")
            if response is not None:
                response.reason = short(self.text(response.reason))
                response.headers = self.pair_texts(response.headers, "header")
        if record.detail:
            record.detail = self.text(record.detail, self.every)
        if record.log is not None:
            record.log.message = self.text(record.log.message, self.every)
        return maybe

    def places(self, pairs: list[Pair], part: Literal["query", "header"]) -> Places:
        return self.names.places(part, [name for name, _ in pairs])

    def pair_texts(self, pairs: list[Pair], part: Literal["query", "header"]) -> list[Pair]:
        places = self.places(pairs, part)
        pairs = [p if i in places.kept else (p[0], self.text(p[1])) for i, p in enumerate(pairs)]
        return [(self.text(n), v) for n, v in pairs] if places.odd else pairs

    def text(self, value: str, names: SensitiveNames | None = None) -> str:
        names = names or self.names
        data = value.encode()
        if names.maybe(data):
            data = names.replace(data, self.text_secret)
        if value.endswith("…"):
            data = names.cut(data[: -len(_CUT)], self.text_secret) + _CUT
        return text(data)
