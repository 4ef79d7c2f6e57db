import datetime
import ssl

import pytest
from cryptography import x509

from app.cluster import pki
from app.cluster.pki import Unusable
from app.contract.signing import Pair, now

DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> Pair:
    return pki.make_authority()


def test_authority_lives_ten_years_and_signs_nothing_but_leafs(authority: Pair) -> None:
    certificate = x509.load_pem_x509_certificate(authority.certificate)
    assert 3649 <= (certificate.not_valid_after_utc - now()).days <= 3650
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    pki.check_authority(authority)


def test_leaf_lives_ninety_days_for_its_names(authority: Pair) -> None:
    leaf = pki.make_leaf(authority, ["a.b.svc", "10.0.0.1"])
    certificate = x509.load_pem_x509_certificate(leaf.certificate)
    assert 89 <= (certificate.not_valid_after_utc - now()).days <= 90
    assert pki.not_after(leaf.certificate) == certificate.not_valid_after_utc
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.b.svc"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.1"]
    pki.check_pair(leaf)
    pki.check_leaf(leaf, authority, ["10.0.0.1"])


def test_strict_client_accepts_the_chain(authority: Pair) -> None:
    """Python 3.13 checks key usage and key identifiers."""
    leaf = pki.make_leaf(authority, ["a.svc"])
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    from app.cluster.certificates import _context

    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname="a.svc")
    server = _context(leaf).wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() == "TLSv1.3"


def test_long_name_still_makes_a_certificate(authority: Pair) -> None:
    name = f"{'a' * 60}-injector.{'b' * 60}.svc"
    pki.check_leaf(pki.make_leaf(authority, [name]), authority, [name])


@pytest.mark.parametrize(
    ("age", "usable"), [(0 * DAY, True), (59 * DAY, True), (61 * DAY, False), (91 * DAY, False)]
)
def test_leaf_is_used_for_two_thirds_of_its_life(
    authority: Pair, age: datetime.timedelta, usable: bool
) -> None:
    leaf = pki.make_leaf(authority, ["a"], now() - age)
    if usable:
        pki.check_leaf(leaf, authority, ["a"])
    else:
        with pytest.raises(Unusable, match="ends on 20"):
            pki.check_leaf(leaf, authority, ["a"])


def test_leaf_that_does_not_fit(authority: Pair) -> None:
    leaf, other = pki.make_leaf(authority, ["a"]), pki.make_leaf(authority, ["a"])
    for wrong, why in (
        (Pair(b"", b""), "cannot be read"),
        (Pair(leaf.certificate[:200], leaf.key), "cannot be read"),
        (Pair(leaf.certificate, leaf.key[:80]), "no key that can be read"),
        (Pair(leaf.certificate, other.key), "the key of another certificate"),
    ):
        with pytest.raises(Unusable, match=why):
            pki.check_leaf(wrong, authority, ["a"])
    with pytest.raises(Unusable, match="another authority"):
        pki.check_leaf(leaf, pki.make_authority(), ["a"])
    with pytest.raises(Unusable, match="does not name b"):
        pki.check_leaf(leaf, authority, ["a", "b"])


def test_authority_that_does_not_serve(authority: Pair) -> None:
    with pytest.raises(Unusable, match="ends on"):  # before a leaf of today would
        pki.check_authority(pki.make_authority(now() - pki.CA_LIFE + 60 * DAY))
    with pytest.raises(Unusable, match="no authority"):
        pki.check_authority(pki.make_leaf(authority, ["a"]))


def test_what_of_a_bundle_is_still_valid(authority: Pair) -> None:
    old = pki.make_authority(now() - pki.CA_LIFE - DAY)
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    bundle = b"# text\n" + old.certificate + broken + authority.certificate
    assert pki.still_valid(bundle) == [authority.certificate]
    assert pki.still_valid(b"") == pki.still_valid(b"\xff") == []
