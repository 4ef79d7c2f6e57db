"""The webhook's certificate: an expired one is renewed, without a restart and without a refusal."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tests.e2e import pods
from tests.e2e.cluster import Cluster, restarts, status_of, until
from tests.e2e.conftest import Cribl
from tests.e2e.release import Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def expired(release: Release) -> bytes:
    """The injector's certificate as it will be when it has ended."""
    held = release.secret()
    was = x509.load_pem_x509_certificate(held["injector.crt"])
    authority = x509.load_pem_x509_certificate(held["ca.crt"])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(was.subject)
        .issuer_name(authority.subject)
        .public_key(was.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=90))
        .not_valid_after(now - timedelta(days=1))
    )
    for extension in was.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    key = load_pem_private_key(held["ca.key"], None)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)  # type: ignore[arg-type]


def test_an_expired_one_is_renewed(cluster: Cluster, release: Release, cribl: Cribl) -> None:
    before = release.secret()
    bad = expired(release)
    cluster.core.patch_namespaced_secret(
        f"{release.name}-tls",
        release.namespace,
        {"data": {"injector.crt": base64.b64encode(bad).decode()}},
    )
    until(
        lambda: release.secret()["injector.crt"] not in (bad, before["injector.crt"]),
        "the injector has renewed its certificate",
        90,
    )
    assert release.secret()["ca.crt"] == before["ca.crt"]
    assert all(b == before["ca.crt"] for b in release.ca_bundles())
    for n in range(20):
        (made,) = cluster.apply(pods.node(f"renewed-{n}", cribl.namespace), dry_run=True)
        assert status_of(made)["injected"] is True
    assert all(restarts(pod, "injector") == 0 for pod in release.injector_pods())
