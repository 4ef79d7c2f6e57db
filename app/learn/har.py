"""Reads a HAR of any program as records, for drafts of profiles.

A HAR is hostile: nothing that it names is read or run, each size is bounded, and an error names the
file, the entry, the value and the remedy. Its bodies are as the browser decoded them.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from app.contract.record import (
    CaptureRecord,
)
from app.learn.har_entry import BadHar, records, told, twice
from app.profiles.problems import ProfileError, ProfileProblem, shown

FILE_CAP = 64 << 20  # bytes of a HAR
ENTRIES = 20_000
_KINDS = 20  # of what an export left out, and letters of one
# Escapes; first those that are no half of a character. Chrome cuts texts between two halves.
_ESCAPED = re.compile(
    rb"\\[^u]|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})", re.DOTALL
)
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_SMALLER = "export less: fewer entries, or without the bodies of answers"


_Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]


class _Log(msgspec.Struct):
    entries: list[msgspec.Raw]
    # Records of telemock's own export that are no entries, by kind.
    left_out: dict[str, _Count] = msgspec.field(default={}, name="_left_out")


class _Har(msgspec.Struct):
    log: _Log


class _Name(str):
    """A name in an object of which each is seen, also the one that a later one replaces."""


class Har(NamedTuple):
    """`left_out` counts what became no record, or not a whole one, by reason."""

    records: list[CaptureRecord]
    left_out: Counter[str]


def read(path: Path, wanted: Callable[[CaptureRecord], bool] = lambda _: True) -> Har:
    """The requests of a HAR in their order, as far as they are `wanted`. Raises ProfileError."""
    label = str(path)
    try:
        data = _bytes(path)
        log = _log(data)
    except BadHar as e:
        raise _error(label, "", e) from None
    boot = hashlib.sha256(data).hexdigest()[:32]
    found = Har([], Counter())
    for kind, count in [*log.left_out.items()][:_KINDS]:
        found.left_out[f"no request: records of kind {kind[:_KINDS]}"] = count
    for number, raw in enumerate(log.entries):
        try:
            of_entry = [*records(bytes(raw), boot, number, found.left_out)]
        except BadHar as e:
            raise _error(label, f"log.entries[{number}]", e) from None
        if of_entry and wanted(of_entry[0]):  # messages come with what opened them
            found.records.extend(of_entry)
    return found


def _error(label: str, entry: str, wrong: BadHar) -> ProfileError:
    where = ".".join(filter(None, (entry, wrong.where))).replace(".[", "[")
    problem = ProfileProblem(label, where, shown(wrong.value), wrong.message, wrong.hint)
    return ProfileError([problem])


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size or FILE_CAP  # a pipe has none
            data = file.read(min(size, FILE_CAP) + 1)
    except OSError as e:
        hint = "check that the file exists and that this user may read it"
        raise BadHar("", "", f"cannot be read: {(e.strerror or str(e)).lower()}", hint) from None
    if len(data) > FILE_CAP:
        raise BadHar("", len(data), f"is larger than {FILE_CAP >> 20} MiB", _SMALLER)
    if data[:2] in (b"\x1f\x8b", b"PK"):
        raise BadHar("", data[:2], "is compressed", "unpack it first")
    data = data.removeprefix(b"\xef\xbb\xbf")
    return _ESCAPED.sub(_whole, data) if _HALF.search(data) else data


def _whole(escape: re.Match[bytes]) -> bytes:
    return escape[0] if escape[1] is None else b"\\ufffd"


def _log(data: bytes) -> _Log:
    try:
        log = msgspec.json.decode(data, type=_Har).log
        _names_once(_names_once(data, "")["log"], "log")
    except msgspec.ValidationError as e:
        where, message = told(e)
        hint = "a HAR is an object with log.entries, as a browser's network view exports it"
        raise BadHar(where, "", message, hint) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as e:
        at = int(found[1]) if (found := re.search(r"\(byte (\d+)\)", str(e))) else 0
        near = data[max(0, at - 10) : at + 20]
        message = f"is not valid JSON: {str(e).removeprefix('JSON is malformed: ')}"
        message += f", near {shown(near.decode('utf-8', 'replace'))}" if near else ""
        raise BadHar("", near, message, "export it again, as HAR 1.2 in UTF-8") from None
    if (number := len(log.entries)) > ENTRIES:
        message = f"holds {number:,} entries, the limit is {ENTRIES:,}"
        raise BadHar("log.entries", number, message, _SMALLER)
    return log


def _names_once(data: bytes | msgspec.Raw, where: str) -> dict[str, msgspec.Raw]:
    seen: list[str] = []

    def hook(_: type, name: str) -> _Name:
        seen.append(name)
        return _Name(name)

    found = msgspec.json.decode(data, type=dict[_Name, msgspec.Raw], dec_hook=hook)
    if len(found) < len(seen):
        raise twice(where, Counter(seen))
    return {str(name): value for name, value in found.items()}
