"""The statement of a gate: an in-toto Statement in a DSSE envelope, signed where a key is given.

Written by `telemock run --statement`, checked by `telemock statement verify`, and by any tool that
reads DSSE. securesystemslib makes and checks envelopes and signatures; it is loaded only here.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from app.contract.files import write_whole

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

STATEMENT = "https://in-toto.io/Statement/v1"
PAYLOAD = "application/vnd.in-toto+json"
PREDICATE = "https://telemock.io/gate/v1"  # a name; docs/concepts/gate.md says what it holds
_RSA = "rsa-pkcs1v15-sha256"  # the one that cosign checks, too
_MOST = 16 << 20  # bytes of a statement, or a key
_DIGEST = re.compile(r"(?:(?P<name>[^\s@]+)@)?sha256:(?P<hex>[0-9a-f]{64})")


class StatementError(Exception):
    """The text is a sentence with a hint."""


class Subject(msgspec.Struct, frozen=True):
    name: str
    digest: dict[str, str]


class GateStatement(msgspec.Struct, rename={"type": "_type", "predicate_type": "predicateType"}):
    type: str
    subject: list[Subject]
    predicate_type: str
    predicate: dict[str, Any]


class Read(msgspec.Struct):
    """A statement that was read; `key` is the id of the key that signed it, "" if not checked."""

    statement: GateStatement
    key: str
    signatures: int


def subject(text: str) -> Subject:
    """Of a file, or of `NAME@sha256:…` as images have it. Raises StatementError."""
    if found := _DIGEST.fullmatch(text):
        return Subject(found["name"] or "image", {"sha256": found["hex"]})
    return of_file(Path(text))


def of_file(path: Path) -> Subject:
    """Raises StatementError."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as e:
        raise StatementError(
            f"subject {path}: {e.strerror}\n\nhint: --subject takes a file, or NAME@sha256:DIGEST"
        ) from None
    return Subject(path.name, {"sha256": digest})


def write(
    path: Path, subjects: Sequence[Subject], predicate: Mapping[str, Any], key: Path | None
) -> None:
    """Writes the envelope whole or not at all. Raises StatementError."""
    made = GateStatement(STATEMENT, list(subjects), PREDICATE, dict(predicate))
    envelope = _envelope(msgspec.json.encode(made), key)
    data = msgspec.json.format(msgspec.json.encode(envelope.to_dict()), indent=2) + b"\n"
    try:
        write_whole(path, [data], 0o644, sync=True)
    except OSError as e:
        raise StatementError(
            f"{path}: {e.strerror}\n\nhint: --statement names a file that can be written"
        ) from None


def check_key(path: Path) -> None:
    """Raises StatementError if it is no key to sign with: to know it before a command runs."""
    _signer(path)


def _envelope(payload: bytes, key: Path | None) -> "Envelope":
    from securesystemslib.dsse import Envelope

    envelope = Envelope(payload, PAYLOAD, {})
    if key is not None:
        envelope.sign(_signer(key))
    return envelope


def _signer(path: Path) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

    try:
        private = load_pem_private_key(_bytes(path), None)
        return CryptoSigner(private, _keys(private.public_key())[0])
    except TypeError:
        why = "it needs a passphrase, which nobody can be asked for"
    except (ValueError, UnsupportedAlgorithm):
        why = "it is no private key in PEM"
    raise StatementError(
        f"key {path}: {why}\n\nhint: openssl genpkey -algorithm ed25519 -out key.pem makes one"
    )


def read(path: Path, key: Path | None = None) -> Read:
    """Reads a statement; with a public key, one that it signed. Raises StatementError."""
    from securesystemslib.dsse import Envelope

    try:
        envelope = Envelope.from_dict(msgspec.json.decode(_bytes(path), type=dict[str, Any]))
        if envelope.payload_type != PAYLOAD:
            raise ValueError(f"its payload is {envelope.payload_type!r}")
        found = msgspec.json.decode(envelope.payload, type=GateStatement)
        if (found.type, found.predicate_type) != (STATEMENT, PREDICATE):
            raise ValueError(f"it states {found.predicate_type!r}")
    except Exception as e:  # of a file that may hold anything
        if isinstance(e, StatementError):
            raise
        raise StatementError(
            f"{path}: no statement of a gate: {e}\n\nhint: telemock run --statement writes one"
        ) from None
    signed_by = _signed_by(envelope, key, path) if key is not None else ""
    return Read(found, signed_by, len(envelope.signatures))


def passed(predicate: Mapping[str, Any]) -> bool:
    """True of a gate that passed by its verdict, with no fact beside it that says otherwise."""
    coverage = predicate.get("coverage", {})
    return (
        predicate.get("verdict") == "passed"
        and isinstance(coverage, Mapping)
        and coverage.get("complete", True) is True
        and not any((coverage.get("gaps"), predicate.get("sent"), predicate.get("violations")))
    )


def _signed_by(envelope: "Envelope", path: Path, of: Path) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.exceptions import UnverifiedSignatureError

    try:
        keys = _keys(load_pem_public_key(_bytes(path)))
    except (ValueError, UnsupportedAlgorithm):
        raise StatementError(
            f"key {path}: it is no public key in PEM\n\n"
            "hint: openssl pkey -in key.pem -pubout -out key.pub writes that of a private key"
        ) from None
    if not envelope.signatures:
        raise StatementError(f"{of}: nobody signed it\n\nhint: telemock run --key signs it")
    for signature, key in product(envelope.signatures.values(), keys):
        signature.keyid = key.keyid  # other tools name keys in other ways
        try:
            key.verify_signature(signature, envelope.pae())
        except UnverifiedSignatureError:
            continue
        return key.keyid
    raise StatementError(
        f"{of}: this key did not sign it, or it was changed since\n\n"
        "hint: --key takes the public key of the one that signed"
    )


def _keys(public: Any) -> "list[SSlibKey]":
    """The key in each scheme that others sign with, ours first. Raises ValueError."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

    schemes = (_RSA, None) if isinstance(public, RSAPublicKey) else (None,)
    return [SSlibKey.from_crypto(public, scheme=scheme) for scheme in schemes]


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
    except OSError as e:
        raise StatementError(
            f"{path}: {e.strerror}\n\nhint: name a file that can be read"
        ) from None
    if len(data) > _MOST:
        raise StatementError(f"{path}: larger than {_MOST >> 20} MiB\n\nhint: name another file")
    return data
