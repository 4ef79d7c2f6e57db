"""The corporate proxy that real hosts are reached through, where a cluster has no other way out.

`addon.options` reads it. `addon.sidecar` sends what it forwards for a profile's hosts through it,
by CONNECT, and `addon.connections` says there who we are. Nothing else goes there: not the app's
traffic, nor what is relayed unread.
"""

import base64
from typing import NamedTuple
from urllib.parse import unquote, urlsplit


class Egress(NamedTuple):
    """`authorization` is the header's value, "" without a user."""

    address: tuple[str, int]
    authorization: str = ""


def parse(url: str) -> Egress:
    """`http://[USER:PASSWORD@]HOST:PORT`. The error never shows the text: it may hold a password.

    Raises ValueError.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.scheme != "http" or parts.path.strip("/") or parts.query:
        raise ValueError("http://HOST:PORT or http://USER:PASSWORD@HOST:PORT")
    if parts.username is None:
        return Egress((host, port))
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Egress((host, port), "Basic " + base64.b64encode(user.encode()).decode())
