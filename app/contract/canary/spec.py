"""The values that are looked for: given to one sidecar for one run, and kept in no record."""

import re
from pathlib import Path

import msgspec

_LETTER, _DIGIT = re.compile("[A-Za-z]"), re.compile("[0-9]")
# Bits, at 4.7 a letter and 3.3 a digit; of a lone word, which may be one of a language, at half of
# that a letter. What has less is found by its digests alone.
ENOUGH = 37


class Canary(msgspec.Struct, frozen=True, omit_defaults=True):
    """One source, such as the host name. `values` are its spellings, the first as it is. `core` is
    the part of a planted value that no other text has; "" for a real one."""

    source: str
    values: tuple[str, ...]
    core: str = ""

    @property
    def literals(self) -> tuple[str, ...]:
        """Its texts that cannot stand anywhere by chance."""
        if self.core:
            return (self.core,)
        return tuple(v for v in self.values if _bits(v) >= ENOUGH)


def _bits(value: str) -> float:
    letter = 2.35 if value.isalpha() else 4.7
    return letter * len(_LETTER.findall(value)) + 3.3 * len(_DIGIT.findall(value))


class Spec(msgspec.Struct, frozen=True, omit_defaults=True):
    """All values of one run, and words that may be the salt or the key of a digest. `places` are
    directories, and their names for people, whose new files tell more of both."""

    canaries: tuple[Canary, ...] = ()
    salts: tuple[str, ...] = ()
    places: dict[str, str] = {}


_decoder = msgspec.json.Decoder(Spec)


def load(path: Path) -> Spec:
    """Raises OSError, and ValueError (which msgspec's is) for a file of another form."""
    return _decoder.decode(path.read_bytes())
