"""The way to an OTLP endpoint: its connection, with TLS and proxy, and what each request names.

Made by `app.otel.session`, one for each signal. A proxy is taken from HTTP_PROXY, HTTPS_PROXY,
ALL_PROXY and NO_PROXY, as most HTTP clients do.
"""

import base64
import errno
import functools
import ssl
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPSConnection
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from app.otel.settings import Target


class Way:
    """`target` is what a request asks for."""

    def __init__(self, target: Target) -> None:
        self._of = target
        self._url = url = urlsplit(target.endpoint)
        self._tls = url.scheme == "https"
        self._proxy = _proxy(url)
        self.headers: dict[str, str] = {
            "content-type": "application/x-protobuf",
            "user-agent": "telemock",
            **_authorization(url, "authorization"),
            **target.headers,
        }
        self.target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        if self._proxy is not None and not self._tls:
            self.target = f"http://{url.netloc.rpartition('@')[2]}{self.target}"
            self.headers |= _authorization(self._proxy, "proxy-authorization")

    def connect(self, timeout_s: float) -> HTTPConnection:
        """Raises OSError and HTTPException. Certificates are read anew when they have changed."""
        url, proxy = self._url, self._proxy
        if proxy is not None and proxy.scheme != "http":
            raise OSError(errno.EPROTONOSUPPORT, "its proxy is not one that begins with http://")
        host, port = (proxy or url).hostname or "", (proxy or url).port
        connection: HTTPConnection
        if self._tls:
            context = _context(_files(self._of))
            connection = HTTPSConnection(host, port, timeout=timeout_s, context=context)
            if proxy is not None:
                shown = _authorization(proxy, "proxy-authorization")
                connection.set_tunnel(url.hostname or "", url.port, shown)
        else:
            connection = HTTPConnection(host, port, timeout=timeout_s)
        try:
            connection.connect()
        except TimeoutError:
            connection.close()
            raise TimeoutError(errno.ETIMEDOUT, "no connection in time") from None
        except BaseException:
            connection.close()
            raise
        return connection


def _proxy(url: SplitResult) -> SplitResult | None:
    """None for none; without a scheme where it cannot be read, which `connect` says."""
    found: Mapping[str, str] = urllib.request.getproxies()
    proxy = found.get(url.scheme) or found.get("all")
    if not proxy or _direct(url, found.get("no", "")):
        return None
    try:
        way = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        return way if way.hostname and way.port != 0 else urlsplit("")
    except ValueError:  # a port that is none
        return urlsplit("")


def _direct(url: SplitResult, no_proxy: str) -> bool:
    if urllib.request.proxy_bypass(url.netloc.rpartition("@")[2]):
        return True
    with suppress(ValueError):  # a name
        address = ip_address(url.hostname or "")
        for part in no_proxy.split(","):
            with suppress(ValueError):  # Python's own look knows names and addresses, no networks
                if address in ip_network(part.strip(), strict=False):
                    return True
    return False


def _authorization(url: SplitResult, name: str) -> dict[str, str]:
    if url.username is None:
        return {}
    pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return {name: f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _files(target: Target) -> tuple[tuple[str, int], ...]:
    """Trusted certificates, own certificate and key, each with the time of its last change."""
    names = (target.certificate, target.client_certificate, target.client_key)
    return tuple((name, Path(name).stat().st_mtime_ns if name else 0) for name in names)


@functools.lru_cache(maxsize=4)
def _context(files: tuple[tuple[str, int], ...]) -> ssl.SSLContext:
    """One for all signals: this system's list of trusted certificates alone is 2.5 MB."""
    trusted, own, key = (name for name, _ in files)
    context = ssl.create_default_context(cafile=trusted or None)
    if not trusted and ssl.get_default_verify_paths().cafile is None:
        import certifi  # a slim image without ca-certificates; comes with httpx and mitmproxy

        context.load_verify_locations(certifi.where())
    if own:
        context.load_cert_chain(own, key or None, "")
    return context
