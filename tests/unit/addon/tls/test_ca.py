"""addon/tls/ca.py: one authority a directory, whoever makes it, and files others can read."""

import multiprocessing
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from mitmproxy.certs import CertStore

from addon.tls import ca
from addon.tls.constraints import constraints, of_certificate


def test_makes_the_files_once(tmp_path: Path) -> None:
    public = ca.ensure(tmp_path / "ca")
    first = {p.name: p.read_bytes() for p in (tmp_path / "ca").iterdir()}
    assert set(first) == {"mitmproxy-ca.pem", "ca.pem", "bundle.pem"}
    assert ca.ensure(tmp_path / "ca") == public
    assert {p.name: p.read_bytes() for p in (tmp_path / "ca").iterdir()} == first
    key = tmp_path / "ca" / ca.FILE_CA_KEY
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert b"PRIVATE KEY" not in public.read_bytes()
    assert b"PRIVATE KEY" not in first["bundle.pem"]


def test_a_key_that_was_left_open_is_closed_and_what_clients_need_is_not(tmp_path: Path) -> None:
    public, key = ca.ensure(tmp_path / "ca"), tmp_path / "ca" / ca.FILE_CA_KEY
    (tmp_path / "ca").chmod(0o755)
    key.chmod(0o644)
    ca.ensure(tmp_path / "ca")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (key, public, tmp_path / "ca")]
    assert modes == [0o600, 0o644, 0o755]


def test_the_public_half_may_lie_elsewhere(tmp_path: Path) -> None:
    public = ca.ensure(tmp_path / "ca", tmp_path / "trust")
    assert public == tmp_path / "trust" / "ca.pem"
    assert {p.name for p in (tmp_path / "ca").iterdir()} == {"mitmproxy-ca.pem"}
    assert {p.name for p in (tmp_path / "trust").iterdir()} == {"ca.pem", "bundle.pem"}
    (tmp_path / "trust" / "ca.pem").unlink()
    assert ca.ensure(tmp_path / "ca", tmp_path / "trust").read_bytes() == public.read_bytes()


def test_it_was_born_when_the_key_was_made(tmp_path: Path) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    ca.ensure(tmp_path)
    born = ca.born(tmp_path)
    assert before <= born <= datetime.now(UTC) + timedelta(seconds=1)
    ca.ensure(tmp_path)
    assert ca.born(tmp_path) == born


def test_the_authority_is_a_p256_key_that_may_sign_servers(tmp_path: Path) -> None:
    public = ca.ensure(tmp_path)
    key = load_pem_private_key((tmp_path / ca.FILE_CA_KEY).read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(key.curve, ec.SECP256R1)
    certificate = x509.load_pem_x509_certificate(public.read_bytes())
    assert certificate.public_key() == key.public_key()
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical and constraints.value.ca


def test_mitmproxy_reads_it_and_makes_none_of_its_own(tmp_path: Path) -> None:
    public = ca.ensure(tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir())
    store = CertStore.from_store(tmp_path, "mitmproxy", 2048)
    assert store.default_ca.to_pem() == public.read_bytes()
    assert [n for n in before if not (tmp_path / n).exists()] == []
    leaf = store.get_cert("cdn.cribl.io", [x509.DNSName("cdn.cribl.io")]).cert
    assert leaf.altnames[0].value == "cdn.cribl.io"


def test_bundle_is_the_systems_list_and_ours(tmp_path: Path) -> None:
    public = ca.ensure(tmp_path)
    trusted = ssl.create_default_context(cafile=str(tmp_path / "bundle.pem")).get_ca_certs()
    system = ssl.create_default_context(cadata=ca.system_list().decode()).get_ca_certs()
    assert len(trusted) == len(system) + 1
    assert public.read_bytes() in (tmp_path / "bundle.pem").read_bytes()


def test_real_hosts_are_checked_against_the_system_and_the_extra_file(tmp_path: Path) -> None:
    extra = tmp_path / "extra.pem"
    trustme.CA().cert_pem.write_to_path(str(extra))
    ours = ca.ensure(tmp_path / "ca").read_bytes()
    content = ca.upstream_list(tmp_path / "ca", extra).read_bytes()
    assert content == ca.system_list() + extra.read_bytes()
    assert ours not in content
    assert ca.upstream_list(tmp_path / "ca", None).read_bytes() == ca.system_list()


def test_parallel_starts_end_with_one_authority(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.map(ca.ensure, [tmp_path / "ca"] * 12)
    key = (tmp_path / "ca" / ca.FILE_CA_KEY).read_bytes()
    assert (tmp_path / "ca" / "ca.pem").read_bytes() in key
    assert not [p for p in (tmp_path / "ca").iterdir() if p.name.startswith(".")]


WANTED = constraints(["cdn.cribl.io"])


def read(directory: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())


def test_it_may_sign_for_the_hosts_alone_and_for_about_a_year(tmp_path: Path) -> None:
    ca.ensure(tmp_path, None, WANTED)
    found = read(tmp_path).extensions.get_extension_for_class(x509.NameConstraints)
    assert found.critical
    assert of_certificate(read(tmp_path)) == WANTED
    held = ca.held(tmp_path)
    left = held.until - datetime.now(UTC)
    assert timedelta(days=390) < left < timedelta(days=400) and not held.is_near_its_end
    assert held.missing(["cdn.cribl.io", "b.test", "a.test"]) == ["a.test", "b.test"]


def test_one_that_serves_is_kept(tmp_path: Path) -> None:
    ca.ensure(tmp_path, None, constraints(["cdn.cribl.io", "acme.test"]))
    before = read(tmp_path)
    ca.ensure(tmp_path, None, WANTED)
    ca.ensure(tmp_path)
    assert read(tmp_path) == before


@pytest.mark.parametrize("reason", ["everything", "hosts", "ends", "damaged"])
def test_one_that_cannot_serve_any_more_gives_way(
    tmp_path: Path, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        if reason == "ends":
            patched.setattr(ca, "LIFETIME", timedelta(hours=20))
        first = {"everything": None, "hosts": constraints(["acme.test"])}.get(reason, WANTED)
        ca.ensure(tmp_path, None, first)
    if reason == "ends":
        assert ca.held(tmp_path).is_near_its_end
    before = read(tmp_path)
    if reason == "damaged":
        (tmp_path / ca.FILE_CA_KEY).write_bytes(b"")
    ca.ensure(tmp_path, None, WANTED)
    assert read(tmp_path) != before
    assert of_certificate(read(tmp_path)) == WANTED
    assert "restart its clients" in caplog.text
    assert before.public_bytes(Encoding.PEM) not in (tmp_path / "bundle.pem").read_bytes()
    assert stat.S_IMODE((tmp_path / ca.FILE_CA_KEY).stat().st_mode) == 0o600


def test_clients_trust_the_one_that_gave_way_while_a_process_signs_with_it(tmp_path: Path) -> None:
    first = ca.ensure(tmp_path, None, constraints(["first.test"])).read_bytes()
    with ca.claim(tmp_path):
        second = ca.ensure(tmp_path, None, constraints(["second.test"])).read_bytes()
        assert second.endswith(first) and second != first
        third = ca.ensure(tmp_path, None, constraints(["third.test"])).read_bytes()
        assert third.endswith(first) and len(third) < len(second) + len(first)
        assert (tmp_path / "bundle.pem").read_bytes().endswith(third)
    last = ca.ensure(tmp_path).read_bytes()
    assert third == last + first
    assert not list(tmp_path.glob("*.old"))


def test_a_damaged_one_that_is_claimed_gives_way_too(tmp_path: Path) -> None:
    ca.ensure(tmp_path, None, WANTED)
    with ca.claim(tmp_path):
        (tmp_path / ca.FILE_CA_KEY).write_bytes(b"")
        assert ca.ensure(tmp_path, None, WANTED).read_bytes().count(b"BEGIN") == 1


def _ensure(directory: Path) -> bytes:
    return ca.ensure(directory, None, WANTED).read_bytes()


def test_parallel_starts_agree_on_the_new_one(tmp_path: Path) -> None:
    old = ca.ensure(tmp_path).read_bytes()
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = set(pool.map(_ensure, [tmp_path] * 12))
    assert len(found) == 1 and old not in found
