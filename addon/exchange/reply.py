"""An answer of the sidecar or the mock, before it becomes bytes or a mitmproxy response.

Made by `addon.exchange.routing`, sent by `addon.exchange.conversation`, given to mitmproxy by
`addon.sidecar`, and recorded by `addon.record.capture`.
"""

from collections.abc import Sequence
from functools import lru_cache

from mitmproxy import http

from app.contract.answer import render
from app.contract.record import Pair, text
from app.contract.rules import Answer

Fields = tuple[tuple[bytes, bytes], ...]

_NO_BODY = frozenset((204, 304))


class Reply:
    """`last`: the connection ends with this answer, by its framing or by its header."""

    __slots__ = ("body", "bytes", "fields", "http_version", "last", "pairs", "reason", "status")

    def __init__(
        self,
        status: int,
        reason: bytes,
        fields: Fields,
        body: bytes,
        *,
        method: str = "GET",
        http_version: str = "",
    ) -> None:
        """`method` is the request's; `http_version` is set for a real host's answer."""
        self.status = status
        self.reason = reason
        self.fields = fields
        self.body = body
        self.http_version = http_version
        lines = b"".join(b"%s: %s\r\n" % field for field in fields)
        self.bytes = b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, reason, lines, body)
        self.last = _last(status, fields, method)
        self.pairs = headers_of(fields)

    def for_mitmproxy(self, request: http.Request) -> http.Response:
        """As mitmproxy's response; HTTP/2 knows no connection headers."""
        fields = self.fields
        if request.is_http2:
            fields = tuple(f for f in fields if f[0].lower() != b"connection")
        headers = http.Headers(fields)
        return http.Response(
            b"HTTP/1.1", self.status, self.reason, headers, self.body, None, 0.0, None
        )


def reply_of(response: http.Response) -> Reply:
    """mitmproxy's response as a Reply; without its content if that was streamed."""
    data = response.data
    return Reply(
        data.status_code,
        data.reason,
        response.headers.fields,
        response.raw_content or b"",
        http_version=response.http_version,
    )


@lru_cache(maxsize=128)
def static(answer: Answer, method: str) -> Reply:
    """The rule's own answer, cached."""
    rendered = render(answer, method)
    fields = tuple((_bytes(n), _bytes(v)) for n, v in rendered.headers)
    reason = rendered.reason.encode()
    return Reply(rendered.status, reason, fields, rendered.body, method=method)


def headers_of(fields: Sequence[tuple[bytes, bytes]]) -> list[Pair]:
    """Header fields in order; bytes that are not UTF-8 as `\\xNN`."""
    return [(text(n), text(v)) for n, v in fields]


def closes(values: Sequence[bytes]) -> bool:
    """True if these values of `Connection` headers say `close`."""
    tokens = {token.strip(b" \t") for value in values for token in value.lower().split(b",")}
    return b"close" in tokens


def _last(status: int, fields: Fields, method: str) -> bool:
    of = {name.lower() for name, _ in fields}
    if b"connection" in of and closes([v for n, v in fields if n.lower() == b"connection"]):
        return True
    if method == "HEAD" or status < 200 or status in _NO_BODY:
        return False
    # Its end is the connection's: no length, or a coding that the sidecar does not produce.
    return b"content-length" not in of or b"transfer-encoding" in of


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
