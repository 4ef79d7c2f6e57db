"""The ends of a connection in a record's form."""

from mitmproxy import connection

from app.contract.record import Endpoint, Tls, short


def endpoint(address: tuple[object, ...] | None) -> Endpoint | None:
    """From a socket's address; the port is 0 if it has none."""
    if not address:
        return None
    port = address[1] if len(address) > 1 and isinstance(address[1], int) else 0
    return Endpoint(short(str(address[0])), port)


def tls_of(client: connection.Client) -> Tls | None:
    if not client.tls:
        return None
    return Tls(
        sni=short(client.sni or ""),
        version=short(client.tls_version or ""),
        alpn=short(client.alpn or b""),
    )
