"""app/gate/statement.py: what is written can be checked by others, and nothing else passes."""

import base64
import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from app.gate import statement
from app.gate.statement import StatementError, Subject

ABOUT = Subject("app", {"sha256": "a" * 64})


def keys(folder: Path, private: object, name: str = "key") -> tuple[Path, Path]:
    """Files of a private and its public key."""
    pem, pub = folder / f"{name}.pem", folder / f"{name}.pub"
    pem.write_bytes(private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))  # fmt: skip
    pub.write_bytes(private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ))  # fmt: skip
    return pem, pub


KEYS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_signed_statement_is_known_by_its_public_key_alone(tmp_path, kind):
    pem, pub = keys(tmp_path, KEYS[kind]())
    _, other = keys(tmp_path, KEYS[kind](), "other")
    file = tmp_path / "gate.json"
    statement.write(file, [ABOUT], {"verdict": "passed"}, pem)
    found = statement.read(file, pub)
    assert found.key
    assert found.statement.predicate == {"verdict": "passed"}
    with pytest.raises(StatementError, match="this key did not sign it"):
        statement.read(file, other)


@pytest.mark.parametrize("kind", KEYS)
def test_cosign_finds_it_signed_and_about_its_subject(tmp_path, kind):
    if shutil.which("cosign") is None:
        pytest.skip("needs cosign in PATH: make ci-runners installs it, and runs this")
    pem, pub = keys(tmp_path, KEYS[kind]())
    _, stranger = keys(tmp_path, KEYS[kind](), "stranger")
    app, other, file = tmp_path / "app", tmp_path / "other", tmp_path / "gate.json"
    app.write_text("x")
    other.write_text("y")
    statement.write(file, [statement.of_file(app)], {"verdict": "passed"}, pem)

    def verified(key, kind, about):
        command = [
            "cosign", "verify-blob-attestation", "--insecure-ignore-tlog", "--key", str(key),
            "--signature", str(file), "--type", kind, str(about),
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    assert verified(pub, statement.PREDICATE, app)
    assert not verified(stranger, statement.PREDICATE, app)
    assert not verified(pub, "https://other.example/v1", app)
    assert not verified(pub, statement.PREDICATE, other)


PSS = padding.PSS(padding.MGF1(SHA256()), padding.PSS.DIGEST_LENGTH)
BY_OTHERS = {
    "ed25519": (),
    "ecdsa": (ec.ECDSA(SHA256()),),
    "rsa": (padding.PKCS1v15(), SHA256()),
    "rsa, pss": (PSS, SHA256()),
}


@pytest.mark.parametrize("named", ["", "theirs"])
@pytest.mark.parametrize("kind", BY_OTHERS)
def test_another_tools_signature_is_known_however_it_names_the_key(tmp_path, kind, named):
    key = KEYS[kind.partition(",")[0]]()
    _, pub = keys(tmp_path, key)
    file = tmp_path / "gate.json"
    statement.write(file, [ABOUT], {"verdict": "passed"}, None)
    envelope = json.loads(file.read_text())
    payload = base64.b64decode(envelope["payload"])
    type_ = statement.PAYLOAD
    signed = b"DSSEv1 %d %s %d %s" % (len(type_), type_.encode(), len(payload), payload)
    by_other = key.sign(signed, *BY_OTHERS[kind])
    signature = {"keyid": named, "sig": base64.b64encode(by_other).decode()}
    file.write_text(json.dumps(envelope | {"signatures": [signature]}))
    assert statement.read(file, pub).key


def test_it_is_an_in_toto_statement_in_a_dsse_envelope(tmp_path):
    file = tmp_path / "gate.json"
    statement.write(file, [ABOUT], {"verdict": "sent"}, None)
    envelope = json.loads(file.read_text())
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert envelope["signatures"] == []
    assert json.loads(base64.b64decode(envelope["payload"])) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "app", "digest": {"sha256": "a" * 64}}],
        "predicateType": statement.PREDICATE,
        "predicate": {"verdict": "sent"},
    }
    assert stat.S_IMODE(file.stat().st_mode) & 0o600 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_an_unsigned_or_changed_one_is_signed_by_nobody(tmp_path):
    pem, pub = keys(tmp_path, ed25519.Ed25519PrivateKey.generate())
    file = tmp_path / "gate.json"
    statement.write(file, [ABOUT], {"verdict": "sent"}, None)
    assert statement.read(file).key == ""
    with pytest.raises(StatementError, match="nobody signed it"):
        statement.read(file, pub)
    statement.write(file, [ABOUT], {"verdict": "sent"}, pem)
    envelope = json.loads(file.read_text())
    payload = base64.b64decode(envelope["payload"]).replace(b'"sent"', b'"passed"')
    file.write_text(json.dumps(envelope | {"payload": base64.b64encode(payload).decode()}))
    with pytest.raises(StatementError, match="changed since"):
        statement.read(file, pub)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"payload": "e30=", "payloadType": "x", "signatures": []}',
             '{"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": 1}'],
)  # fmt: skip
def test_what_is_no_statement_is_named_with_its_file(tmp_path, text):
    file = tmp_path / "x.json"
    file.write_text(text)
    with pytest.raises(StatementError, match=r"x\.json: no statement of a gate: .+\n\nhint: "):
        statement.read(file)


def test_what_is_no_key_is_named_before_the_command_runs(tmp_path):
    pem, pub = keys(tmp_path, ed25519.Ed25519PrivateKey.generate())
    statement.check_key(pem)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    ))  # fmt: skip
    for file, why in (
        (pub, "no private key in PEM"), (locked, "passphrase"), (tmp_path / "none", "No such file"),
    ):  # fmt: skip
        with pytest.raises(StatementError, match=rf"{file.name}: .*{why}.*\n\nhint: "):
            statement.check_key(file)


def test_a_subject_is_a_file_or_an_images_digest(tmp_path):
    file = tmp_path / "app"
    file.write_bytes(b"x")
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert statement.subject(str(file)) == Subject("app", {"sha256": digest})
    image = f"registry.test/app@sha256:{digest}"
    assert statement.subject(image) == Subject("registry.test/app", {"sha256": digest})
    assert statement.subject(f"sha256:{digest}").name == "image"
    with pytest.raises(StatementError, match=r"subject .*none: No such file"):
        statement.subject(str(tmp_path / "none"))


def test_a_statement_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(StatementError, match="hint: --statement names a file"):
        statement.write(tmp_path / "none" / "gate.json", [ABOUT], {}, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("facts", "passed"),
    [
        ({}, True),
        ({"coverage": {"complete": True, "gaps": []}, "sent": [], "violations": []}, True),
        ({"verdict": "PASSED"}, False),
        ({"verdict": "sent"}, False),
        ({"coverage": {"complete": False}}, False),
        ({"coverage": {"gaps": [{"id": "local"}]}}, False),
        ({"coverage": []}, False),
        ({"sent": [{"to": "t.example"}]}, False),
        ({"violations": [{"kind": "host"}]}, False),
    ],
)
def test_a_verdict_is_nothing_against_the_facts_beside_it(facts, passed):
    assert statement.passed({"verdict": "passed", **facts}) is passed
