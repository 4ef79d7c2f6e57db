"""The last good version of each profile's file, kept across restarts: a file that is refused must
not stop the next start, nor take the others with it. Made by the app (on its volume) and by the
injector (in a ConfigMap, `app.inject.good_profiles`); used by `watch`.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
import zstandard
from pydantic import ValidationError

from app.contract.files import write_whole
from app.contract.rules import Profile
from app.profiles.schema import ProfileFile

_LARGEST = 64 << 20  # bytes of what is kept, decompressed

log = logging.getLogger(__name__)


class GoodProfile(NamedTuple):
    """A profile as compiled, and as it stood in its file."""

    profile: Profile
    written: ProfileFile


Good = Mapping[str, GoodProfile]  # by the file's label


class LastGood(Protocol):
    """Never raises: without it a refused file is skipped, and nothing else changes."""

    def read(self) -> Good: ...

    def write(self, good: Good) -> None: ...


class GoodFile:
    """A file of the app's own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Good:
        try:
            return decoded(self._path.read_bytes())
        except OSError:
            return {}

    def write(self, good: Good) -> None:
        try:
            write_whole(self._path, [encoded(good)])
        except OSError as e:
            log.warning("the last good profiles cannot be kept: %s", e.strerror)


class _Kept(msgspec.Struct):
    profile: Profile
    written: str  # JSON


def encoded(good: Good) -> bytes:
    kept = {
        label: _Kept(one.profile, one.written.model_dump_json(by_alias=True, exclude_unset=True))
        for label, one in good.items()
    }
    return zstandard.compress(msgspec.json.encode(kept))


def decoded(data: bytes) -> Good:
    """Nothing, where another version has written it in another form."""
    try:
        text = zstandard.ZstdDecompressor().decompress(data, max_output_size=_LARGEST)
        return {
            label: GoodProfile(one.profile, ProfileFile.model_validate_json(one.written))
            for label, one in msgspec.json.decode(text, type=dict[str, _Kept]).items()
        }
    except (zstandard.ZstdError, msgspec.MsgspecError, ValidationError):
        return {}
