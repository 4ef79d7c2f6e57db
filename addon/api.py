"""Connections to the app's API, for profiles and captures: plain on a machine of one's own, over
TLS in a cluster, where the token that goes with every request must reach nobody else.

Used by `addon.profiles` and `addon.deliver`, each in a thread of its own.
"""

import http.client
import ssl
from urllib.parse import urlsplit


def trusting(pem: str) -> ssl.SSLContext:
    """Trusts what these certificates vouch for, and nothing of this system's list.

    Raises ValueError when the text is no PEM certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise ValueError("no PEM certificate") from None
    return context


def connection(url: str, tls: ssl.SSLContext | None, seconds: float) -> http.client.HTTPConnection:
    """Not connected yet. `tls` None trusts this system's list; it does not matter for http://."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https":
        return http.client.HTTPConnection(host, parts.port, timeout=seconds)
    context = tls or ssl.create_default_context()
    return http.client.HTTPSConnection(host, parts.port, timeout=seconds, context=context)
