"""app/contract/signing.py: what clients need to find in a certificate, and keys from memory."""

import datetime
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from app.contract import signing
from app.contract.signing import Issuer, Pair, now

DAY = datetime.timedelta(days=1)


def authority() -> Pair:
    return signing.make(signing.own_name(), None, now() - DAY, now() + DAY)


def test_an_authority_signs_itself_and_nothing_but_leafs() -> None:
    made = authority()
    certificate = x509.load_pem_x509_certificate(made.certificate)
    certificate.verify_directly_issued_by(certificate)
    found = certificate.extensions
    constraints = found.get_extension_for_class(x509.BasicConstraints)
    usage = found.get_extension_for_class(x509.KeyUsage)
    assert constraints.critical and usage.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    assert usage.value.key_cert_sign and not usage.value.digital_signature


def test_a_leaf_signs_nothing_and_names_its_issuer() -> None:
    made = authority()
    issuer = x509.load_pem_x509_certificate(made.certificate)
    key = load_pem_private_key(made.key, None)
    leaf = signing.make(
        "a" * 80, Issuer(issuer.subject, key), now() - DAY, now() + DAY, [signing.SERVERS]
    )
    certificate = x509.load_pem_x509_certificate(leaf.certificate)
    certificate.verify_directly_issued_by(issuer)
    found = certificate.extensions
    assert not found.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = found.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_cert_sign
    assert not found.get_extension_for_class(x509.ExtendedKeyUsage).critical


def test_two_authorities_have_two_names() -> None:
    assert signing.own_name() != signing.own_name()


@pytest.mark.parametrize("has_memory_files", [True, False])
def test_a_key_is_loaded_from_memory(
    monkeypatch: pytest.MonkeyPatch, has_memory_files: bool
) -> None:
    if not has_memory_files:
        monkeypatch.delattr("os.memfd_create")
    made = authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    signing.load(context, made.key + made.certificate)
    with pytest.raises(ssl.SSLError):
        signing.load(context, made.certificate)
