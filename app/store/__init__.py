"""Where captures live: the promises every store keeps, and the plain types it speaks.

`app.ingest.writer` writes, `app.api.routes`, `app.report.build` and the CLI read.
`sqlite.SqliteStore` is the embedded store; every store passes tests/unit/app/store/suite.py.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

import msgspec

from app.contract.account import Account
from app.contract.record import CaptureRecord
from app.store.inventory import Observation

LIMIT = 1000  # captures in one page, at most
OTHER = "(other)"  # stands for a name once the inventory holds as many as it may


class StoreError(Exception):
    """The store cannot be used. The text is meant for people, whole."""


class StoreFull(StoreError):
    """The disk took no more. Nothing of the batch was kept: send it again later."""


class QueryError(ValueError):
    """A question the store cannot answer as asked. The text is meant for people, whole."""


# Thousands of these are on their way at a time: without gc, Python does not look for cycles there.


class Facts(msgspec.Struct, gc=False):
    """What roll-ups and inventory take from a record's content: bytes that left and came back, and
    the fields of its request."""

    out: int
    in_: int
    seen: Observation | None


class Incoming(Protocol):
    """A record on its way into the store, as `app.ingest.digest` makes it of a line.

    A store reads of `record` what `app.store.facts.narrowed` leaves, no more: what it takes from
    the content stands in `facts`."""

    record: CaptureRecord
    facts: Facts

    @property
    def line(self) -> bytes:
        """What the store gives back: the whole record as it came, masked, with fields that this
        version does not know."""
        ...

    @property
    def log_line(self) -> bytes:
        """The record's line in the request log, b"" for none."""
        ...

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        ...


class Decoded(msgspec.Struct, gc=False):
    """An `Incoming` that holds its lines."""

    record: CaptureRecord
    facts: Facts
    line: bytes
    log_line: bytes = b""

    @property
    def size(self) -> int:
        return len(self.line) + RECORD_SIZE


RECORD_SIZE = 1_000  # bytes of a narrowed record and its facts, about


class NewField(msgspec.Struct, frozen=True):
    """A field that an endpoint had never sent before, in any version."""

    profile: str
    host: str
    method: str
    route: str
    version: str
    path: str
    type: str


class NewHost(NamedTuple):
    """A host that the store had never seen in this profile, "" for hosts that none names."""

    profile: str
    host: str


class Told(NamedTuple):
    """A boot's account, and the pod that it comes from, "" where there are none."""

    account: Account
    namespace: str
    pod: str


class Written(NamedTuple):
    """`stored` are indexes into the batch; the rest were `duplicates` of what is already kept. Once
    a profile has as many endpoints as it may, its new hosts are not told any more. `accounts`: how
    many records are stored of each boot whose account was taken."""

    stored: list[int]
    duplicates: int
    new_fields: list[NewField]
    new_hosts: Sequence[NewHost] = ()
    accounts: Mapping[str, int] = MappingProxyType({})


class CaptureQuery(msgspec.Struct, frozen=True, kw_only=True):
    """None means any. `workload` is `namespace/pod`, `namespace/` or `pod`; `status` a number or a
    class such as "4xx"; `text` is looked for, in any case, in host, path, route, rule, version,
    namespace, pod and reason.

    `newest` and `oldest` go by the records' own time; `arrival` by when the store got them, so that
    a reader who follows misses none that came late.
    """

    since_ns: int | None = None
    until_ns: int | None = None
    kind: str | None = None
    host: str | None = None
    profile: str | None = None
    action: str | None = None
    version: str | None = None
    workload: str | None = None
    method: str | None = None
    status: int | str | None = None
    text: str | None = None
    order: Literal["newest", "oldest", "arrival"] = "newest"
    cursor: str | None = None
    limit: int = 100


class Page(msgspec.Struct, frozen=True):
    """`items` are records as JSON. `next` asks for the following page, None when this was the last;
    `last` is the cursor behind the last item (or the one asked with), for readers who follow."""

    items: list[bytes]
    next: str | None
    last: str | None


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What a report covers. Roll-ups are kept by the hour (UTC), senders by the day: a row counts
    whole when any of it lies between `since_ns` and `until_ns`."""

    since_ns: int | None = None
    until_ns: int | None = None
    profile: str | None = None


class EndpointRow(msgspec.Struct, kw_only=True):
    """What went one way. `bytes_out` left the workload, `bytes_in` came back, both as body bytes
    (of a spliced connection: all bytes). `statuses` counts by HTTP status; 0 is none.
    `duration_ns` is the sum."""

    profile: str
    host: str
    method: str
    route: str
    rule: str
    kind: str
    action: str
    answered_by: str
    reason: str
    statuses: dict[int, int]
    count: int
    bytes_out: int
    bytes_in: int
    duration_ns: int
    first_ns: int
    last_ns: int
    workloads: int  # that used this profile, host, method and route


class VersionRow(msgspec.Struct, kw_only=True):
    """One version of a profile's product, "" where the requests name none."""

    profile: str
    version: str
    count: int
    first_ns: int
    last_ns: int


class SenderRow(msgspec.Struct, kw_only=True):
    """Who sent to one host, by version. On a machine without pods `pod` is the client's address."""

    namespace: str
    pod: str
    node: str
    image: str
    profile: str
    host: str
    version: str
    count: int
    bytes_out: int
    first_ns: int
    last_ns: int


class FieldRow(msgspec.Struct, kw_only=True):
    """One field of one endpoint and version: present in `count` of `requests`.

    `path` begins with `query.`, `header.` or `body.`. `type` and `shape` are those of
    `app.store.inventory`; a field seen with two types has two rows. The path OTHER counts
    observations of fields over the inventory's limit.
    """

    profile: str
    host: str
    method: str
    route: str
    version: str
    path: str
    type: str
    shape: str
    count: int
    requests: int
    first_ns: int
    last_ns: int


class BootRow(msgspec.Struct, kw_only=True):
    """One start of a sidecar (or app): `count` of its records up to `max_seq` were ever stored.
    Pruned records stay counted. It says itself that it `numbered` so many, and which of them it
    `lost` for what reason.

    Once it has `ended`, `missing` are all that it numbered and that are not stored, and `lost` has
    a reason for each. Before, they are the gaps between stored numbers, or as many as it lost: some
    may be on their way.
    """

    boot: str
    namespace: str
    pod: str
    node: str
    max_seq: int
    count: int
    numbered: int
    missing: int
    lost: dict[str, int]
    ended: bool
    first_ns: int  # UTC, arrival
    last_ns: int


class Stats(msgspec.Struct, kw_only=True):
    """`bytes` on disk. `arrival` is a cursor (order `arrival`) behind everything stored so far."""

    records: int
    bytes: int
    schema: int
    arrival: str


class Pruned(NamedTuple):
    captures: int
    more: bool  # the limit of one call was reached first


class Store(Protocol):
    """Any method from any thread. Every one may raise StoreError, and those that read QueryError
    when the answer takes too long."""

    def write(self, batch: Sequence[Incoming], told: Sequence[Told] = ()) -> Written:
        """All of the batch or nothing. On return it is on disk, and what was written before (same
        boot and seq, also since pruned, also twice in this batch) is not kept again. Inventory,
        roll-ups and what is `told` of boots change in the same step. Raises StoreFull."""
        ...

    def captures(self, query: CaptureQuery) -> Page:
        """One page. Following `next` shows every capture that was there at the start exactly once,
        whatever is written meanwhile. Raises QueryError for a bad cursor, limit or status."""
        ...

    def capture(self, id: str) -> bytes | None:
        """The record `BOOT-SEQ` as JSON, None when there is none."""
        ...

    def endpoints(self, scope: Scope = ...) -> list[EndpointRow]: ...

    def versions(self, scope: Scope = ...) -> list[VersionRow]: ...

    def senders(self, scope: Scope = ...) -> list[SenderRow]: ...

    def fields(self, scope: Scope = ...) -> list[FieldRow]:
        """The inventory, which outlives the captures. None of these lists reads captures."""
        ...

    def boots(self) -> list[BootRow]: ...

    def stats(self) -> Stats: ...

    def prune(
        self, *, max_age_s: float | None = None, max_bytes: int | None = None, steps: int = 100
    ) -> Pruned:
        """Drop captures that are too old, then the first that came until the rest fits, then
        roll-ups that are too old; in at most `steps` short steps, writers between them."""
        ...

    def close(self) -> None:
        """Waits for the writer; later calls raise StoreError. Closing twice is fine."""
        ...
