"""The result of a check, as every output prints it. `app.gate.check` finds what is in it, and
`app.run.outputs` makes one of a gate, which waits for it: light to load.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from app.report.coverage import Coverage, count

Kind = Literal[
    "unplanned_host", "unplanned_endpoint", "unplanned_field", "unplanned_event", "missing_field",
    "type", "class", "cadence",
]  # fmt: skip
GateKind = Literal["sent", "not_complete"]
KINDS: Mapping[str, str] = {
    "unplanned_host": "a host that the contract does not name",
    "unplanned_endpoint": "an endpoint that the contract does not name",
    "unplanned_field": "a field that the contract does not name",
    "unplanned_event": "an event that the contract does not name",
    "missing_field": "a request without a field that every one must carry",
    "type": "a field of another type than planned",
    "class": "a field whose values are of a class that was not planned, or that a person or the "
    "profile now says is of one",
    "cadence": "requests more than twice as often as planned",
}


# In a gate's outputs alone.
GATE_KINDS: Mapping[str, str] = {
    "sent": "something was sent that the gate does not allow",
    "not_complete": "coverage is not complete, so more may have been sent",
}


class Violation(msgspec.Struct, kw_only=True, frozen=True):
    """`kind` is an id in KINDS or GATE_KINDS; `field` a field's path, an event's name, or "".
    `says` is a whole sentence. `count` captures of `of`, which is 0 where no captures are counted;
    `example` is the id of one, "" if none is kept."""

    kind: Kind | GateKind
    host: str
    method: str = ""
    endpoint: str = ""
    field: str = ""
    says: str
    count: int
    of: int
    first_seen: str
    last_seen: str
    example: str = ""

    @property
    def where(self) -> str:
        return " ".join(filter(None, (self.host, self.method, self.endpoint, self.field)))

    @property
    def times(self) -> str:
        return (
            f"{self.count} of {self.of} captures" if self.of else count(self.count, "time", "times")
        )


class Checked(msgspec.Struct, kw_only=True):
    """`file` is the contract's; `of` says whose captures were checked, `captures` how many;
    `unchecked` what could not be checked, so that a check without a violation proves nothing of it,
    `doubts` what else could not be told, `kept` the planned endpoints that were called, without a
    violation (None: not told), `declared` what of it the vendor documents. `gate`: the sentence of
    one, whose gaps are among the violations; "" for a check, with its `coverage`."""

    file: str
    profile: str = ""
    of: str = ""
    captures: int = 0
    planned: list[tuple[str, str, str]]  # host, method, route
    kept: list[tuple[str, str, str]] | None = None
    violations: list[Violation]
    doubts: list[str]
    unchecked: list[str] = []
    declared: str = ""
    coverage: Coverage | None
    gate: str = ""


def markdown() -> str:
    """The table of kinds in the documents."""
    rows = [*KINDS.items(), *((id, f"{says} (a gate alone)") for id, says in GATE_KINDS.items())]
    return "| Violation | Means |\n|---|---|\n" + "".join(
        f"| `{id}` | {says} |\n" for id, says in rows
    )
