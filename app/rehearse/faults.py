"""The faults of `telemock rehearse` (`app.contract.faults`): those of connections, which meet all
endpoints of a host since no request is known yet, and those of requests, which the sidecar answers.
"""

from typing import NamedTuple

from app.contract import faults


class Fault(NamedTuple):
    """`failure` is a connection's."""

    id: str
    says: str
    failure: faults.HostFailure | None = None


FAULTS = (
    *(Fault(id, says, id) for id, says in faults.FAILURES.items()),
    *(Fault(id, row.says) for id, row in faults.FAULTS.items()),
)
IDS = tuple(fault.id for fault in FAULTS)


def markdown() -> str:
    """The table for the documentation."""
    lines = ["| Fault | The endpoint | Where |", "|---|---|---|"]
    for fault in FAULTS:
        where = "connections to its host" if fault.failure else "requests to it"
        lines.append(f"| `{fault.id}` | {fault.says} | {where} |")
    return "\n".join(lines) + "\n"
