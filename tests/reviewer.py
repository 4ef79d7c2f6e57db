"""A stand-in of the API server that says who a token's holder is, and what they may do."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.cluster import kube
from app.cluster.token_review import ClusterAuthority
from tests.cluster import kubeconfig

# What Kubernetes says of the token that a kubelet gave to a pod, and of a person.
POD = {"name": "web-0", "uid": "u-1"}
SIDECAR = {
    "authenticated": True,
    "audiences": ["telemock"],
    "user": {
        "username": "system:serviceaccount:shop:default",
        "extra": {
            "authentication.kubernetes.io/pod-name": [POD["name"]],
            "authentication.kubernetes.io/pod-uid": [POD["uid"]],
        },
    },
}
PERSON = {"authenticated": True, "user": {"username": "eve"}}


class Reviewer(http.server.BaseHTTPRequestHandler):
    """Answers every review with `status`, once `gate` is open; a token of `tokens`, and its holder,
    with that one."""

    status: Any
    code: int
    gate: threading.Event
    asked: list[dict[str, Any]]
    tokens: dict[str, Any]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        asked = json.loads(body)
        self.asked.append(asked)
        self.gate.wait(20)
        content = json.dumps({"status": self._status(asked["spec"])}).encode()
        self.send_response(self.code)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _status(self, spec: dict[str, Any]) -> Any:
        if "token" in spec:
            status = self.tokens.get(spec["token"], self.status)
            # An API server knows a token for the audience that it is for.
            ours = status is not self.status and "audiences" in status
            if ours and spec.get("audiences") != status["audiences"]:
                return {"authenticated": False}
            return status
        users = {s["user"]["username"]: s for s in self.tokens.values()}
        return users.get(spec.get("user"), self.status)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def reviewing(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: Any,
    code: int = 201,
    tokens: dict[str, Any] | None = None,
) -> Iterator[type[Reviewer]]:
    """It runs, and the kubeconfig names it."""
    gate = threading.Event()
    gate.set()
    given = {"status": status, "code": code, "gate": gate, "asked": [], "tokens": tokens or {}}
    handler = type("Handler", (Reviewer,), given)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    kubeconfig(folder, monkeypatch, f"http://127.0.0.1:{server.server_port}")
    try:
        yield handler
    finally:
        gate.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def reviewer(
    folder: Path, monkeypatch: pytest.MonkeyPatch, status: Any, code: int = 201
) -> Iterator[tuple[ClusterAuthority, type[Reviewer]]]:
    with reviewing(folder, monkeypatch, status, code) as handler:
        api = kube.connect()
        authority = ClusterAuthority(api, "rel")
        try:
            yield authority, handler
        finally:
            handler.gate.set()
            authority.close()
            api.close()
