"""The actions of rules, each declared once with all properties on which the code depends.

A *mode* is an action that replaces `mock`, for all rules at once. A new action is a row here, its
id in the types below, and a handler if its `Row.fate` does not suffice.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Action = Literal["mock", "observe", "block", "pass", "hold"]
Mode = Literal["mock", "observe", "block", "hold"]
ReadyMode = Literal["mock", "observe", "block"]
HostAction = Literal["block", "pass"]  # of a host, for requests that no rule takes

Kind = Literal["exchange", "message", "tls_rejected", "refused", "spliced", "failed", "log"]


class Row(NamedTuple):
    """`fate` of the request: the rule's answer, a refusal, or the real host. An action that this
    version lacks can be named, and is refused with `lacking` and `instead`."""

    fate: Literal["answered", "refused", "forwarded"]
    help: str
    kept: str = ""  # in the record
    outlined: bool = False  # its record has no header, query or content
    mode: bool = False  # may replace `mock`
    of_hosts: bool = False  # may be a host's action for requests that no rule takes
    lacking: str = ""
    instead: str = ""


ACTIONS: Mapping[Action, Row] = {
    "mock": Row(
        "answered", "answered in the vendor's place", "the request and our answer", mode=True
    ),
    "observe": Row("forwarded", "forwarded to the real host as it came", "both sides", mode=True),
    "block": Row("refused", "refused with 403", "the request", mode=True, of_hosts=True),
    "pass": Row(
        "forwarded",
        "forwarded as it came",
        "host, endpoint and bytes, no content",
        outlined=True,
        of_hosts=True,
    ),
    "hold": Row(
        "refused",
        "not in this version",
        mode=True,
        lacking="keeps requests for later delivery, sealed to the operator's public key, and this "
        "version cannot seal what it keeps",
        instead="observe (forward and record), or mock (answer here and record)",
    ),
}

OBSERVE: ReadyMode = "observe"  # of hosts that a person opens without saying more
MOCK: ReadyMode = "mock"  # replaced by a mode; also the action for requests to the app itself
UNTAKEN: HostAction = "pass"  # for requests that no rule takes, and connections not opened
DENIED: HostAction = "block"  # the same on a host that denies them, and if they cannot be judged

ANSWERED = frozenset(id for id, row in ACTIONS.items() if row.fate == "answered")
REFUSED = frozenset(id for id, row in ACTIONS.items() if row.fate == "refused")
FORWARDED = frozenset(id for id, row in ACTIONS.items() if row.fate == "forwarded")
KEPT_HERE = ANSWERED | REFUSED  # nothing reaches the vendor
OUTLINED = frozenset(id for id, row in ACTIONS.items() if row.outlined)

MODES = tuple(id for id, row in ACTIONS.items() if row.mode and not row.lacking)
LACKING = tuple(id for id, row in ACTIONS.items() if row.lacking)
MODES_TEXT = f"{', '.join(MODES[:-1])} or {MODES[-1]}"
MODES_WANTED = f"{', '.join(MODES)} or nothing" + "".join(
    f" ({id}: {ACTIONS[id].help})" for id in LACKING if ACTIONS[id].mode
)


def sentences() -> str:
    """Every action with its effect, for a schema's description."""
    return " ".join(
        f"{id}: {row.help}{row.kept and f'; kept: {row.kept}'}." for id, row in ACTIONS.items()
    )


def markdown() -> str:
    """The table of actions in the documents."""
    rows = [(id, row.help, row.kept) for id, row in ACTIONS.items() if not row.lacking]
    head = "| Action of a rule | What happens | What is kept |\n|---|---|---|\n"
    return head + "".join(f"| `{id}` | {help} | {kept} |\n" for id, help, kept in rows)
