import pytest

from app.contract.hosts import is_ours


@pytest.mark.parametrize(
    "host",
    [
        "", "127.0.0.1", "10.1.2.3:17444", "[::1]", "[fd00::7]:9", "::1", "localhost",
        "LOCALHOST:80",
        "telemock", "telemock:8000", "node-7.", "app.localhost", "telemock.ns.svc",
        "telemock.ns.svc.cluster.local:8000", "10-1-2-3.ns.pod.cluster.local", "laptop.local",
        "localhost.localdomain:80", "nas.home.arpa",
        "health.acme.test", "Health.Acme.Test.:8000",
    ],
)  # fmt: skip
def test_ours(host: str) -> None:
    assert is_ours(host, {"health.acme.test"})


@pytest.mark.parametrize(
    "host",
    [
        "evil.test", "evil.test:17444", "telemock.svc.evil.test", "127.0.0.1.evil.test",
        "localhost.evil", "telemock.ns", "acme.test", "x.health.acme.test", "[evil.test]", "[::1",
        "127.0.0.1@evil.test", "1.2.3", "0x7f.1", "evil.svc.cluster.local.com",
        "[::1]evil.test", "[::1].evil.test:80", "localhost:80.evil.test", "localhost:evil.test",
    ],
)  # fmt: skip
def test_not_ours(host: str) -> None:
    assert not is_ours(host, {"health.acme.test"})
