"""app/dispatch.py: who gets a request."""

import re
import socket
import ssl
from pathlib import Path

import httpx
import pytest
import trustme
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.cluster import AWAY, kubeconfig
from tests.serving import serving


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings of an app in a cluster of which the API server is away."""
    kubeconfig(tmp_path, monkeypatch, AWAY)
    return {"TELEMOCK_CLUSTER": "1", "POD_NAMESPACE": "telemock"}


@pytest.mark.parametrize(
    ("host", "path", "answered_by"),
    [
        ("cdn.cribl.io", "/telemetry/", "mock"),
        ("CDN.CRIBL.IO.:443", "/telemetry/", "mock"),
        ("cdn.cribl.io", "/health", "mock"),
        ("cdn.cribl.io", "/api/v1/captures", "mock"),
        ("127.0.0.1", "/telemetry/x", "mock"),
        ("u@cdn.cribl.io.", "/health", "mock"),
        ("x.test, cdn.cribl.io", "/health", "mock"),
        ("127.0.0.1", "/%2574elemetry;v=1/x", "mock"),
        ("127.0.0.1", "/health", "app"),
        ("x.cdn.cribl.io", "/health", "app"),
        ("", "/health", "app"),
    ],
)
def test_the_host_decides(tmp_path: Path, host: str, path: str, answered_by: str) -> None:
    with serving(tmp_path) as served:
        answer = served.bare.get(path, headers={"host": host})
        if answered_by == "app":
            assert answer.json()["status"] == "ok"
        else:
            assert "uptime" not in answer.text and answer.status_code in (200, 404)
            assert served.captures()[0]["answered_by"] == "app"


@pytest.mark.parametrize(
    "target",
    ["//telemetry/index.html", "/health/../telemetry/", "/x%2f..%5ctelemetry%2findex.html"],
)
def test_the_path_is_read_as_in_the_sidecar(tmp_path: Path, target: str) -> None:
    with serving(tmp_path) as served:
        with socket.create_connection(("127.0.0.1", served.port), timeout=10) as client:
            client.sendall(f"GET {target} HTTP/1.0\r\nhost: 127.0.0.1\r\n\r\n".encode())
            assert b"living the stream!" in b"".join(iter(lambda: client.recv(4096), b""))
        (record,) = served.captures()
        assert (record["rule"], record["judged_by"]) == ("telemetry", "path")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/telemetry/?v=1", {}, 404),
        ("/telemetry/", {"host": "cdn.cribl.io"}, 404),
        ("/x", {"host": "cdn.cribl.io"}, 404),
        ("/x", {"telemock-record": "a" * 32 + "-1", "telemock-rule": "cribl/page"}, 404),
        # Asked for who it is, whom nobody can say now.
        ("/api/v1/captures", {"host": "cdn.cribl.io", "authorization": "Bearer x"}, 503),
        ("/api/v1/captures", {"telemock-record": "a" * 32 + "-1"}, 401),
    ],
)
def test_over_tls_in_a_cluster_nothing_reaches_the_mock(
    tmp_path: Path, cluster: dict[str, str], path: str, headers: dict[str, str], status: int
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trust = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    with (
        serving(tmp_path, context, **cluster) as served,
        httpx.Client(verify=trust, trust_env=False) as client,
    ):
        answer = client.get(f"https://127.0.0.1:{served.port}{path}", headers=headers)
        assert (answer.status_code, set(answer.json())) == (status, {"error", "hint"})
        assert served.runtime.writer.waiting == 0 and served.runtime.store.stats().records == 0


@pytest.mark.parametrize("path", ["/", "/api/v1/captures", "/openapi.json", "/health/", "/x"])
def test_without_tls_in_a_cluster_there_is_the_mock_only(
    tmp_path: Path, cluster: dict[str, str], path: str
) -> None:
    with serving(tmp_path, **cluster) as served:
        for headers in ({}, {"x-forwarded-proto": "https"}, {"authorization": "Bearer x"}):
            answer = served.bare.get(path, headers=headers)
            assert answer.status_code == 404 and "without TLS" in answer.json()["error"]
        with (
            pytest.raises(InvalidStatus, match="403"),
            connect(f"ws://127.0.0.1:{served.port}{path}", proxy=None),
        ):
            pass
        assert served.bare.get("/health").json()["status"] == "degraded"
        answer = served.bare.get("/api/v1/captures", headers={"host": "cdn.cribl.io"})
        assert "without TLS" not in answer.text  # the mock answers that host


def test_elsewhere_is_404_with_a_hint(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        for path in ("/docs", "/redoc", "/telemetryx", "/api", "/api/v1"):
            answer = served.bare.get(path)
            assert answer.status_code == 404, path
            assert set(answer.json()) == {"error", "hint"}
        assert served.bare.post("/health").status_code == 405
        assert served.bare.get("/").headers["location"].startswith("/login")  # the page


def test_requests_are_measured_without_paths(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        served.bare.get("/telemetry/secret-path?lic=secret-path")
        served.bare.request("BREW", "/health")
        text = served.bare.get("/metrics").text
        assert re.search(
            r'duration_seconds_count\{error_type="",http_request_method="GET",'
            r'http_response_status_code="200",telemock_action="mock",url_scheme="http"\} 1\.0',
            text,
        )
        assert "secret-path" not in text and "BREW" not in text


def test_odd_requests_do_not_break_it(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        for raw in (
            b"GET /telemetry/\xff\xfe HTTP/1.1\r\nhost: h\r\n\r\n",
            b"GET /telemetry/?%00=%zz HTTP/1.1\r\nhost: \xff\r\nx: \xff\r\n\r\n",
            b"GET http://cdn.cribl.io/telemetry/ HTTP/1.1\r\n\r\n",
            b"GET /telemetry/ HTTP/1.0\r\n\r\n",
            b"\x16\x03\x01\x02\x00nonsense\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", served.port), timeout=10) as client:
                client.sendall(raw)
                assert client.recv(100).startswith(b"HTTP/1."), raw
        assert served.bare.get("/health").json()["status"] == "ok"
