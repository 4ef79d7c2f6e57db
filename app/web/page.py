"""Serves every view: checks who may see it, renders it, and says why when it cannot.

Captured text is hostile: templates escape everything, `one` makes what does not print visible, and
the Content-Security-Policy lets no script and no style run that is not a file of ours.
"""

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from app.auth import Denied, Policy, Verb
from app.contract.canonical import hosts_in
from app.runtime import Runtime
from app.store import QueryError, StoreError, questions
from app.version import VERSION
from app.web import login_proxy, show
from app.web.assets import ASSETS
from app.web.login_proxy import UnbelievedError
from app.web.sessions import PageSession, Sessions

if TYPE_CHECKING:
    from app.cluster.token_review import ClusterAuthority

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
LOGIN = "/login"

# address -> name, in the order of the navigation
VIEWS: Mapping[str, str] = {
    "/": "Overview",
    "/captures": "Captures",
    "/fields": "Fields",
    "/versions": "Versions",
    "/changes": "Changes",
    "/workloads": "Workloads",
    "/profiles": "Profiles",
    "/report": "Report",
    "/status": "Health",
}


class PageError(Exception):
    """A view that cannot be shown. The text is meant for people, whole."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class SignIn(Exception):
    """Nobody is signed in, or no longer; `why` says so, "" for a first visit."""

    def __init__(self, why: str = "") -> None:
        super().__init__(why)
        self.why = why


class Visitor(NamedTuple):
    """`namespaces` are those whose captures the visitor may read, None without a bound.
    `by_proxy`: a login proxy names them, and signs them out."""

    name: str
    form_token: str
    namespaces: tuple[str, ...] | None
    by_proxy: bool = False


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("app.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(show.FILTERS)
    made.globals.update(
        asset=lambda name: ASSETS[name].url,
        views=VIEWS,
        version=VERSION,
        href=show.href,
        seek=show.seek,
    )
    return made


_templates = _environment()


def render(
    request: Request, template: str, visitor: Visitor | None, status: int = 200, **given: Any
) -> HTMLResponse:
    content = _templates.get_template(template).render(
        path=request.url.path, visitor=visitor, **given
    )
    return HTMLResponse(content, status, HEADERS)


def part(template: str, **given: Any) -> str:
    """HTML that a script of ours puts into a view."""
    return _templates.get_template(template).render(**given)


def go(url: str) -> RedirectResponse:
    """To an address of ours, by GET. Where htmx asked, the whole page goes there."""
    return RedirectResponse(url, 303, HEADERS)


def is_safe(request: Request) -> bool:
    """True where what is typed and shown here crosses no network in clear: over TLS, or asked by a
    name of loopback. Such a name also stops pages that rebind their own to this machine."""
    if request.url.scheme == "https":
        return True
    return on_loopback(request)


def on_loopback(request: Request) -> bool:
    names = hosts_in(request.headers.get("host", ""))
    return bool(names) and all(map(_is_loopback, names))


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def require_safe(request: Request) -> None:
    if not is_safe(request):
        raise PageError(
            403,
            "The page is answered over TLS, or on this machine by a name of loopback."
            "\n\nhint: open http://localhost with the app's port, let `telemock open` do so, or "
            "reach the app over https",
        )


def cookie_name(request: Request) -> str:
    """Browsers share cookies between the ports of a host: each app on a machine has its own."""
    host = request.headers.get("host", "")
    _, colon, port = host.rpartition(":")
    if colon and port.isascii() and port.isdigit():
        return f"telemock-{port[:5]}"
    return "telemock"


def sessions_of(request: Request) -> Sessions:
    runtime: Runtime = request.app.state.runtime
    if runtime.mask_key is None:
        raise PageError(503, "The app is starting.\n\nhint: load the page again")
    return Sessions(runtime.mask_key)


async def admit(request: Request, verb: Verb) -> Visitor:
    """Raises PageError, SignIn."""
    require_safe(request)
    runtime: Runtime = request.app.state.runtime
    try:
        user = login_proxy.named(request, runtime.settings)
    except UnbelievedError as e:
        raise PageError(403, str(e)) from None
    if user and runtime.release is not None:
        return await _named(request, runtime.release.authority, user, verb)
    cookie = request.cookies.get(cookie_name(request), "")
    session = sessions_of(request).read(cookie) if cookie else None
    if session is None:
        raise SignIn("Your session has ended." if cookie else "")
    return await _checked(request, session, verb)


async def _named(request: Request, authority: "ClusterAuthority", user: str, verb: Verb) -> Visitor:
    try:
        caller = await authority.check_user(user, Policy(verb, bounded=True))
    except Denied as e:
        raise PageError(e.status, str(e)) from None
    token = sessions_of(request).form_token_of(user)
    return Visitor(caller.name, token, caller.namespaces, by_proxy=True)


async def _checked(request: Request, session: PageSession, verb: Verb) -> Visitor:
    runtime: Runtime = request.app.state.runtime
    try:
        caller = await runtime.authority.check(session.token, Policy(verb, bounded=True))
    except Denied as e:
        if e.status == 401:
            raise SignIn("Your session has ended: its token is no longer accepted.") from None
        raise PageError(e.status, str(e)) from None
    return Visitor(caller.name, session.form_token, caller.namespaces)


async def _lists(request: Request) -> Visitor:
    return await admit(request, "list")


async def _gets(request: Request) -> Visitor:
    return await admit(request, "get")


Lists = Annotated[Visitor, Depends(_lists)]
Gets = Annotated[Visitor, Depends(_gets)]


async def ask[T](question: Callable[[], T]) -> T:
    """Asks the store, as somebody who waits for a view. Raises PageError."""
    try:
        return await questions.ask(question, soon=True)
    except QueryError as e:
        raise PageError(422, str(e)) from None
    except StoreError as e:
        raise PageError(503, str(e)) from None


def turned(page: str, rows: int, size: int) -> tuple[int, int]:
    """The page that is asked for, and how many there are."""
    pages = max(1, -(-rows // size))
    number = int(page) if page.isascii() and page.isdigit() and len(page) < 7 else 1
    return min(pages, max(1, number)), pages


async def refuse(request: Request, error: Exception) -> Response:
    """The page for a PageError; the way in for SignIn."""
    if isinstance(error, SignIn):
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        given = {"to": asked} if request.method == "GET" and asked != "/" else {}
        url = f"{LOGIN}?{urlencode(given | ({'why': 'ended'} if error.why else {}))}".rstrip("?")
        if request.headers.get("hx-request"):
            return Response(status_code=204, headers={**HEADERS, "HX-Redirect": url})
        return go(url)
    if not isinstance(error, PageError):
        raise error
    said, _, hint = str(error).partition("\n\nhint: ")
    return render(request, "error.html", None, error.status, said=said, hint=hint)
