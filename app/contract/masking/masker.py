"""Masking before the first write: what a profile calls sensitive leaves no trace in a record.

Called by the sidecar's shipper and by the mock with every record, before it is logged, spooled,
stored or sent, and by both halves for operational log lines and span attributes.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal
from urllib.parse import unquote, unquote_plus

from app.contract import body as bodies
from app.contract.decoding import percent
from app.contract.decoding.pairs import AGENT, agent_with
from app.contract.masking.bodies import Bodies
from app.contract.masking.bounds import Count
from app.contract.masking.fields import MASK, SMALL, Places, SensitiveNames, TracedNames, tokens
from app.contract.masking.naming import named
from app.contract.masking.spelling import Meanings
from app.contract.masking.sweep import (
    may_nest,
    sweep,
    swept,
    withhold,
)
from app.contract.masking.traces import SHORTEST, traces
from app.contract.masking.values import HeldWords, Unreadable
from app.contract.record import (
    BODY_CAP,
    Body,
    CaptureRecord,
    Pair,
    first,
    short,
    text,
)
from app.contract.rules import RuleSet, Sensitive

_CUT = "…".encode()
_RANDOM = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[^/]{16,}")
_CREDENTIALS = ("authorization", "proxy-authorization", "cookie", "set-cookie")


class Masker:
    """Masks records by the sensitive fields of `rules`; `key` makes tokens, without it the value is
    masked instead; `count` is told of bounds that are hit and of what is withheld.

    Values found under a sensitive name are removed wherever else they stand in the record too, raw,
    URL-, base64- or hex-encoded."""

    def __init__(
        self,
        rules: RuleSet,
        key: bytes | None = None,
        key_id: str = "",
        count: Count | None = None,
    ) -> None:
        self._rules = rules
        self._key_id = key_id
        self._profiles = {p.id: SensitiveNames(p.sensitive, count) for p in rules.profiles}
        self._safe = {
            p.id: frozenset(
                n.lower()
                for n in p.safe_query
                if self._profiles[p.id].query.meaning(n) in (None, "keep")
            )
            for p in rules.profiles
        }
        self._common = SensitiveNames(count=count)
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
        if work.said:
            record.masked = work.calls()
            for by in {by for _, by in work.said}:
                names.masked(by)
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
        if not self._every.maybe(line.encode()):
            return line
        work = _Record(self._every, self._every, None, ())
        line = work.value(line)
        return traces(work.found).replace(line) if work.found else line

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


class _Record(Bodies):
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
        self.of = ""  # whose query and headers: "" for the request's
        self.odd_names = False  # secrets may stand in names of its query or headers

    def mask(self, record: CaptureRecord) -> None:
        names = self.names
        request, response, message = record.request, record.response, record.message
        self.numbered = "protobuf" in self.decoders
        asked = ""  # the names of its query and headers
        outlined = request is not None and record.route == request.path
        lines: list[str] = []  # `sweep.values`
        if request is not None:
            request.query, asked, query = self.pairs(request.query, "query")
            request.headers, given, headers = self.pairs(request.headers, "header")
            asked += f"\n{given}"
            said = (request.path, record.route)
            if said not in names.clean:
                request.path = self.path(request.path, record.route)
                if request.path == said[0]:
                    names.remember(said)
            lines += [request.path, query, headers]
            if request.body is not None:
                self.place = ("body", "")
                self.body(request.body, request.headers)
        if response is not None:
            self.of = "response."
            response.headers, _, headers = self.pairs(response.headers, "header")
            lines += [response.reason, headers]
            if response.body is not None:
                self.place = ("response.body", "")
                self.body(response.body, response.headers)
        self.of = ""
        if message is not None:
            self.place = ("message", "")
            self.body(message.body, ())
        read = "\n".join(lines)
        changed = self.texts(record, read)
        if record.canary is not None:  # names of fields may be secrets, too
            told = record.canary.found
            record.canary.found = [(s, short(self.line(field)), how) for s, field, how in told]
        if self.found:
            there = traces(self.found)
            if record.canary is not None:
                told = record.canary.found
                record.canary.found = [(s, short(there.replace(f)), how) for s, f, how in told]
            if not sweep(record, there, None if changed else f"{read}\n{asked}"):
                names.beyond("traces")
            if self.opened:  # a copy may be in what was opened
                again = _Record(TracedNames(there), self.every, None, self.decoders)
                again.values(record)
                again.bodies(record)
        if outlined and request is not None:
            record.route = short(request.path)

    # First pass: what stands under a sensitive name.

    def pairs(
        self, pairs: list[Pair], part: Literal["query", "header"]
    ) -> tuple[list[Pair], str, str]:
        """The pairs masked by their names, and their names and values, a line each."""
        places = self.places(pairs, part)
        self.odd_names |= places.odd
        masked = pairs
        if places.at or places.among:
            sensitive: Meanings = getattr(self.names, part)
            masked = pairs.copy()
            for i in places.at:
                name, value = pairs[i]
                if name.lower() in _CREDENTIALS:
                    self.credential(name.lower(), value)
                self.place = self.of + part, name
                masked[i] = (name, self.secret(sensitive.meaning(name) or "mask", value))
            said = named(places.among, lambda i: pairs[i][1], self.names.meaning)
            for i, how in said.items():
                if i not in places.kept:
                    self.place = self.of + part, pairs[i][0]
                    masked[i] = (pairs[i][0], self.secret(how, pairs[i][1]))
        for i in places.agents if part == "header" else ():
            self.place = self.of + part, AGENT
            if (new := agent_with(masked[i][1], self.agent)) != masked[i][1]:
                masked = masked.copy() if masked is pairs else masked
                masked[i] = (pairs[i][0], new)
        return masked, places.names, "\n".join([value for _, value in masked])

    def agent(self, name: str, value: str) -> str:
        """One pair of a User-Agent."""
        how = self.names.header.meaning(name) or self.names.meaning(name)
        return value if how in (None, "keep") else self.secret(how, value)

    def path(self, path: str, route: str) -> str:
        """Segments that the route's template names (`{name}`), that follow one of the name, or that
        are named by their number, from 1."""
        self.place = ("path", "")
        steps, template = path.split("/"), route.split("/")
        meaning = self.names.path.meaning
        for i, step in enumerate(steps):
            written = template[i][1:-1] if i < len(template) and template[i][:1] == "{" else ""
            before = unquote(steps[i - 1]) if i else ""
            how = meaning(written) or meaning(before) or meaning(str(i))
            if how is None and _RANDOM.fullmatch(step):  # no verb, as in /token/refresh
                how = self.names.meaning(before)
            if how not in (None, "keep"):
                steps[i] = self.secret(how, unquote(step))
        return "/".join(steps)

    def body(self, body: Body, headers: Sequence[Pair]) -> None:
        self._body(body, headers)
        if body.withheld:
            self.names.withheld(body.withheld)

    def _body(self, body: Body, headers: Sequence[Pair]) -> None:
        if body.text is None and body.base64 is None:
            return
        claimed = first(headers, "content-type")
        clean = _known(body.text), body.truncated, claimed, self.decoders
        if clean in self.names.clean:
            return
        known = len(self.found)
        opened = bodies.uncompressed(bodies.content(body), self.decoders, BODY_CAP)
        if opened is None:
            return withhold(body, "unmaskable")
        data, whole = opened
        body.truncated |= not whole
        if b"%" in data:
            self.encoded(data)
        try:
            masked = self.whole(data, claimed, body.truncated)
        except Unreadable as unread:
            return withhold(body, unread.reason)
        if body.truncated:
            masked = self.names.cut(masked, self.text_secret)
        if masked != data or body.base64 is not None:
            bodies.store(body, masked)
        elif len(self.found) == known:
            self.names.remember(clean)

    def calls(self) -> list[Pair]:
        """Lists the fields that were masked, and what called for it."""
        named = not self.odd_names
        return [
            (short(f"{part}.{name.lower()}" if name and named else part), short(by or "value"))
            for (part, name), by in self.said
        ]

    def texts(self, record: CaptureRecord, read: str) -> bool:
        """Masks what values carry whose own name is not sensitive, of which `read` is all. True if
        there may be anything."""
        for line in read.split("\n") if "%" in read else ():
            if "%" in line:
                self.encoded(line.encode())
        cut = "…\n" in read or "…/" in read or read.endswith("…")
        if maybe := cut or self.odd_names or may_nest(read) or self.names.maybe(read.encode()):
            self.values(record)
        if record.detail:
            record.detail = self.line(record.detail)
        if record.log is not None:
            record.log.message = self.line(record.log.message)
        return maybe

    def line(self, value: str) -> str:
        """A text of which nobody knows the profile."""
        work = _Record(self.every, self.every, None, ())
        work.found, work.tokens, work.said = self.found, self.tokens, self.said
        return work.value(value)

    def values(self, record: CaptureRecord) -> None:
        """All texts of the request and the answer, but for their bodies."""
        request, response = record.request, record.response
        if request is not None:
            held = HeldWords()
            self.place = ("path", "")
            steps = [held.hold(step, self.step(step)) for step in request.path.split("/")]
            request.path = held.release(self.text("/".join(steps)))
            request.query = self.pair_texts(request.query, "query")
            request.headers = self.pair_texts(request.headers, "header")
        if response is not None:
            self.of, self.place = "response.", ("response.reason", "")
            response.reason = short(self.value(response.reason))
            response.headers = self.pair_texts(response.headers, "header")
            self.of = ""

    def step(self, step: str) -> str:
        """A segment of a path."""
        if len(step) < SHORTEST:
            return step
        raw = step.encode("utf-8", "surrogatepass")
        undone = percent.undo(raw, BODY_CAP)
        if undone is None:
            return self.value(step)
        new = self.enclosed(undone, 0, step.endswith("…"))
        return step if new == undone else percent.redo(new, raw).decode()

    def value(self, value: str) -> str:
        cut = value.endswith("…")
        whole = value[:-1] if cut else value
        return self.nested(whole, 0, cut) + value[len(whole) :] if whole else value

    def bodies(self, record: CaptureRecord) -> None:
        for part in (record.request, record.response, record.message):
            if part is not None and part.body is not None:
                self.body(part.body, getattr(part, "headers", ()))

    def places(self, pairs: list[Pair], part: Literal["query", "header"]) -> Places:
        return self.names.places(part, [name for name, _ in pairs])

    def pair_texts(self, pairs: list[Pair], part: Literal["query", "header"]) -> list[Pair]:
        places = self.places(pairs, part)
        part_ = self.of + part
        read = []
        for i, (name, value) in enumerate(pairs):
            self.place = part_, name
            read.append((name, value if i in places.kept else self.value(value)))
        pairs = read
        return [(n and self.value(n), v) for n, v in pairs] if places.odd else pairs

    def text(self, value: str) -> str:
        data = value.encode()
        if self.names.maybe(data):
            data = self.names.replace(data, self.text_secret)
        if value.endswith("…"):
            data = self.names.cut(data[: -len(_CUT)], self.text_secret) + _CUT
        return text(data)


def _known(text: str | None) -> object:
    """The key by which a clean body is remembered: for a large one, such as an answer that is given
    again and again, its hash, which nobody outside this process can foresee."""
    return text if text is None or len(text) <= SMALL else (hash(text), len(text))
