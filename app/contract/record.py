"""CaptureRecord v1: the record of one exchange (or refused, failed, spliced connection).

Made by the sidecar and by the mock, carried as one JSON object per line, kept by the store. Reading
is tolerant: unknown fields are ignored here and survive in the stored bytes, so that an older app
keeps what a newer sidecar adds. Limits are enforced where records are made (`clip`) and where they
arrive (`decode`).
"""

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from app.contract.actions import Action as Action
from app.contract.actions import Kind as Kind
from app.contract.actions import Mode as Mode
from app.contract.names import WEB_PORTS

SCHEMA = 1
BODY_CAP = 256 * 1024  # bytes of a body that are kept; size and hash cover all of it
HEADER_CAP = 100  # headers that are kept of one message
VALUE_CAP = 8 * 1024  # characters of one header, query value or path that are kept
QUERY_CAP = 500  # query parameters that are kept
LINE_CAP = 4 * 1024 * 1024  # bytes of one encoded record

# Fields that `app.report.outgoing` adds to a record for its readers, in this order.
ADDED = ("id", "time", "trace_url")

Pair = tuple[str, str]
Sender = Literal["client", "server"]

Short = Annotated[str, msgspec.Meta(max_length=512)]
Boot = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16,32}$")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]  # a store keeps 64 bits

# The reasons why a record was lost, or a part of it was not kept: id -> sentence for people.
REASONS = {
    "queue_full": "records came faster than they could be written to the spool",
    "spool_full": "the spool reached its size limit before the app accepted its records",
    "disk_full": "the disk took no more, and no more records could wait in memory",
    "disk_error": "the disk failed, and no more records could wait in memory",
    "corrupt": "a spooled record was damaged and could not be read back",
    "refused": "the app refused the record",
    "too_large": "the encoded record was larger than the limit",
    "encoding": "the body's content encoding could not be undone, so it could not be masked",
    "unmaskable": "the body could not be read as its type says, so it could not be masked",
    "bounds": "it decodes to more, is nested deeper or has more parts than are read, so it could "
    "not be masked",
    "nameless": "the body's fields have no names (protobuf), and its profile calls some sensitive",
    "app_unreachable": "the app could not be reached in time",
    "app_error": "the app answered with an error",
    "circuit_open": "the app failed a moment ago and was not asked again",
    "client_refused_certificate": "the client did not accept the sidecar's certificate",
    "certificate_not_covering": "the client did not accept the sidecar's certificate, because the "
    "host is in the profiles since after the pod's start: restart the pod",
    "closed_in_handshake": (
        "the client left within the TLS handshake: it probably does not trust the sidecar's "
        "certificate"
    ),
    "closed_after_handshake": (
        "the client left right after the TLS handshake, without a request: it probably does not "
        "trust the sidecar's certificate, unless its other connections carried requests"
    ),
    "no_request": "the connection ended without a request",
    "tls_failed": "the TLS handshake with the client failed",
    "upstream_unreachable": "the real host could not be reached",
    "upstream_failed": "the connection to the real host broke or was not valid HTTP",
    "client_gone": "the client closed the connection before the answer",
    "too_many_connections": "more connections than the limit were open, and this was the idlest",
    "too_much_held": "all connections together held more bytes than the limit, and this the most",
    "head_timeout": "the TLS handshake or the request's head was not whole in time",
    "body_timeout": "the request's body made no progress for too long",
    "answer_timeout": "no answer came in time",
    "request_fields": "the request had more header lines than the limit",
    "response_head": "the head of the real host's answer was larger than the limit",
    "http2_flood": "more HTTP/2 streams were reset, or empty frames sent, than the limit",
    "websocket_size": "a WebSocket message was larger than the limit",
    "loop": "the destination is this proxy itself",
    "trailers": "a request with trailers cannot be forwarded",
    "blocked": "the rule refuses the request",
    "bad_request": "the request is no valid HTTP",
    "unjudged": "no rule can judge what the client sent, so it was refused and not forwarded",
    "not_http": "what the client sent is no HTTP, so it was relayed unread",
    "not_named": "no profile names the host, so the connection was not opened",
    "all_ended": "the time to look into all connections was over, so it was relayed unread",
    "rehearsal": "a rehearsal was in force: it met a fault in place of the usual answer",
    "killed": "the sidecar ended before it had written the record to the spool",
    "shutdown": "the sidecar was stopped before the exchange ended",
}


# A record is a tree of plain values: with gc off, Python does not look for cycles in it, which
# would cost a fifteenth of the ingest.


class Workload(msgspec.Struct, gc=False, omit_defaults=True, frozen=True):
    """The record's sender: from the downward API in a pod, from the machine on a laptop."""

    namespace: Short = ""
    pod: Short = ""
    uid: Short = ""
    node: Short = ""
    container: Short = ""
    image: Short = ""


class Program(msgspec.Struct, gc=False, omit_defaults=True, frozen=True):
    """The program that sent it, on a laptop: its name, and the id of its process."""

    name: Short
    pid: Count = 0


class Endpoint(msgspec.Struct, gc=False, omit_defaults=True, frozen=True):
    """One end of a connection, as the kernel names it."""

    address: Short
    port: int = 0


class Body(msgspec.Struct, gc=False, omit_defaults=True, kw_only=True):
    """A body after its content encoding was undone, masked and truncated; `size` and `sha256` are
    of all bytes on the wire. `text`, or `base64` (bytes that are not UTF-8), or neither."""

    text: str | None = None
    base64: str | None = None
    size: Count = 0
    sha256: Short = ""
    truncated: bool = False
    withheld: Short = ""  # id in REASONS: why no content is kept
    misnamed: bool = False  # it is not encoded as its Content-Encoding says


class Request(msgspec.Struct, gc=False, omit_defaults=True, kw_only=True):
    """`path` is raw (still percent-encoded, without the query); `query` is decoded, in order."""

    method: Short
    scheme: Short = "https"
    host: Short = ""
    port: int = 443
    path: str = "/"
    query: list[Pair] = []
    http_version: Short = ""
    headers: list[Pair] = []
    left_out: Count = 0  # headers and parameters over the limits
    chunk_extensions: bool = False  # there were such, which are not kept
    body: Body | None = None


class Response(msgspec.Struct, gc=False, omit_defaults=True, kw_only=True):
    status: Annotated[int, msgspec.Meta(ge=0, le=999)]
    reason: Short = ""
    http_version: Short = ""
    headers: list[Pair] = []
    left_out: Count = 0
    body: Body | None = None


class Tls(msgspec.Struct, gc=False, omit_defaults=True, kw_only=True):
    """TLS on the client's side of the connection."""

    sni: Short = ""
    version: Short = ""
    alpn: Short = ""


class Message(msgspec.Struct, gc=False, omit_defaults=True, kw_only=True):
    """One WebSocket message, or one line of a connection without HTTP. `of` is the id of the
    exchange that opened it, of a line that of the connection's first record."""

    of: Short
    sender: Sender
    body: Body
    line: bool = False


class Log(msgspec.Struct, gc=False, omit_defaults=True, kw_only=True):
    """One line of a sidecar's own log."""

    level: Short
    message: str
    logger: Short = ""


class Searched(msgspec.Struct, gc=False, omit_defaults=True, kw_only=True):
    """The outcome of the search for known values, made before the masking. `found`: source, field
    and way, never a value; `fields` were searched; `skipped` says what could not be."""

    found: list[tuple[Short, Short, Short]] = []
    fields: Count = 0
    skipped: list[Short] = []


class CaptureRecord(msgspec.Struct, gc=False, omit_defaults=True, kw_only=True):
    """One record. `boot` names a start of the process that made it and `seq` counts its records
    from 1 without a gap, so that a gap in the store tells how many are missing."""

    schema: int = SCHEMA
    boot: Boot
    seq: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    kind: Kind
    time_ns: Count  # UTC, first byte
    clock_ns: Count = 0  # the sender's clock if it cannot be right: `time_ns` is then ours
    duration_ns: Count = 0  # to the answer's last byte
    answer_ns: Count = 0  # the part of it spent waiting for the mock or the real host
    workload: Workload = Workload()
    profile: Short = ""
    rule: Short = ""
    route: Short = ""  # the rule's path as a template: bounded, for names and labels
    action: Action | Literal[""] = ""
    mode: Mode | Literal[""] = ""
    answered_by: Literal["", "app", "sidecar", "upstream"] = ""
    # The parts that the rule took in another reading, or unread: name, path, method, body.
    judged_by: Short = ""
    reason: Short = ""  # id in REASONS
    detail: str = ""  # a library's message, truncated and masked
    client: Endpoint | None = None
    program: Program | None = None
    destination: Endpoint | None = None
    request: Request | None = None
    response: Response | None = None
    tls: Tls | None = None
    sent: Count = 0  # bytes of the connection's two directions, if no request was read
    received: Count = 0
    message: Message | None = None
    log: Log | None = None
    trace_id: Short = ""
    span_id: Short = ""
    product_version: Short = ""
    mask_key: Short = ""  # id of the key behind this record's tokens
    # Fields of which something was masked, each with the name or the detector that called for it.
    masked: list[tuple[Short, Short]] = []
    canary: Searched | None = None  # where known values were looked for

    @property
    def id(self) -> str:
        return f"{self.boot}-{self.seq}"

    @property
    def sent_by(self) -> str:
        """The client, for people: its program on a laptop, else its address."""
        if self.program:
            return f"{self.program.name} (pid {self.program.pid})"
        return self.client.address if self.client else ""

    @property
    def host(self) -> str:
        """The host that the client meant: HTTP's, else TLS', else the address."""
        if self.request and self.request.host:
            return self.request.host
        if self.tls and self.tls.sni:
            return self.tls.sni
        return self.destination.address if self.destination else ""


def line_of(record: CaptureRecord) -> Body | None:
    """Bytes that a client sent without HTTP."""
    message = record.message
    return message.body if message and message.line and message.sender == "client" else None


def bodies_of(record: CaptureRecord) -> list[Body]:
    holders = (record.request, record.response, record.message)
    return [holder.body for holder in holders if holder is not None and holder.body is not None]


def rough_size(record: CaptureRecord, query: int | None = None) -> int:
    """Bytes that a record holds in memory, about: what peers choose, and a share for the rest.
    `query`: characters of the parameters, where they are known."""
    size = 2000 + len(record.detail)
    for body in bodies_of(record):
        size += len(body.text or "") + len(body.base64 or "")
    for part in (record.request, record.response):
        if part is not None:
            size += sum(len(n) + len(v) + 100 for n, v in part.headers)
    if record.request is not None:
        if query is None:
            query = sum([len(n) + len(v) for n, v in record.request.query])
        size += query + 100 * len(record.request.query)
    return size


class RecordError(ValueError):
    """A line that is not a record of this schema; the text tells where it is wrong."""


_decoder = msgspec.json.Decoder(CaptureRecord)
_encoder = msgspec.json.Encoder()


def encode(record: CaptureRecord) -> bytes:
    """One line of JSON without its end. Control characters are escaped: they never break a line."""
    return _encoder.encode(record)


def decode(line: bytes) -> CaptureRecord:
    """The record in one line of JSON.

    Raises RecordError if it is too long, not JSON, of another schema or breaks a limit.
    """
    if len(line) > LINE_CAP:
        raise RecordError(f"record of {len(line)} bytes, the limit is {LINE_CAP}")
    try:
        record = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise RecordError(str(e)) from None
    if record.schema != SCHEMA:
        raise RecordError(f"schema {record.schema} is not known here, expected {SCHEMA}")
    return record


def text(raw: bytes | str) -> str:
    """Captured bytes as text: UTF-8, with `\\xNN` for bytes that are not.

    Lone surrogates (libraries carry such bytes in a str as these) become the same.
    """
    if isinstance(raw, str):
        if raw.isascii():
            return raw
        try:
            data = raw.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            data = raw.encode("utf-8", "surrogatepass")
    else:
        data = raw
    return data.decode("utf-8", "backslashreplace")


def bracketed(host: str) -> str:
    """A name or address as it stands before a port."""
    return f"[{host}]" if ":" in host else host


def joined(pairs: Iterable[Pair], name: str) -> str:
    """All values under that (lower case) name, as HTTP joins them."""
    return ", ".join([value for given, value in pairs if given.lower() == name])


def origin(scheme: str, host: str, port: int) -> str:
    """The origin of a URL, without the scheme's default port."""
    return f"{scheme}://{bracketed(host)}" + ("" if port == WEB_PORTS.get(scheme) else f":{port}")


def first(pairs: Iterable[Pair], name: str) -> str:
    """The first value of that (lower case) name, "" for none."""
    for given, value in pairs:
        if len(given) == len(name) and given.lower() == name:
            return value
    return ""


def note(body: Body | None) -> str:
    """Says what is special about a body's content; "" for a whole body as text."""
    if body is None:
        return ""
    if body.withheld:
        return f"withheld: {REASONS.get(body.withheld, body.withheld)}"
    said = (
        "base64" if body.base64 is not None else "",
        "cut" if body.truncated else "",
        "not encoded as its Content-Encoding says" if body.misnamed else "",
    )
    return ", ".join(filter(None, said))


def short(raw: bytes | str) -> str:
    """`text`, truncated to the length of a `Short` field."""
    found = text(raw)
    return found if len(found) <= 512 else cut(found, 511)


def cut(raw: str, cap: int) -> str:
    """At most `cap` characters, with a mark if there were more: there the masking looks for the
    beginning of a value."""
    return raw if len(raw) <= cap else raw[:cap] + "…"


def clip(pairs: list[Pair], cap: int) -> tuple[list[Pair], int]:
    """At most `cap` pairs, each name and value `cut` to VALUE_CAP; and the number left out."""
    kept = pairs[:cap]
    for i, (name, value) in enumerate(kept):
        if len(name) > VALUE_CAP or len(value) > VALUE_CAP:
            kept[i] = cut(name, VALUE_CAP), cut(value, VALUE_CAP)
    return kept, max(0, len(pairs) - cap)
