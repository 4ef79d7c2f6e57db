"""The line with which `telemock run` begins a connection to its sidecar: where the connection was
going, and which process made it.

Written by `app.run.interception` on the command's own socket before the command can write, so that
nothing has to be looked up; read by `addon.arrive.prefaces`.
"""

import msgspec

from app.contract.record import Endpoint, Program

_SIZE = 2  # bytes of the length in front
MOST = 2048  # bytes in all


class Preface(msgspec.Struct, frozen=True):
    to: Endpoint
    of: Program


_decoder = msgspec.json.Decoder(Preface)


def encode(preface: Preface) -> bytes:
    line = msgspec.json.encode(preface)
    return len(line).to_bytes(_SIZE) + line


def decode(data: bytes) -> tuple[Preface, int] | None:
    """The preface that these bytes begin with, and its length; None if they begin otherwise."""
    end = _SIZE + int.from_bytes(data[:_SIZE])
    if not _SIZE < end <= min(len(data), MOST):
        return None
    try:
        return _decoder.decode(data[_SIZE:end]), end
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
