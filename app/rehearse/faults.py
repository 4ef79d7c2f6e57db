"""The faults of a rehearsal: what one endpoint does, while all others answer as usual."""

import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any, NamedTuple

from app.run.stage import HostFailure

_JSON = {"content-type": "application/json"}
YEAR_S = 365 * 86_400
SLOW = " " * 40  # a body for an answer that has none


class Fault(NamedTuple):
    """A connection's `failure` meets all endpoints of the host, since no request is known yet.
    `reply` is written over the endpoint's usual answer, or stands alone."""

    id: str
    says: str
    failure: HostFailure | None = None
    reply: Mapping[str, Any] = {}
    alone: bool = False


FAULTS = (
    Fault("refused", "nobody listens there", "refused"),
    Fault("dropped", "connections are never answered", "dropped"),
    Fault("tls-error", "the TLS handshake is refused by an alert", "tls-error"),
    Fault(
        "hang", "no answer for 30 s, then the connection is cut",
        reply={"delay": "30s", "fault": "reset"}, alone=True,
    ),
    Fault(
        "403", "forbidden",
        reply={"status": 403, "headers": _JSON, "body": '{"error":"forbidden"}'}, alone=True,
    ),
    Fault(
        "429", "too many requests, try again after 30 s",
        reply={"status": 429, "headers": {"retry-after": "30"}, "body": ""}, alone=True,
    ),
    Fault("500", "internal error", reply={"status": 500, "body": ""}, alone=True),
    Fault(
        "slow", "the answer comes byte by byte, 4 in a second",
        reply={"fault": "slow_body", "delay": "250ms"},
    ),
    Fault("clock", "the answer's Date is a year ahead"),
)  # fmt: skip
IDS = tuple(fault.id for fault in FAULTS)


def over(usual: Mapping[str, Any], fault: Fault) -> dict[str, Any]:
    """The profile's answer, under this fault."""
    if fault.alone:
        return dict(fault.reply)
    if replies := usual.get("sequence"):
        return {"sequence": [over(reply, fault) for reply in replies]}
    answer = {**usual, **fault.reply}
    answer.pop("at", None)  # the sidecar's own answers know no faults
    if fault.id == "slow":
        if not any(usual.get(key) for key in ("body", "file", "template")):
            answer["body"] = SLOW
        if usual.get("status") in (204, 304):
            answer["status"] = 200  # those have no body
    if fault.id == "clock":
        ahead = formatdate(time.time() + YEAR_S, usegmt=True)
        answer["headers"] = {**(usual.get("headers") or {}), "date": ahead}
    return answer


def markdown() -> str:
    """The table for the documentation."""
    lines = ["| Fault | The endpoint | Where |", "|---|---|---|"]
    for fault in FAULTS:
        where = "connections to its host" if fault.failure else "requests to it"
        lines.append(f"| `{fault.id}` | {fault.says} | {where} |")
    return "\n".join(lines) + "\n"
