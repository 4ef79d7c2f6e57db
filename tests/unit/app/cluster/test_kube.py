import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from app.cluster import kube
from app.cluster.kube import KubeError
from tests.cluster import cluster, namespace, needs_cluster


class ApiServer(http.server.BaseHTTPRequestHandler):
    """Answers each request with what the test laid ready for its path, and notes it."""

    answers: dict[str, tuple[int, Any]]
    asked: list[tuple[str, str, dict[str, str], bytes]]

    def answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        self.asked.append((self.command, self.path, dict(self.headers.items()), body))
        missing = 404, {"message": "not found"}
        whole_path = self.answers.get(self.path.partition("?")[0], missing)
        status, content = self.answers.get(self.path, whole_path)
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = answer

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def api_server(
    answers: dict[str, tuple[int, Any]], tls: ssl.SSLContext | None = None
) -> Iterator[tuple[str, type[ApiServer]]]:
    handler = type("Handler", (ApiServer,), {"answers": answers, "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def kubeconfig(folder: Path, url: str, authority: str = "", **user: Any) -> Path:
    file = folder / "kubeconfig"
    context = {"cluster": "c", "user": "u"}
    file.write_text(
        json.dumps(
            {
                "clusters": [
                    {"name": "c", "cluster": {"server": url, "certificate-authority": authority}}
                ],
                "users": [{"name": "u", "user": user}],
                "contexts": [
                    {"name": "first", "context": {**context, "namespace": "monitoring"}},
                    {"name": "second", "context": context},
                ],
                "current-context": "first",
            }
        )
    )
    return file


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def write(url: str, **user: Any) -> None:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, url, **user)))

    return write


def test_asks_with_the_token_of_the_kubeconfig(use: Any) -> None:
    with api_server({"/api/v1/pods?fieldSelector=a%3Db": (200, {"kind": "PodList"})}) as (
        url,
        seen,
    ):
        use(url, token="abc")
        api = kube.connect()
        assert api.get("/api/v1/pods", fieldSelector="a=b") == {"kind": "PodList"}
        api.close()
    method, _, headers, _ = seen.asked[0]
    assert method == "GET"
    assert headers["authorization"] == api.authorization() == "Bearer abc"
    assert (api.namespace, api.server) == ("monitoring", url)


def test_client_certificate_is_loaded_once_for_all_connections(use: Any, tmp_path: Path) -> None:
    authority, me = trustme.CA(), tmp_path / "me.pem"
    authority.cert_pem.write_to_path(trusted := tmp_path / "ca.pem")
    authority.issue_cert("me@a.test").private_key_and_cert_chain_pem.write_to_path(me)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    with api_server({"/a": (200, {"a": 1})}, tls) as (url, _):
        keys = {"client-certificate": str(me), "client-key": str(me)}
        use(url, authority=str(trusted), **keys)
        api = kube.connect()
        me.unlink()  # loading it once more, into the context that others use just then, would fail
        trusted.unlink()
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(api.get, ["/a"] * 24)) == [{"a": 1}] * 24
        api.close()


def test_client_certificate_that_cannot_be_read(use: Any, tmp_path: Path) -> None:
    (file := tmp_path / "me.pem").write_text("nothing")
    use("https://127.0.0.1:1", **{"client-certificate": str(file), "client-key": str(file)})
    with pytest.raises(KubeError, match="gives no access to a cluster"):
        kube.connect()


def test_context_chooses_the_namespace(use: Any) -> None:
    use("http://127.0.0.1:9")
    api = kube.connect("second")
    assert (api.namespace, api.authorization()) == ("", "")
    with pytest.raises(KubeError, match=r"gives no access to a cluster.*third(.|\n)*hint: "):
        kube.connect("third")


def test_sends_patches_with_their_own_type(use: Any) -> None:
    with api_server({"/x": (200, {})}) as (url, seen):
        use(url)
        api = kube.connect()
        api.request("PATCH", "/x", [{"op": "remove", "path": "/a"}], content_type=kube.JSON_PATCH)
        api.close()
    _, _, headers, body = seen.asked[0]
    assert headers["content-type"] == kube.JSON_PATCH
    assert json.loads(body) == [{"op": "remove", "path": "/a"}]


def test_lists_go_page_by_page(use: Any) -> None:
    answers = {
        "/l?limit=500": (200, {"items": [1, 2], "metadata": {"continue": "t/1"}}),
        "/l?limit=500&continue=t%2F1": (200, {"items": [3], "metadata": {}}),
    }
    with api_server(answers) as (url, _):
        use(url)
        api = kube.connect()
        assert list(api.items("/l")) == [1, 2, 3]
        api.close()


def test_refusal_keeps_status_and_words_of_the_server_harmless(use: Any) -> None:
    answers = {
        "/a": (403, {"message": "no\n\x1b[31mway " + "x" * 1000}),
        "/b": (200, b"<html>"),
        "/c": (500, b"\xff broken"),
    }
    with api_server(answers) as (url, seen):
        use(url)
        api = kube.connect()
        with pytest.raises(KubeError, match=r"(?s)403: no \\x1b\[31mway x+…\n\nhint: kubectl") as e:
            api.get("/a")
        assert e.value.status == 403
        assert len(str(e.value)) < 700
        with pytest.raises(KubeError, match="without a JSON object") as e:
            api.get("/b")
        with pytest.raises(KubeError, match=r"answered 500: .* broken") as e:
            api.get("/c")
        api.close()
    assert len(seen.asked) == 3  # nothing is asked twice


def test_a_pod_that_is_not_asked_by_the_api_servers_name_is_asked_again(use: Any) -> None:
    """The API server's proxy passes its own name on; a sidecar answers to names of the cluster."""
    answers: dict[str, tuple[int, Any]] = {"/proxy": (421, b"no"), "/gone": (404, b"no")}
    with api_server(answers) as (url, seen):
        use(url, token="abc")
        with closing(kube.connect()) as api:
            for path in answers:
                with pytest.raises(KubeError):
                    api.text(path)
    found = [(p, {n.lower(): v for n, v in given.items()}) for _, p, given, _ in seen.asked]
    hosts = [(path, headers["host"].partition(":")[0]) for path, headers in found]
    assert hosts == [("/proxy", "127.0.0.1"), ("/proxy", "localhost"), ("/gone", "127.0.0.1")]


def test_server_away_is_status_0(use: Any) -> None:
    with api_server({}) as (url, _):
        use(url)
        api = kube.connect()
    with pytest.raises(KubeError, match=f"at {url} does not answer(.|\n)*hint: ") as e:
        api.get("/api")
    assert e.value.status == 0
    api.close()


def test_credentials_plugin_that_fails_is_an_error_of_ours(use: Any) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "false", "args": []}
    use("http://127.0.0.1:9", exec={**plugin, "interactiveMode": "Never"})
    with pytest.raises(KubeError):
        kube.connect().get("/api")


def test_no_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(KubeError, match=r"none gives no access(.|\n)*hint: KUBECONFIG"):
        kube.connect()


def test_pod_without_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "9")
    with pytest.raises(KubeError, match=r"no ServiceAccount token(.|\n)*hint: automount"):
        kube.connect()


@pytest.mark.parametrize(
    ("segments", "wanted"),
    [
        (("api", "v1", "namespaces", "a"), "/api/v1/namespaces/a"),
        (("x", "../secrets?a=b"), "/x/..%2Fsecrets%3Fa%3Db"),
        (("x", ".."), "/x/%2E%2E"),
    ],
)
def test_path_quotes_what_others_chose(segments: tuple[str, ...], wanted: str) -> None:
    assert kube.path(*segments) == wanted


@needs_cluster
def test_real_api_server() -> None:
    with cluster() as api, namespace(api, "i2-kube") as name:
        found = api.get(kube.path("api", "v1", "namespaces", name))
        assert found["metadata"]["name"] == name
        patched = api.request(
            "PATCH",
            kube.path("api", "v1", "namespaces", name),
            {"metadata": {"labels": {"a": "b"}}},
            content_type=kube.MERGE_PATCH,
        )
        assert patched["metadata"]["labels"]["a"] == "b"
        names = [item["metadata"]["name"] for item in api.items("/api/v1/namespaces", limit=2)]
        assert name in names
        assert len(names) == len(set(names))
        with pytest.raises(KubeError) as e:
            api.get("/api/v1/namespaces/i2-none")
        assert e.value.status == 404
