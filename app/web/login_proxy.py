"""Reads whom a login proxy in front of the page names, and believes nobody else.

Called by `app.web.page` for every request. Which header, and how the proxy is known, the settings
TELEMOCK_LOGIN_… say. Whoever else sends the header is refused, not ignored: they would act as
somebody else, or their proxy is set up wrong.
"""

import secrets
from ipaddress import IPv6Address, ip_address

from fastapi import Request

from app.contract.names import HEADER_LOGIN_SECRET
from app.settings import Settings

_NAME = 256  # characters
_OURS = "system:"  # users and accounts of Kubernetes' own, for whom no proxy speaks


class UnbelievedError(Exception):
    """The header is not believed. The text is meant for people, whole."""


def named(request: Request, settings: Settings) -> str:
    """The user, "" where the request names none. Raises UnbelievedError."""
    header = settings.login_header
    given = request.headers.getlist(header) if header else []
    if not given:
        return ""
    if not _is_proxy(request, settings):
        raise UnbelievedError(
            f"The header {header} is believed of the login proxy only.\n\n"
            "hint: leave it out and sign in with a token; of the proxy itself: ingress.login names "
            f"its networks, or the secret that it sends as {HEADER_LOGIN_SECRET}"
        )
    name = settings.login_prefix + _text(given[0])
    if len(given) > 1 or name == settings.login_prefix or not name.isprintable():
        raise UnbelievedError(
            f"The header {header} names nobody, or several.\n\n"
            "hint: the login proxy has to replace what the browser sends by this name"
        )
    if len(name) > _NAME or name.startswith(_OURS):
        raise UnbelievedError(
            f"The header {header} names a user for whom no login proxy speaks.\n\n"
            f"hint: names have at most {_NAME} characters, and do not begin with {_OURS}"
        )
    return name


def _text(value: str) -> str:
    """Starlette reads headers as Latin-1; names are UTF-8."""
    try:
        return value.strip().encode("latin-1").decode()
    except UnicodeError:
        return ""


def _is_proxy(request: Request, settings: Settings) -> bool:
    if request.url.scheme != "https":
        return False
    if settings.login_secret:
        shown = request.headers.getlist(HEADER_LOGIN_SECRET)
        expected = settings.login_secret.encode()
        if len(shown) != 1 or not secrets.compare_digest(shown[0].encode("latin-1"), expected):
            return False
    return not settings.login_from or _is_from(request, settings)


def _is_from(request: Request, settings: Settings) -> bool:
    """True if the connection's own peer is in one of the networks."""
    try:
        peer = ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped:
        peer = peer.ipv4_mapped
    return any(peer in network for network in settings.login_from)
