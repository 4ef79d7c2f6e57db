import re

import httpx
import pytest

from app.auth import Denied
from app.web.entrance import within
from tests.serving import Served
from tests.unit.app.web.conftest import sign_in


def test_a_link_opens_one_session_once(filled: Served) -> None:
    made = filled.client.post("/api/v1/page/codes")
    assert made.headers["cache-control"] == "no-store"
    path = made.json()["path"]
    for _ in range(2):  # fetched by a scanner of links, say
        shown = filled.bare.get(path)
        assert shown.status_code == 200
        assert "set-cookie" not in shown.headers
    (code,) = re.findall(r'name="code" value="([^"]+)"', shown.text)
    entered = filled.bare.post("/login", data={"code": code, "to": "/captures"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/captures")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/" in cookie
    assert filled.bare.get("/captures").status_code == 200
    assert filled.bare.get(path).headers["location"] == "/"  # back to the link: in already
    filled.bare.cookies.clear()
    again = filled.bare.post("/login", data={"code": code})
    assert again.status_code == 401
    assert "used already" in again.text
    assert "set-cookie" not in again.headers


def test_a_link_is_for_who_has_the_token(filled: Served) -> None:
    assert filled.bare.post("/api/v1/page/codes").status_code == 401


def test_a_wrong_token_is_said(served: Served) -> None:
    for token in ("wrong", "", "é", "\x00"):
        answer = served.bare.post("/login", data={"token": token, "to": "/captures"})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert 'name="to" value="/captures"' in answer.text


def test_a_token_too_long_for_a_cookie_is_said(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.runtime.authority, "_token", b"t" * 5_000)
    answer = served.bare.post("/login", data={"token": "t" * 5_000})
    assert answer.status_code == 413
    assert "too long for a cookie" in answer.text


def test_who_is_known_and_may_not_is_told(filled: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(token: str, policy: object) -> None:
        raise Denied(403, "ann may not list captures.telemock.io\n\nhint: bind the ClusterRole x")

    with sign_in(filled) as client:
        monkeypatch.setattr(filled.runtime.authority, "check", check)
        answer = client.post("/login", data={"token": "t"})
        assert answer.status_code == 403
        assert "ann may not list" in answer.text
        seen = client.get("/")
        assert seen.status_code == 403
        assert "bind the ClusterRole x" in seen.text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none", "origin": "null"},
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"content-type": "text/plain"},
        {"content-type": "multipart/form-data; boundary=x"},
    ],
)
@pytest.mark.parametrize("address", ["/login", "/logout"])
def test_a_form_of_another_site_is_refused(
    filled: Served, headers: dict[str, str], address: str
) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    with sign_in(filled) as client:
        answer = client.post(
            address, content=f"token={filled.runtime.token}", headers=form | headers
        )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_browser_that_names_its_site_or_origin_is_let_in(served: Served) -> None:
    data = {"token": served.runtime.token}
    for headers in ({"sec-fetch-site": "same-origin", "origin": "null"}, {"origin": served.url}):
        assert served.bare.post("/login", data=data, headers=headers).status_code == 303


def test_signing_out_needs_the_forms_own_token(visitor: httpx.Client) -> None:
    refused = visitor.post("/logout", data={"form_token": "guess"})
    assert refused.status_code == 403
    assert visitor.get("/").status_code == 200
    (token,) = re.findall(r'name="form_token" value="([^"]+)"', visitor.get("/").text)
    left = visitor.post("/logout", data={"form_token": token})
    assert (left.status_code, left.headers["location"]) == (303, "/login")
    assert visitor.get("/").status_code == 303


def test_a_large_form_is_refused(served: Served) -> None:
    assert served.bare.post("/login", data={"token": "x" * 70_000}).status_code == 413


@pytest.mark.parametrize(
    ("address", "leads"),
    [
        ("/captures?q=a%20b", "/captures?q=a%20b"),
        ("//evil.test/", "/"),
        ("/\\evil.test", "/"),
        ("https://evil.test/", "/"),
        ("javascript:alert(1)", "/"),
        ("/login?to=/login", "/"),
        ("/a\r\nset-cookie: x=1", "/"),
        ("/é", "/"),
        ("captures", "/"),
        ("", "/"),
    ],
)
def test_the_way_on_is_ours(address: str, leads: str) -> None:
    assert within(address) == leads
