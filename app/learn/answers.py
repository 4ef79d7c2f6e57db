"""Finds the answer of a drafted rule: the one that was observed, in the draft or in a file beside
it, else one that its client should take.

Called by `app.learn.draft`. An answer is a vendor's: what it tells of somebody is not kept, and its
size is bounded.
"""

import hashlib
import mimetypes
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from app.contract import body as bodies
from app.contract.masking.fields import MASK
from app.contract.record import REASONS, Body, Response, first
from app.contract.route_template import TELLING, varies
from app.learn.fields import Look
from app.profiles.read import FILE_CAP

ANSWER_CAP = 4_096  # characters of an observed answer's body that stand in the draft itself
_KEPT_HEADERS = ("content-type", "location", "grpc-status")
_PRINTABLE = re.compile(r"[\t\x20-\x7e]{1,1000}")
_WORD = re.compile(r"[A-Za-z0-9+=_.~@%-]{6,}")
_LONG = 16  # characters of an id
_SURE = 8  # characters that are hardly a picture's by chance
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
NO_UUID = str(UUID(int=0))  # in place of one, for clients that read it as such
SWITCHED = 101  # the status of a WebSocket that was accepted


class DraftAnswer(NamedTuple):
    """An answer. `how` says in words where it is from, `beside` is the body where it belongs in a
    file; a `websocket` has a `body`, its first message, and no more."""

    status: int
    headers: dict[str, str]
    body: str
    how: str
    beside: bytes = b""
    websocket: bool = False

    def file(self, id: str) -> str:
        """The name of the file: another one for other bytes, so that none is replaced."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return f"{id}.{hashlib.sha256(self.beside).hexdigest()[:8]}{_ending(kind)}"


def _ending(kind: str) -> str:
    return mimetypes.guess_extension(kind) or ".bin"


class _Said(NamedTuple):
    """A response as a profile can hold it. `digest` stands for a body that belongs in a file,
    `lacks` says why there is none."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str = ""
    digest: str = ""
    lacks: str = ""


def reply(looks: Sequence[Look], room: int | None = None) -> DraftAnswer:
    """The answer that was given most often, else a plausible one. `room` are the bytes that a file
    may have, None where none is written."""
    given = [
        one.record.response
        for one in looks
        if one.record.response is not None and one.record.answered_by == "upstream"
    ]
    good = [response for response in given if 200 <= response.status < 400]
    said = [_said(response) for response in good]
    if said:
        (chosen, count), *_ = Counter(said).most_common(1)
        how = f"the answer is the one that was observed ({count} of {len(good)} were the same)"
        if chosen.digest:
            body = good[said.index(chosen)].body or Body()
            return _beside(chosen, body, looks[-1], how, room)
        if chosen.lacks:
            how = f"its answers were observed, but not their bodies: {chosen.lacks}"
            return _of_kind(chosen, looks[-1], how)
        how += _hidden(chosen.body)
        return DraftAnswer(chosen.status, dict(chosen.headers), chosen.body, how)
    if given:
        codes = ", ".join(str(status) for status in sorted({r.status for r in given}))
        return _plausible(looks[-1], f"it was answered with {codes}; the answer here is plausible")
    return _plausible(looks[-1], "no answer was observed; this one is plausible")


def accepted(greetings: Sequence[str]) -> DraftAnswer:
    """A WebSocket's: what the host said first, most often."""
    said = Counter(_WORD.sub(_told, text) for text in greetings if len(text) <= ANSWER_CAP)
    body = said.most_common(1)[0][0] if said else ""
    how = "it opens a WebSocket, and the host spoke first" if body else "it opens a WebSocket"
    return DraftAnswer(SWITCHED, {}, body, how + _hidden(body), websocket=True)


def _hidden(body: str) -> str:
    return "; it holds masked values" if MASK in body or NO_UUID in body else ""


def _beside(said: _Said, body: Body, last: Look, how: str, room: int | None) -> DraftAnswer:
    kept = bodies.content(body)
    if room is not None and len(kept) <= min(FILE_CAP, room):
        data = _without_persons(body, kept)
        how += ", in a file beside" + ("; it holds masked values" if data != kept else "")
        return DraftAnswer(said.status, dict(said.headers), "", how, data)
    limit = f"over {ANSWER_CAP:,} characters, or no text, which -o writes into files beside it"
    if room is not None or len(kept) > FILE_CAP:
        limit = f"{len(kept):,} bytes, which are more than the files may hold"
    return _of_kind(said, last, f"its answers were observed, but not their bodies: {limit}")


def _without_persons(body: Body, kept: bytes) -> bytes:
    if body.text is None:  # bytes keep their places
        return _WORD.sub(_told_as_long, kept.decode("latin-1")).encode("latin-1")
    return _WORD.sub(_told, body.text).encode("utf-8", "surrogatepass")


def _of_kind(said: _Said, last: Look, how: str) -> DraftAnswer:
    """Without the body that was observed, but with its status and type."""
    how += "; this one is plausible"
    kind = dict(said.headers).get("content-type", "")
    if not kind:
        return _plausible(last, how)._replace(status=said.status)
    return DraftAnswer(said.status, dict(said.headers), "{}" if "json" in kind else "", how)


def _said(response: Response) -> _Said:
    named = ((name, first(response.headers, name)) for name in _KEPT_HEADERS)
    headers = tuple(
        (n, _WORD.sub(_told, value)) for n, value in named if _PRINTABLE.fullmatch(value)
    )
    said = _Said(response.status, headers)
    body = response.body
    if body is None or not body.size or response.status in (204, 304):
        return said
    if body.truncated or body.withheld or (body.text is None and body.base64 is None):
        return said._replace(
            lacks="cut" if body.truncated else REASONS.get(body.withheld, "withheld")
        )
    if body.text is not None and len(body.text) <= ANSWER_CAP:
        return said._replace(body=_WORD.sub(_told, body.text))
    return said._replace(digest=hashlib.sha256(bodies.content(body)).hexdigest())


def _told(word: re.Match[str]) -> str:
    """A word of an answer that a draft keeps: of an id that is long, or an address, nothing. Many
    are secrets that no detector knows. Numbers stay, which JSON would lack."""
    kind, long = varies(word[0]), len(word[0]) >= _LONG and not _NUMBER.fullmatch(word[0])
    if _UUID.fullmatch(word[0]):
        return NO_UUID
    return MASK if kind in TELLING or (kind == "id" and long) else word[0]


def _told_as_long(word: re.Match[str]) -> str:
    if len(word[0]) < _SURE:
        return word[0]
    told = _told(word)
    return told if len(told) == len(word[0]) else "*" * len(word[0])


def _plausible(one: Look, how: str) -> DraftAnswer:
    """By the type that the client accepts, else that of what it sent."""
    accepted = first(one.request.headers, "accept").lower()
    sent = first(one.request.headers, "content-type").partition(";")[0].strip().lower()
    if one.request.method == "HEAD":
        return DraftAnswer(200, {}, "", how)
    if "protobuf" in sent or "grpc" in sent:
        return DraftAnswer(200, {"content-type": sent}, "", how)
    if accepted.startswith("image/"):
        return DraftAnswer(204, {}, "", how)
    if accepted.startswith("text/"):
        kind = accepted.partition(",")[0].partition(";")[0]
        return DraftAnswer(
            200, {"content-type": kind} if _PRINTABLE.fullmatch(kind) else {}, "", how
        )
    if "json" in accepted or accepted in ("", "*/*") or "json" in sent:
        return DraftAnswer(200, {"content-type": "application/json"}, "{}", how)
    return DraftAnswer(200, {}, "", how)
