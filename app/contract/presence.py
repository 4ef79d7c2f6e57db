"""A sidecar's words on itself, which come with every request to the app's API in a header.

The store keeps the last of each start beside its boot, so that a report knows when a sidecar was
there, in which mode, and how connections came to it. An app that does not know the header ignores
it.
"""

from typing import Annotated

import msgspec
from msgspec.structs import replace

from app.contract.actions import MODES
from app.contract.record import Count

# Ways by which connections come to a sidecar; "" is that of a sidecar that did not say.
FORMS = ("proxy", "run", "hosts", "loopback", "all")
APP = "app"  # the app's own: requests that reach the mock without a sidecar

UNLED = 1024  # characters
_Word = Annotated[str, msgspec.Meta(max_length=32)]


class Presence(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`form` is one of FORMS, `mode` the sidecar's. `quic_refused` only grows, and counts in the
    sidecar's network namespace. `unled` are HOST:PORT, comma separated, that profiles name since,
    and the redirect does not lead."""

    form: _Word = ""
    mode: _Word = ""
    began_ns: Count = 0
    quic_refused: Count = 0
    unled: Annotated[str, msgspec.Meta(max_length=UNLED)] = ""


_decoder = msgspec.json.Decoder(Presence)


def encode(presence: Presence) -> str:
    """The value of the header."""
    return msgspec.json.encode(presence).decode("ascii")


def decode(value: str) -> Presence:
    """Says nothing if it cannot be read; drops words that no sidecar of this version has."""
    try:
        said = _decoder.decode(value)
    except (ValueError, RecursionError):
        return Presence()
    return replace(
        said,
        form=said.form if said.form in FORMS else "",
        mode=said.mode if said.mode in MODES else "",
    )
