"""A login proxy's word is taken from that proxy alone, and its people have a user's rights."""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import trustme
from fastapi import Request

from app.settings import load
from app.store.changes import ChangeQuery
from app.web.login_proxy import UnbelievedError, named
from tests.reviewer import reviewer
from tests.serving import Served, serving
from tests.unit.app.web.samples import captures

SECRET = "a secret of the proxy's"
CLUSTER = {"TELEMOCK_CLUSTER": "1", "TELEMOCK_LOGIN_HEADER": "X-Auth-Request-Email"}
SHARED = {**CLUSTER, "TELEMOCK_LOGIN_SECRET": SECRET}
NETWORKS = {**CLUSTER, "TELEMOCK_LOGIN_FROM": "10.1.0.0/16, fd00::/8"}
BY = ("x-auth-request-email", "ann@example.test")
SHOWN = ("telemock-login-secret", SECRET)


def asked(
    *headers: tuple[str, str | bytes], peer: str = "10.1.2.3", scheme: str = "https"
) -> Request:
    raw = [(n.encode(), v if isinstance(v, bytes) else v.encode("latin-1")) for n, v in headers]
    return Request({
        "type": "http", "scheme": scheme, "path": "/", "query_string": b"", "headers": raw,
        "client": (peer, 1), "server": ("app", 443),
    })  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "request_", "user"),
    [
        (SHARED, asked(BY, SHOWN), "ann@example.test"),
        (SHARED, asked(BY, SHOWN, peer="203.0.113.9"), "ann@example.test"),
        (NETWORKS, asked(BY), "ann@example.test"),
        (NETWORKS, asked(BY, peer="::ffff:10.1.2.3"), "ann@example.test"),
        (NETWORKS, asked(BY, peer="fd00::1"), "ann@example.test"),
        (SHARED | NETWORKS, asked(BY, SHOWN), "ann@example.test"),
        (SHARED, asked((BY[0], "änn@ü.test".encode()), SHOWN), "änn@ü.test"),
        (SHARED | {"TELEMOCK_LOGIN_PREFIX": "oidc:"}, asked(BY, SHOWN), "oidc:ann@example.test"),
        (SHARED, asked(SHOWN), ""),  # it names nobody: a token signs in
        (SHARED, asked(("x-forwarded-user", "ann"), SHOWN), ""),
        ({}, asked(BY), ""),
    ],
)
def test_whom_the_proxy_names(settings: dict[str, str], request_: Request, user: str) -> None:
    assert named(request_, load(settings)) == user


@pytest.mark.parametrize(
    ("settings", "request_"),
    [
        (SHARED, asked(BY)),
        (SHARED, asked(BY, (SHOWN[0], "another secret of it"))),
        (SHARED, asked(BY, (SHOWN[0], ""))),
        (SHARED, asked(BY, (SHOWN[0], SECRET + "\xff"))),
        (SHARED, asked(BY, SHOWN, SHOWN)),
        (SHARED, asked(BY, SHOWN, scheme="http")),
        (NETWORKS, asked(BY, scheme="http")),
        (NETWORKS, asked(BY, SHOWN, peer="10.2.0.1")),
        (NETWORKS, asked(BY, ("x-forwarded-for", "10.1.2.3"), peer="203.0.113.9")),
        (NETWORKS, asked(BY, peer="not an address")),
        (SHARED | NETWORKS, asked(BY)),
        (SHARED | NETWORKS, asked(BY, SHOWN, peer="10.2.0.1")),
        (SHARED, asked(BY, BY, SHOWN)),  # a browser's own, and the proxy's
        (SHARED, asked((BY[0], ""), SHOWN)),
        (SHARED, asked((BY[0], " "), SHOWN)),
        (SHARED, asked((BY[0], "ann\x00"), SHOWN)),
        (SHARED, asked((BY[0], "\u202eann".encode()), SHOWN)),
        (SHARED, asked((BY[0], b"\xff\xfe"), SHOWN)),
        (SHARED, asked((BY[0], "a" * 257), SHOWN)),
        (SHARED, asked((BY[0], "system:admin"), SHOWN)),
        (SHARED, asked((BY[0], "system:serviceaccount:kube-system:x"), SHOWN)),
        (SHARED | {"TELEMOCK_LOGIN_PREFIX": "system:"}, asked((BY[0], "admin"), SHOWN)),
    ],
)
def test_whom_nobody_believes(settings: dict[str, str], request_: Request) -> None:
    with pytest.raises(UnbelievedError, match=r"\n\nhint: ") as refused:
        named(request_, load(settings))
    assert SECRET not in str(refused.value)


@contextmanager
def behind(
    folder: Path, patch: pytest.MonkeyPatch, may: Any
) -> Iterator[tuple[Served, httpx.Client]]:
    """An app over TLS whose API server says what people may do, and a browser at the proxy."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    trust = ssl.create_default_context()
    ca.configure_trust(trust)
    with reviewer(folder, patch, may) as (authority, _), serving(folder, context) as served:
        runtime = served.runtime
        runtime.store.write(captures())
        certificate = SimpleNamespace(distrusted=lambda: 0, health=lambda: {"ok": True})
        patch.setattr(
            runtime, "release", SimpleNamespace(authority=authority, certificate=certificate)
        )
        given = {"login_header": BY[0], "login_secret": SECRET, "cluster": True}
        runtime.settings = replace(runtime.settings, **given)
        url = f"https://127.0.0.1:{served.port}"
        with httpx.Client(
            base_url=url, verify=trust, headers=[BY, SHOWN], trust_env=False
        ) as client:
            yield served, client


def test_a_person_who_may_looks_and_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with behind(tmp_path, monkeypatch, {"allowed": True}) as (served, client):
        text = client.get("/changes").text
        assert "ann@example.test" in text and "Sign out" not in text
        (token, *_) = re.findall(r'name="form_token" value="([^"]+)"', text)
        form = {"form_token": token, "revision": "0", "state": "objected"}
        foreign = client.post("/changes/1", data=form, headers={"sec-fetch-site": "cross-site"})
        assert foreign.status_code == 403
        assert client.post("/changes/1", data=form | {"form_token": "x"}).status_code == 403
        assert client.post("/changes/1", data=form).status_code == 303
        (item,) = served.runtime.store.changes(ChangeQuery(state="objected")).items
        assert item.who == "ann@example.test"
        other = client.post("/changes/2", data=form, headers={BY[0]: "bob@example.test"})
        assert other.status_code == 403  # the form is ann's
        assert client.get("/login").headers["location"] == "/"


def test_who_is_no_proxy_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with behind(tmp_path, monkeypatch, {"allowed": True}) as (_, client):
        refused = client.get("/captures", headers={SHOWN[0]: "guessed, and rather long"})
        assert refused.status_code == 403 and "believed of the login proxy only" in refused.text
        del client.headers[BY[0]]
        assert client.get("/captures").headers["location"].startswith("/login")
        # The API takes tokens only.
        client.headers[BY[0]] = BY[1]
        assert client.get("/api/v1/captures").status_code == 401


def test_who_may_not_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with behind(tmp_path, monkeypatch, {"allowed": False}) as (_, client):
        answer = client.get("/captures")
        assert answer.status_code == 403
        assert "ann@example.test may not list captures.telemock.io" in answer.text
