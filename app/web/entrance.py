"""The way in: a one-time link that the command line prints, or a token that is typed; and out.

A link changes nothing by being fetched, because chats and mail scanners fetch links: its page sends
the code, by a script or a button.
"""

import contextlib
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Depends, Request, Response

from app.api.common import as_json, router
from app.api.openapi import json_content
from app.auth import Denied, Policy
from app.runtime import Runtime
from app.web.page import (
    LOGIN,
    PageError,
    SignIn,
    admit,
    cookie_name,
    go,
    on_loopback,
    refuse,
    render,
    require_safe,
    sessions_of,
)
from app.web.sessions import CODE_S, SESSION_S, Codes, TooLargeError

_FORM_CAP = 64 << 10
_FORM = "application/x-www-form-urlencoded"

routes = APIRouter(include_in_schema=False)
api = router()


async def form_of(request: Request) -> dict[str, str]:
    """Reads a form that a page of ours sent. Raises PageError."""
    require_safe(request)
    headers = request.headers
    # Our Referrer-Policy has browsers send the origin "null": they say the site instead.
    site, origin = headers.get("sec-fetch-site", ""), headers.get("origin", "")
    ours = site == "same-origin" or (not site and urlsplit(origin).netloc == headers.get("host"))
    foreign = not ours and bool(site or origin)
    if foreign or headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise PageError(403, "This form was not sent by a page of this app.")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _FORM_CAP:
            raise PageError(413, f"The form has more than {_FORM_CAP >> 10} KiB.")
    found = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in found.items()}


Form = Annotated[dict[str, str], Depends(form_of)]


def _codes(request: Request) -> Codes:
    state = request.app.state
    if not hasattr(state, "codes"):
        state.codes = Codes()
    codes: Codes = state.codes
    return codes


def within(address: str) -> str:
    """The address if it is one of ours, else the first view's: a link may name no other site."""
    parts = urlsplit(address)
    ours = (
        address.startswith("/")
        and not address.startswith(("//", "/\\", LOGIN))
        and not (parts.scheme or parts.netloc)
        and address.isprintable()
        and address.isascii()
    )
    return address if ours else "/"


@api.post(
    "/page/codes",
    dependencies=[Depends(Policy("list", bounded=True))],
    summary="A link that opens the page, once",
    responses={
        200: json_content(
            f"`path` opens a session with this token, within {CODE_S} s and once.",
            {"path": "/login?code=…", "expires_s": CODE_S},
        )
    },
)
async def code(request: Request) -> Response:
    token = request.headers["authorization"].partition(" ")[2].strip()
    made = _codes(request).make(token)
    return as_json(f'{{"path":"{LOGIN}?code={made}","expires_s":{CODE_S}}}'.encode())


@routes.get(LOGIN)
async def entrance(request: Request, code: str = "", to: str = "", why: str = "") -> Response:
    require_safe(request)
    runtime: Runtime = request.app.state.runtime
    with contextlib.suppress(SignIn, PageError):
        await admit(request, "list")
        return go(within(to))  # back to the link that was opened, or a second tab
    said = "Your session has ended. Sign in again to go on where you were." if why else ""
    return render(
        request,
        "login.html",
        None,
        code=code[:200],
        to=within(to),
        said=said,
        cluster=runtime.settings.cluster,
    )


@routes.post(LOGIN)
async def enter(request: Request, form: Form) -> Response:
    runtime: Runtime = request.app.state.runtime
    to = within(form.get("to", ""))

    def again(status: int, said: str) -> Response:
        return render(
            request,
            "login.html",
            None,
            status,
            code="",
            to=to,
            said=said,
            cluster=runtime.settings.cluster,
        )

    token: str | None = form.get("token", "").strip()
    if given := form.get("code"):
        token = _codes(request).take(given)
        if token is None:
            return again(
                401, "This link was used already, or is too old. `telemock open` makes another."
            )
    try:
        await runtime.authority.check(token or "", Policy("list", bounded=True))
        cookie = sessions_of(request).cookie(token or "")
    except Denied as e:
        return again(e.status, str(e).partition("\n\nhint: ")[0] + ".")
    except TooLargeError:
        return again(
            413,
            "This token is too long for a cookie. One of a ServiceAccount is shorter: kubectl "
            "create token.",
        )
    answer = go(to)
    answer.set_cookie(
        cookie_name(request),
        cookie,
        max_age=SESSION_S,
        httponly=True,
        samesite="strict",
        secure=not on_loopback(request),
    )
    return answer


@routes.post("/logout")
async def leave(request: Request, form: Form) -> Response:
    """Whoever has no session any more is out already."""
    cookie = request.cookies.get(cookie_name(request), "")
    session = sessions_of(request).read(cookie) if cookie else None
    if session and form.get("form_token") != session.form_token:
        return await refuse(request, PageError(403, "This form is of another session."))
    if session:
        request.app.state.feed.end(session.form_token)
    answer = go(LOGIN)
    answer.delete_cookie(cookie_name(request), httponly=True, samesite="strict")
    return answer
