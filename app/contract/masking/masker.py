"""Masking before the first write: what a profile calls sensitive leaves no trace in a record.

Called by the sidecar's shipper and by the mock with every record, before it is logged, spooled,
stored or sent, and by both halves for operational log lines and span attributes.
"""

import base64
from collections.abc import Callable, Sequence
from typing import Any, Literal
from urllib.parse import quote_plus, unquote, unquote_plus

import msgspec

from app.contract import body as bodies
from app.contract.masking.fields import MASK, SMALL, TOKEN, How, SensitiveNames, tokens
from app.contract.masking.sweep import (
    DEPTH,
    NESTED,
    claims_text,
    hides,
    is_text,
    may_nest,
    scalars,
    sweep,
    swept,
    values_of,
    withhold,
)
from app.contract.masking.traces import chased, contained, loose, traces
from app.contract.record import BODY_CAP, Body, CaptureRecord, Pair, first, short, text
from app.contract.rules import RuleSet, Sensitive

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
            p.id: frozenset(n.lower() for n in p.safe_query) - self._profiles[p.id].query.keys()
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
                _note(found, part, MASK)
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


def _note(found: dict[str, str], value: str, by: str) -> None:
    """Remembers a value to be removed elsewhere."""
    if chased(value):
        found.setdefault(value, by)


class _Record:
    """The masking of one record: first every field under a sensitive name, then the traces that the
    values found there left elsewhere."""

    def __init__(
        self,
        names: SensitiveNames,
        every: SensitiveNames,
        token: Callable[[str], str] | None,
        decoders: tuple[str, ...],
    ) -> None:
        self.names = names
        self.every = every
        self.token = token
        self.decoders = decoders
        self.found: dict[str, str] = {}  # value -> what stands in its place
        self.tokens: set[str] = set()
        self.changed = False  # by `node` and what it calls
        self.masked_before = False  # a token must not become the token of a token

    def mask(self, record: CaptureRecord) -> None:
        names = self.names
        request, response, message = record.request, record.response, record.message
        asked = ""  # the names of its query
        lines: list[str] = []  # `sweep.values`
        if request is not None:
            request.query, asked, query = self.pairs(request.query, "query")
            request.headers, _, headers = self.pairs(request.headers, "header")
            if names.path:
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

    def secret(self, how: How, value: str) -> str:
        """What to put in the place of a value, which is remembered for the second pass."""
        if not value or value == MASK or value in self.tokens:
            return value  # text is looked at again after its fields were
        if self.masked_before and TOKEN.fullmatch(value):
            return value
        by = MASK
        if how == "token" and self.token is not None:
            by = self.token(value)
            self.tokens.add(by)
        _note(self.found, value, by)
        return "" if how == "drop" else by

    def pairs(
        self, pairs: list[Pair], part: Literal["query", "header"]
    ) -> tuple[list[Pair], str, str]:
        """The pairs masked, and their names and values, a line each."""
        places, names = self.names.places(part, [name for name, _ in pairs])
        masked = pairs
        if places:
            sensitive: dict[str, How] = getattr(self.names, part)
            masked = pairs.copy()
            for i in places:
                shown, value = pairs[i]
                name = shown.lower()
                if name in _CREDENTIALS:
                    self.credential(name, value)
                masked[i] = (shown, self.secret(sensitive[name], value))
        values = "\n".join([value for _, value in masked])
        if not may_nest(values):
            return masked, names, values
        nested = [i for i, (_, v) in enumerate(masked) if v[:1] in NESTED and i not in places]
        if nested and masked is pairs:
            masked = pairs.copy()
        for i in nested:
            masked[i] = (pairs[i][0], self.nested(pairs[i][1], 0))
        return masked, names, "\n".join(values_of(masked))

    def credential(self, name: str, value: str) -> None:
        """Remembers what a credential consists of."""
        # Attributes follow the cookie that is set.
        for part in contained(value.partition(";")[0] if name == "set-cookie" else value):
            _note(self.found, part, MASK)

    def path(self, path: str, route: str) -> str:
        """Segments that the route's template names (`{name}`), or that follow one of the name."""
        steps, template = path.split("/"), route.split("/")
        for i, step in enumerate(steps):
            named = template[i][1:-1] if i < len(template) and template[i][:1] == "{" else ""
            before = unquote(steps[i - 1]) if i else ""
            how = self.names.path.get(named.lower()) or self.names.path.get(before.lower())
            if how:
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
        kind, found = bodies.parse(data, claimed, self.decoders)
        masked: bytes | None
        if kind == "form":
            masked = self.form(data)
        elif kind != "text":
            masked = self.documents(data, found)
        else:
            masked = self.unparsed(data, claimed)
        if masked is None:
            return withhold(body)
        if masked != data or body.base64 is not None:
            bodies.store(body, masked)
        elif len(self.found) == known and len(data) <= SMALL:
            self.names.remember(clean)

    def unparsed(self, data: bytes, kind: str) -> bytes | None:
        """Text of which only the names are understood; None when it is no text and something
        sensitive may be in it."""
        if is_text(data):
            return self.nested(data.decode(), 0).encode() if data else data
        # UTF-16 is no binary, and none of its names can be found.
        if self.names.reads_bodies or (b"\0" in data and claims_text(kind)):
            return None
        return self.names.replace(data, self.text_secret) if self.names.maybe(data) else data

    def text_secret(self, how: How, value: str) -> str:
        if value in self.tokens:  # text is looked at again after its fields were
            return value
        for part in loose(value):
            _note(self.found, part, MASK)
        return self.secret(how, value)

    def documents(self, data: bytes, found: list[Any]) -> bytes:
        """JSON, one value a line; the same bytes when there was nothing to mask."""
        if not self.names.maybe(data) and not hides(data):
            return data
        self.changed = False
        masked = [self.node(d, "", 0) for d in found]
        # Of two fields of one name the document has the last: the other is in the text only.
        if self.changed or self.names.replace(data, self.text_secret) != data:
            return b"\n".join(map(msgspec.json.encode, masked))
        return data

    def node(self, node: Any, path: str, depth: int) -> Any:
        if isinstance(node, str):
            return self.nested(node, depth) if node else node
        if not isinstance(node, dict | list):
            return node
        if depth > DEPTH:
            self.changed = True
            return MASK
        if isinstance(node, list):
            return [self.node(n, path, depth + 1) for n in node]
        masked = {}
        for key, value in node.items():
            name = key.lower()
            here = path
            if self.names.paths and not name.isdigit():
                here = f"{path}.{name}" if path else name
            how = self.names.of_field(name, here)
            if how is None:
                masked[key] = self.node(value, here, depth + 1)
            else:
                masked[key] = self.leaf(how, value)
                self.changed |= masked[key] != value
        return masked

    def foreign(self, node: Any, depth: int) -> Any:
        """A document of which nobody knows which part of a message it stands for: pairs may be
        those of a query or headers."""
        if isinstance(node, str):
            return self.nested(node, depth) if node else node
        if depth > DEPTH:
            return MASK if isinstance(node, dict | list) else node
        if isinstance(node, dict):
            return {n: self._named(n, v, depth) for n, v in node.items()}
        if not isinstance(node, list):
            return node
        if len(node) == 2 and isinstance(node[0], str):
            return [node[0], self._named(node[0], node[1], depth)]
        return [self.foreign(n, depth + 1) for n in node]

    def _named(self, name: str, value: Any, depth: int) -> Any:
        how = self.names.meaning(name)
        return self.foreign(value, depth + 1) if how is None else self.leaf(how, value)

    def leaf(self, how: How, value: Any) -> Any:
        if value is None or isinstance(value, str):
            return self.secret(how, value) if value else value
        whole = msgspec.json.encode(value).decode()
        for inner in scalars(value):
            _note(self.found, inner, MASK)
        return self.secret(how, whole)

    def nested(self, value: str, depth: int) -> str:
        """A text value: JSON or base64 JSON in it is read, else names are looked for."""
        if depth <= DEPTH and value[0] in NESTED:
            coded = value[0] in "eW"
            inner = bodies.embedded(value) if coded else bodies.json(value)
            if isinstance(inner, dict | list):
                before, self.changed = self.changed, False
                masked = msgspec.json.encode(self.node(inner, "", depth + 1))
                if self.changed:
                    return base64.b64encode(masked).decode() if coded else masked.decode()
                self.changed = before
                return value
        data = value.encode()
        if self.names.maybe(data):
            masked = self.names.replace(data, self.text_secret)
            if masked != data:
                self.changed = True
                return text(masked)
        return value

    def form(self, data: bytes) -> bytes:
        """Fields whose value changed are written anew, the others stay as they came."""
        fields = data.decode().split("&")
        for i, field in enumerate(fields):
            name, equals, value = field.partition("=")
            plain = unquote_plus(value)
            how = self.names.body.get(unquote_plus(name).lower())
            if equals and plain:
                new = self.secret(how, plain) if how else self.nested(plain, 0)
                if new != plain:
                    fields[i] = f"{name}={quote_plus(new, safe='*')}"
        masked = "&".join(fields).encode()
        # A form in name only, such as cut JSON with a `=` in it.
        return self.names.replace(masked, self.text_secret) if self.names.maybe(masked) else masked

    def texts(self, record: CaptureRecord, read: str) -> bool:
        """URLs and `name=value` in values whose own name is not sensitive, of which `read` is all.
        Whether there may be any."""
        request, response = record.request, record.response
        if maybe := self.names.maybe(read.encode()):
            if request is not None:
                request.path = self.text(request.path)
                request.query = [(n, self.text(v)) for n, v in request.query]
                request.headers = [(n, self.text(v)) for n, v in request.headers]
            if response is not None:
                response.reason = short(self.text(response.reason))
                response.headers = [(n, self.text(v)) for n, v in response.headers]
        if record.detail:
            record.detail = self.text(record.detail, self.every)
        if record.log is not None:
            record.log.message = self.text(record.log.message, self.every)
        return maybe

    def text(self, value: str, names: SensitiveNames | None = None) -> str:
        names = names or self.names
        data = value.encode()
        return text(names.replace(data, self.text_secret)) if names.maybe(data) else value
