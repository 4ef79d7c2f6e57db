"""The rows that every store's lists return: sums by endpoint, version, sender, field and boot.

The rest of the app imports them from `app.store`.
"""

import msgspec

from app.contract.presence import Presence


class TrafficRow(msgspec.Struct, kw_only=True):
    """Traffic by the dimensions that were asked for, in their order. `at_ns` is the beginning of
    its step of time, 0 where none was asked for."""

    at_ns: int
    by: tuple[str | int, ...]
    count: int
    bytes_out: int
    first_ns: int
    last_ns: int


class EndpointRow(msgspec.Struct, kw_only=True):
    """Traffic of one endpoint. `bytes_out` left the workload, `bytes_in` came back, both as body
    bytes (of a spliced connection: all bytes). `statuses` counts by HTTP status; 0 is none.
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
    workloads: int  # number that used this profile, host, method and route


class VersionRow(msgspec.Struct, kw_only=True):
    """One version of a profile's product, "" for requests without one."""

    profile: str
    version: str
    count: int
    first_ns: int
    last_ns: int


class SenderRow(msgspec.Struct, kw_only=True):
    """A sender to one host, by version and outcome: an id of `app.contract.outcomes`, "" of records
    that a version stored which did not tell. On a machine without pods `pod` is the client's
    address."""

    namespace: str
    pod: str
    node: str
    image: str
    profile: str
    host: str
    version: str
    outcome: str
    count: int
    bytes_out: int
    first_ns: int
    last_ns: int


class FieldRow(msgspec.Struct, kw_only=True):
    """One field of one endpoint and version: present in `count` of `requests`.

    `path` begins with `query.`, `header.` or `body.`. `type` and `shape` are those of
    `app.store.inventory`; a field seen with two types has two rows. The path OTHER counts
    observations of fields over the inventory's limit.

    `class_` is one of `app.contract.classes`, "" of an object or array. `class_by` says who said
    so: a detector (`name machine`, `value email`, `type boolean`), `profile`, or `person`, then
    `who` is their name and `class_at_ns` when.
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
    class_: str = msgspec.field(name="class", default="")
    class_by: str = ""
    confidence: float = 0.0
    who: str = ""
    class_at_ns: int = 0


class SketchRow(msgspec.Struct, kw_only=True):
    """The number of different values among `looked` of a field's values, all versions together;
    about, unless it `is_exact`."""

    profile: str
    host: str
    method: str
    route: str
    path: str
    looked: int
    distinct: int
    is_exact: bool


class NoteRow(msgspec.Struct, kw_only=True):
    """A `Note` of one endpoint's records, all versions together."""

    profile: str
    host: str
    method: str
    route: str
    part: str
    why: str
    count: int
    first_ns: int
    last_ns: int


class EventRow(msgspec.Struct, kw_only=True):
    """Events of one name that one endpoint's requests reported, in one version. The name is "" for
    events without one, OTHER for names beyond the limit."""

    profile: str
    host: str
    method: str
    route: str
    version: str
    name: str
    count: int
    first_ns: int
    last_ns: int


class BootRow(msgspec.Struct, kw_only=True):
    """One start of a sidecar (or app): `count` of its records up to `max_seq` were ever stored,
    pruned ones included. Its own account says how many it `numbered`, and which of them it `lost`
    for what reason.

    `heard_ns` is 0, and `said` empty, of boots whose requests were not noted.

    Once it has `ended`, `missing` counts all numbered records that are not stored, and `lost` gives
    a reason for each. Before, it counts gaps between stored numbers, or as many as are known to be
    lost: some may be on their way.
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
    heard_ns: int = 0  # last request of any kind
    left: bool = False
    said: Presence = Presence()
