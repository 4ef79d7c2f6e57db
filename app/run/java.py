"""A trust store for Java, which takes no PEM file: the system's certificates, the user's own, ours.

`app.run.perform` asks for the variable that every JVM reads.
"""

import re
import shlex
import subprocess
import warnings
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12

from app import trust
from app.contract import names
from app.contract.files import write_whole

# Java's own word: it hides nothing, and a store without one is not read.
_PASSWORD = "changeit"  # noqa: S105
_STORE = "-Djavax.net.ssl.trustStore"
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_KEYTOOL_SECONDS = 20


def options(environ: Mapping[str, str], ca: Path) -> tuple[dict[str, str], list[str]]:
    """Makes the variable, after the user's own options, and messages on a store that these name.

    Raises OSError when the store cannot be written.
    """
    given = environ.get(trust.JAVA, "")
    theirs, told = b"", []
    if named := _value(given, _STORE):
        theirs = _listed(named, _value(given, f"{_STORE}Password"))
        found = "a copy with ours added" if theirs else "ours, since keytool does not read it"
        told.append(f"{trust.JAVA} named the trust store {named}: this command gets {found}")
    store = (ca / names.FILE_JAVA).absolute()
    write_whole(store, [_store((ca / names.FILE_BUNDLE).read_bytes() + theirs)])
    ours = {_STORE: str(store), f"{_STORE}Password": _PASSWORD, f"{_STORE}Type": "PKCS12"}
    added = [f"{name}={value}" for name, value in ours.items()]  # of two, a JVM takes the last
    return {trust.JAVA: " ".join([*filter(None, [given]), *map(_quoted, added)])}, told


def _quoted(option: str) -> str:
    return f'"{option}"' if " " in option else option


def _value(options: str, name: str) -> str:
    try:
        words = shlex.split(options)
    except ValueError:
        words = options.split()
    found = [word.partition("=")[2] for word in words if word.startswith(f"{name}=")]
    return found[-1] if found else ""


def _listed(store: str, password: str) -> bytes:
    """The certificates in a store of any of Java's types as PEM, b"" if they cannot be read."""
    command = ["keytool", "-list", "-rfc", "-keystore", store, "-storepass", password or _PASSWORD]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, timeout=_KEYTOOL_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return b""
    return done.stdout


def _store(pem: bytes) -> bytes:
    found = []
    for text in dict.fromkeys(_PEM.findall(pem)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old authorities have odd serial numbers
            try:
                certificate = x509.load_pem_x509_certificate(text)
            except ValueError:  # one that Java would not read either
                continue
        name = certificate.fingerprint(hashes.SHA256()).hex().encode()
        found.append(pkcs12.PKCS12Certificate(certificate, name))
    # What Java 8 reads, too.
    how = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(2048)
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())  # noqa: S303
        .build(_PASSWORD.encode())
    )
    return pkcs12.serialize_java_truststore(found, how)
