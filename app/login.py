"""Settings of a login proxy in front of the page: who it is, and how it names people.

A part of the table of `app.settings`; `app.web.login_proxy` goes by them.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from app.contract.dummies import Network
from app.contract.names import HEADER_LOGIN_SECRET
from app.contract.settings import Setting, SettingError, listed

SECRET_LEAST = 16  # characters
# Headers that no login proxy may name people in.
_TAKEN = frozenset(
    ("authorization", "cookie", "host", "origin", "content-type", "content-length",
     "sec-fetch-site", "user-agent", HEADER_LOGIN_SECRET)
)  # fmt: skip


def _header(value: str) -> str:
    name = value.strip().lower()
    if name and (not re.fullmatch(r"[a-z0-9-]{1,64}", name) or name in _TAKEN):
        raise ValueError
    return name


def _networks(value: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in listed(value))


SETTINGS = (
    Setting(
        "TELEMOCK_LOGIN_HEADER", "", _header,
        "In a cluster: header in which a login proxy (OpenID Connect) in front of the page names "
        "the person, such as x-auth-request-email. Believed over TLS only, of requests that "
        "TELEMOCK_LOGIN_FROM and TELEMOCK_LOGIN_SECRET let through, of which one must be set.",
        "a header's name that means nothing else",
    ),
    Setting(
        "TELEMOCK_LOGIN_FROM", "", _networks,
        "Networks of the login proxy, comma separated: those of the connection's own peer.",
        "networks such as 10.1.2.0/24, comma separated",
    ),
    Setting(
        "TELEMOCK_LOGIN_SECRET", "", str,
        f"Secret of at least {SECRET_LEAST} characters that the login proxy sends in the "
        f"header {HEADER_LOGIN_SECRET}.",
    ),
    Setting(
        "TELEMOCK_LOGIN_PREFIX", "", str,
        "Put before the name that the login proxy gives, as the API server's "
        "--oidc-username-prefix is: RoleBindings then name the same user.",
    ),
)  # fmt: skip


def check(values: Mapping[str, Any]) -> None:
    """Raises SettingError. No message names the secret."""
    header, secret = values["TELEMOCK_LOGIN_HEADER"], values["TELEMOCK_LOGIN_SECRET"]
    if secret and (len(secret) < SECRET_LEAST or not secret.isascii()):
        raise SettingError(
            f"TELEMOCK_LOGIN_SECRET has {len(secret)} characters, expected at least "
            f"{SECRET_LEAST} of ASCII\n\nhint: openssl rand -base64 32 makes one"
        )
    if not header:
        return
    if not values["TELEMOCK_CLUSTER"]:
        raise SettingError(
            f"TELEMOCK_LOGIN_HEADER is {header!r}, and this is no cluster: nobody could say what "
            "that person may read\n\nhint: leave it empty; `telemock open` opens the page"
        )
    if not (secret or values["TELEMOCK_LOGIN_FROM"]):
        raise SettingError(
            f"TELEMOCK_LOGIN_HEADER is {header!r}, and anybody could send it\n\n"
            "hint: set TELEMOCK_LOGIN_SECRET, TELEMOCK_LOGIN_FROM, or both"
        )
