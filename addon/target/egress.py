"""The corporate proxy through which a cluster without another way out reaches real hosts.

`addon.options` parses it. `addon.connections` sends forwarded requests to profiles' hosts through
it, by CONNECT, and authenticates there. No other traffic goes through it: neither the app's nor
connections relayed unread.
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
