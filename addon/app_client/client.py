"""The HTTP client of the app's API, for profiles and captures: plain on one's own machine, over TLS
in a cluster, because every request carries a token that nobody else may see.

`AppApi` is made once in `addon.process`; `addon.app_client.profiles` and `addon.record.deliver`,
each in a thread of its own, take turns on its one connection: a handshake costs the app more than a
millisecond of its processor, and each connection that it keeps open 36 kB and more. `Backoff`
spreads what all sidecars do when it is away.
"""

import contextlib
import errno
import http.client
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from app.contract.names import API_KEPT_S

# For each step of an exchange. A client that gives up early wastes the app's work: when 10,000
# come at once, the last one is answered after half a minute of its processor.
TIMEOUT_S = 30.0
GONE_S = 4.0  # without an acknowledgement of what was sent: a pod that went away says no goodbye
ANSWER_CAP = 16 << 20  # bytes of an answer that are read

# The word for why the app takes nothing: labels of metrics, and what `telemock status` explains.
TROUBLES = ("unreachable", "distrusted", "unauthorized", "full", "error")
# OpenSSL's codes: the issuer is unknown, or did not sign this certificate.
_ANOTHER_AUTHORITY = frozenset({7, 18, 19, 20, 21, 30})

_GONE = frozenset((errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH))


class NoToken(OSError):
    """The token cannot be read."""


class Distrusted(OSError):
    """The server's certificate is not trusted here; the token was not sent."""


class ApiAnswer(NamedTuple):
    """`headers` by lower-case name; a body over the cap is truncated."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def seconds(self, header: str) -> float:
        """The app's Retry-After and the like; 0 without the header, or for a date."""
        value = self.headers.get(header, "")
        return float(value) if value.isascii() and value.isdigit() else 0.0


class Backoff:
    """The wait after a failure: random, at most the time since the first failure. So waits grow as
    fast as by doubling, no outage delays anything for longer than it lasted, and 10,000 sidecars
    that failed at the same moment do not come back at the same moment."""

    def __init__(
        self, first_s: float, longest_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        """At most `first_s` after the first failure, never more than `longest_s`."""
        self._first_s, self._longest_s = first_s, longest_s
        self._now = now
        self._since: float | None = None

    def reset(self) -> None:
        self._since = None

    def next(self, asked_s: float = 0) -> float:
        """Seconds to wait: the app's `asked_s`, up to the longest, and a random part."""
        now = self._now()
        self._since = now if self._since is None else self._since
        most = min(max(self._first_s, now - self._since), self._longest_s)
        return min(asked_s, self._longest_s) + random.uniform(0, most)  # noqa: S311 - spreads load


class AppApi:
    """`ask` from any thread; one exchange at a time."""

    def __init__(
        self,
        url: str,
        token: Callable[[], str],
        tls: ssl.SSLContext | None = None,
        tell: Callable[[str, str], None] = lambda path, trouble: None,
        about: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """Asks nothing yet. `token` is called for every request. With `tls` None the system's
        trust store is used; http:// ignores it. After each exchange `tell` gets the path and a word
        of TROUBLES, "" when the app answered as it should. `about` gives headers for every
        request."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        self._connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = tls or ssl.create_default_context()
            self._connection = http.client.HTTPSConnection(
                host, parts.port, timeout=TIMEOUT_S, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_S)
        self._token = token
        self._tell = tell
        self._about = about
        self._turn = threading.Lock()
        self._used_at = 0.0  # time.monotonic of the last whole exchange on this connection, or 0
        self._aborted = False

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> ApiAnswer:
        """Sends a request that may safely be sent twice: it is repeated once on a new connection
        when the app had closed the kept one. Raises OSError and HTTPException."""
        with self._turn:
            try:
                answer = self._ask(method, path, headers, body)
            except (OSError, http.client.HTTPException) as e:
                self._tell(path, _trouble(e))
                raise
            self._tell(path, trouble_of(answer.status))
            return answer

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> ApiAnswer:
        try:
            token = self._token().strip()
        except OSError as e:
            raise NoToken(e.errno, e.strerror) from None
        sent = {"authorization": f"Bearer {token}", **self._about(), **headers}
        if time.monotonic() - self._used_at > API_KEPT_S:
            self._close()
        while True:
            again, self._used_at = bool(self._used_at), 0.0
            try:
                return self._exchange(method, path, sent, body)
            except BaseException as e:
                self._close()
                if not (again and _gone(e)) or self._aborted:
                    raise

    def abort(self) -> None:
        """Aborts a running exchange, at the end of the process. From any thread."""
        self._aborted = True
        sock = self._connection.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._turn:
            self._close()

    def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> ApiAnswer:
        if self._connection.sock is None:
            try:
                self._connection.connect()
            except ssl.SSLCertVerificationError as e:
                raise _distrusted(e) from None
            _notice_its_end(self._connection)
        self._connection.request(method, path, body, dict(headers))
        response = self._connection.getresponse()
        answer = response.read(ANSWER_CAP)
        if response.will_close or not response.isclosed():
            self._close()
        else:
            self._used_at = time.monotonic()
        found = {name.lower(): value for name, value in response.headers.items()}
        return ApiAnswer(response.status, found, answer)

    def _close(self) -> None:
        self._connection.close()
        self._used_at = 0.0


def _notice_its_end(connection: http.client.HTTPConnection) -> None:
    if hasattr(socket, "TCP_USER_TIMEOUT") and connection.sock is not None:  # Linux
        ms = int(GONE_S * 1000)
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, ms)


def trouble_of(status: int) -> str:
    """The word of TROUBLES for an answer's status, "" for success."""
    if status in (401, 403):
        return "unauthorized"
    if status == 507:
        return "full"
    return "" if status < 400 else "error"


def _trouble(error: Exception) -> str:
    if isinstance(error, NoToken):
        return "unauthorized"
    return "distrusted" if isinstance(error, Distrusted) else "unreachable"


def _distrusted(error: ssl.SSLCertVerificationError) -> Distrusted:
    text = f"its certificate is not trusted: {error.verify_message}"
    if error.verify_code in _ANOTHER_AUTHORITY:
        text += (
            "; this pod was injected while the app had another certificate authority. Restart the "
            "pod: kubectl rollout restart"
        )
    return Distrusted(None, text)


def _gone(error: BaseException) -> bool:
    """True if the peer closed the connection, or does not respond at all. A peer that is only slow
    does not count: its timeouts have no errno."""
    if isinstance(error, ConnectionError | ssl.SSLEOFError):
        return True
    return isinstance(error, OSError) and error.errno in _GONE


def trusting(pem: str) -> ssl.SSLContext:
    """A context that trusts these certificates alone, and not the system's trust store.

    Raises ValueError when the text is no PEM certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise ValueError("no PEM certificate") from None
    return context
