"""The store of captures: the promises that every store keeps, and its plain types.

`app.ingest.writer` writes, `app.api.read`, `app.report.build` and the CLI read.
`sqlite.SqliteStore` is the embedded store; every store passes tests/unit/app/store/suite.py.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec

from app.contract.record import CaptureRecord
from app.store.changes import ChangePage, ChangeQuery, InboxCounts, InboxItem, NewReview
from app.store.classes import ClassWords, ProfileClasses
from app.store.inventory import Observation
from app.store.rows import (
    BootRow as BootRow,
)
from app.store.rows import (
    EndpointRow as EndpointRow,
)
from app.store.rows import (
    EventRow as EventRow,
)
from app.store.rows import (
    FieldRow as FieldRow,
)
from app.store.rows import (
    NoteRow as NoteRow,
)
from app.store.rows import (
    SenderRow as SenderRow,
)
from app.store.rows import (
    SketchRow as SketchRow,
)
from app.store.rows import (
    TrafficRow as TrafficRow,
)
from app.store.rows import (
    VersionRow as VersionRow,
)
from app.store.written import (
    Heard as Heard,
)
from app.store.written import (
    NewField as NewField,
)
from app.store.written import (
    NewHost as NewHost,
)
from app.store.written import (
    SaidClass as SaidClass,
)
from app.store.written import (
    Told as Told,
)
from app.store.written import (
    Written as Written,
)

LIMIT = 1000  # captures in one page, at most
OTHER = "(other)"  # stands for names beyond the inventory's limit


class StoreError(Exception):
    """The store cannot be used. The text is meant for people, whole."""


class StoreFull(StoreError):
    """The disk is full. Nothing of the batch was stored: send it again later."""


class BusyError(StoreError):
    """Too many questions wait. Ask again later."""


SHORT_BOOT = 8  # characters of a boot id that a short one has at least


def short_id(id: str) -> str:
    """The id as people read and write it: `Store.capture` takes it too."""
    boot, _, seq = id.rpartition("-")
    return f"{boot[:SHORT_BOOT]}-{seq}"


class QueryError(ValueError):
    """The query is invalid or takes too long. The text is meant for people, whole."""


# Thousands of these exist at a time: gc=False spares Python the search for cycles.


CANARY = "canary"  # no part: its `why` is the source of a known value that was sent, and the way
PARTS = ("request", "response", "message", "record")

MASKED = "masked: "  # begins the `why` of a note; behind it what called for it


class Note(NamedTuple):
    """A part of a record that was not kept whole: one of PARTS.
    `why`: an id of `app.contract.record.REASONS`, or `cut` or `left_out`, for its bounds, or that
    something in it was masked; or a known value that was found."""

    part: str
    why: str


class EventCount(NamedTuple):
    """The events of one request that have this name, "" for those without one."""

    name: str
    number: int


class Facts(msgspec.Struct, gc=False):
    """A record's content, for roll-ups and inventory: bytes sent and received, the fields of its
    request, the parts that were not kept whole (`app.store.facts.notes`), and the events that it
    reports (`app.store.facts.events_of`)."""

    out: int
    in_: int
    seen: Observation | None
    notes: tuple[Note, ...] = ()
    events: tuple[EventCount, ...] = ()


class Incoming(Protocol):
    """A record on its way into the store, which `app.ingest.digest` makes of a line.

    A store reads of `record` only what `app.store.facts.narrowed` leaves; the rest of the content
    is in `facts`."""

    record: CaptureRecord
    facts: Facts

    @property
    def line(self) -> bytes:
        """The whole record as the store returns it: as it came, masked, with fields that this
        version does not know."""
        ...

    @property
    def log_line(self) -> bytes:
        """The record's line in the request log, b"" for none."""
        ...

    @property
    def size(self) -> int:
        """Bytes in memory, approximately."""
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


class Term(msgspec.Struct, frozen=True):
    """A condition of a filter, as `app.store.filter` reads it: any of `values`. `name` is "" for
    text, searched as `CaptureQuery.text` is; `op` is `:` or one of `>=`, `>`, `<=` and `<`."""

    name: str
    op: str
    values: tuple[str, ...]
    negated: bool = False


class CaptureQuery(msgspec.Struct, frozen=True, kw_only=True):
    """None means any; `namespaces` are all that the reader may read. `workload` is `namespace/pod`,
    `namespace/` or `pod`; `status` a number or a class such as "4xx"; `text` is searched, ignoring
    case, in host, path, route, rule, version, namespace, pod and reason. All `terms` must hold;
    with one that only the records themselves can answer, a page may have fewer items than `limit`
    (or none) and still a next one.

    `newest` and `oldest` sort by the records' own time; `arrival` by the time of storing, so that a
    reader who follows also gets late records.
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
    namespaces: tuple[str, ...] | None = None
    terms: tuple[Term, ...] = ()
    order: Literal["newest", "oldest", "arrival"] = "newest"
    cursor: str | None = None
    limit: int = 100


class Page(msgspec.Struct, frozen=True):
    """`items` are records as JSON. `next` asks for the following page, None on the last; `last` is
    the cursor behind the last item (or the query's), for readers who follow. `places` make a cursor
    of each item (`app.store.cursors`), behind the name of an order."""

    items: list[bytes]
    next: str | None
    last: str | None
    places: list[str] = []


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """A report's scope. Roll-ups are kept by the hour (UTC), senders by the day: a row counts whole
    when any of it lies between `since_ns` and `until_ns`."""

    since_ns: int | None = None
    until_ns: int | None = None
    profile: str | None = None


Dimension = Literal[
    "profile", "host", "method", "route", "version", "rule", "kind", "action", "answered_by",
    "status", "reason",
]  # fmt: skip


class Stats(msgspec.Struct, kw_only=True):
    """`bytes` on disk. `arrival` is a cursor (order `arrival`) behind everything stored so far."""

    records: int
    bytes: int
    schema: int
    arrival: str


class Pruned(NamedTuple):
    captures: int
    more: bool  # the limit of one call was reached first


Decoders = Callable[[str, str], Sequence[str]]  # profile and rule -> the rule's decoders


class NamespacePart(Protocol):
    """The rows of some namespaces' captures alone, as a Store lists them. `read` counts captures;
    all those later than `back_to_ns` were read, 0 if these are all there are."""

    @property
    def read(self) -> int: ...

    @property
    def back_to_ns(self) -> int: ...

    def endpoints(self, scope: Scope) -> list[EndpointRow]: ...

    def versions(self, scope: Scope) -> list[VersionRow]: ...

    def senders(self, scope: Scope) -> list[SenderRow]: ...

    def fields(self, scope: Scope) -> list[FieldRow]: ...

    def notes(self, scope: Scope) -> list[NoteRow]: ...

    def events(self, scope: Scope) -> list[EventRow]: ...


class Store(Protocol):
    """Thread-safe. Every method may raise StoreError, and those that read QueryError when the
    answer takes too long."""

    def write(self, batch: Sequence[Incoming], told: Sequence[Told] = ()) -> Written:
        """Atomic, durable and idempotent: stores the whole batch or nothing, on disk when it
        returns, and skips duplicates (same boot and seq, even if pruned, even within this batch).
        Inventory, roll-ups and accounts of boots change in the same step. Raises StoreFull."""
        ...

    def heard(self, boots: Sequence[Heard]) -> None:
        """Notes boots that were heard of, new ones too. Times and counts only grow."""
        ...

    def captures(self, query: CaptureQuery) -> Page:
        """Returns one page. Following `next` shows every capture that existed at the start exactly
        once, whatever is written meanwhile. Raises QueryError for a bad cursor, limit or status."""
        ...

    def capture(self, id: str) -> bytes | None:
        """Returns the record `BOOT-SEQ` as JSON, None when there is none. The first 8 characters of
        BOOT or more will do; raises QueryError if several records are meant."""
        ...

    def traffic(self, scope: Scope, by: Sequence[Dimension], hours: int = 0) -> list[TrafficRow]:
        """Sums the roll-up by these dimensions, and by steps of so many hours (0: no steps)."""
        ...

    def endpoints(self, scope: Scope = ...) -> list[EndpointRow]: ...

    def versions(self, scope: Scope = ...) -> list[VersionRow]: ...

    def senders(self, scope: Scope = ...) -> list[SenderRow]: ...

    def fields(self, scope: Scope = ...) -> list[FieldRow]:
        """Lists the inventory, which outlives the captures. Lists never read captures."""
        ...

    def say_class(self, said: SaidClass) -> bool:
        """Takes a person's word for a field's class, on disk when it returns, and in force from
        then on. False where the inventory has no such field."""
        ...

    def profiles_say(self, classes: ProfileClasses) -> None:
        """Takes the profiles' words on classes, from then on. They are not stored."""
        ...

    def words(self) -> ClassWords:
        """The words of people and profiles: the rows of `fields` and a query's `class` have the
        classes in force."""
        ...

    def said_classes(self, profile: str | None = None) -> list[SaidClass]:
        """Lists what people said last of each field, the oldest first."""
        ...

    def sketches(self, profile: str | None = None) -> list[SketchRow]:
        """Lists how many different values fields had. No value can be told from what is kept."""
        ...

    def notes(self, scope: Scope = ...) -> list[NoteRow]:
        """Lists what was not kept whole, and outlives the captures too."""
        ...

    def events(self, scope: Scope = ...) -> list[EventRow]:
        """Lists the events that requests reported, kept as long as the senders are."""
        ...

    def part(self, namespaces: Sequence[str], decoders: Decoders) -> NamespacePart:
        """Reads captures of these namespaces, because sums know none: the newest first, for some
        seconds at most. The next call goes on; later ones read what came since. A page gets what
        can be read at once (`questions.soon`), and more is read behind it."""
        ...

    def boots(self) -> list[BootRow]: ...

    def inbox(self, profile: str | None = None, after: int = 0) -> InboxCounts:
        """Counts the items, of all profiles or of one, with ids above `after`."""
        ...

    def changes(self, query: ChangeQuery) -> ChangePage:
        """Lists the inbox, which outlives the captures. Raises QueryError for a bad cursor."""
        ...

    def change(self, id: int) -> InboxItem | None: ...

    def decide(self, id: int, verdict: NewReview, revision: int | None = None) -> InboxItem | None:
        """Takes a decision, on disk when it returns; returns the item, None when there is none.
        Raises `app.store.changes.Stale` if the item has another revision."""
        ...

    def decide_all(self, query: ChangeQuery, verdict: NewReview) -> int:
        """Decides on all open items of the query, whatever its cursor and limit say of pages, and
        returns how many there were."""
        ...

    def stats(self) -> Stats: ...

    def prune(
        self, *, max_age_s: float | None = None, max_bytes: int | None = None, steps: int = 100
    ) -> Pruned:
        """Drops captures beyond the age, then the oldest by arrival until the rest fits, then old
        roll-ups; in at most `steps` short steps, so that writers get their turn."""
        ...

    def close(self) -> None:
        """Waits for the writer; later calls raise StoreError. Idempotent."""
        ...
