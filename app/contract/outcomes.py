"""One table of outcomes of requests and connections, in five words for people.

`outcome` finds a record's, from what roll-ups keep of it. The store counts by it at write time;
reports, the API and `telemock run` print its words.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from app.contract.actions import ACTIONS, OUTLINED
from app.contract.faults import REHEARSED

Word = Literal["answered", "delivered", "passed", "refused", "failed"]

# What a reader is told; "delivered" and "passed" are said only of what arrived.
WORDS: Mapping[Word, str] = {
    "answered": "Answered here",
    "delivered": "Delivered to the vendor",
    "passed": "Passed through untouched",
    "refused": "Refused",
    "failed": "Failed",
}


class Outcome(NamedTuple):
    """`unseen`: what was to be sent was not seen, so coverage is not complete; `remedy` helps."""

    word: Word
    says: str
    unseen: bool = False
    remedy: str = ""


OUTCOMES: Mapping[str, Outcome] = {
    "answered": Outcome("answered", "answered in the vendor's place; none of it was delivered"),
    "delivered": Outcome("delivered", "forwarded, and the real host answered"),
    "passed": Outcome(
        "passed", "forwarded, and the real host answered; only its bytes were counted"
    ),
    "relayed": Outcome("passed", "relayed to its host without being opened"),
    "unread": Outcome(
        "passed",
        "relayed to its host, but could not be read",
        unseen=True,
        remedy="find out which protocol it speaks; a profile whose host has `unmatched: block` "
        "refuses it",
    ),
    "refused": Outcome("refused", "refused here; none of it was delivered"),
    "rehearsed": Outcome("answered", "met a rehearsal's fault here; none of it was delivered"),
    "rehearsed_connection": Outcome(
        "refused",
        "met a rehearsal's fault before anything was sent",
        unseen=True,
        remedy="what would have been sent shows once the rehearsal has ended",
    ),
    "refused_underway": Outcome(
        "refused", "refused when a part was on its way: the real host may have that part"
    ),
    "unanswered": Outcome(
        "failed",
        "forwarded, but no answer came: the real host may have all of it, a part, or nothing",
    ),
    "not_delivered": Outcome("failed", "failed here; none of it was delivered"),
    "certificate_refused": Outcome(
        "failed",
        "the client did not accept the sidecar's certificate, and sent nothing",
        unseen=True,
        remedy="let the client trust the sidecar's authority: the annotations telemock.io/trust "
        "and telemock.io/own-ca in a cluster, `telemock ca` on a laptop; a client with a list of "
        "its own keeps refusing it",
    ),
    "certificate_old": Outcome(
        "failed",
        "the sidecar's authority is older than the profile's host and may not sign for it, so the "
        "client refused, and sent nothing",
        unseen=True,
        remedy="restart the pod, or the sidecar and its clients: they get an authority that may",
    ),
    "tls_failed": Outcome(
        "failed",
        "the TLS handshake failed, and nothing was sent",
        unseen=True,
        remedy="`telemock captures list --kind tls_rejected` shows what the client said",
    ),
    "no_request": Outcome(
        "failed",
        "the connection ended without a request",
        unseen=True,
        remedy="`telemock captures list --kind failed` shows how each ended; a client that checks "
        "certificates late leaves so, and one that opens connections in advance does too",
    ),
}  # fmt: skip

_NEVER_SENT = frozenset(("upstream_unreachable", "bad_request", "loop", "blocked"))
_CERTIFICATE = frozenset(
    (
        "client_refused_certificate", "closed_in_handshake", "closed_after_handshake",
    )
)  # fmt: skip


def outcome(kind: str, action: str, answered_by: str, reason: str) -> str:
    """The id of the outcome, "" for a log line. Total: what another version says is judged by who
    answered."""
    if kind == "log":
        return ""
    if kind == "tls_rejected":
        if reason == "certificate_not_covering":
            return "certificate_old"
        return "certificate_refused" if reason in _CERTIFICATE else "tls_failed"
    if answered_by == "upstream" or (kind == "message" and _forwarded(action)):
        # Also when the client left meanwhile, or the answer broke off: the host had answered.
        return _delivered(kind, action, reason)
    if kind == "spliced":
        if reason in _NEVER_SENT:
            return "not_delivered"
        return "unanswered" if reason == "upstream_failed" else _delivered(kind, action, reason)
    if reason == REHEARSED and not _forwarded(action):
        return "rehearsed" if action else "rehearsed_connection"
    if kind == "refused":
        underway = _forwarded(action) and reason not in _NEVER_SENT
        return "refused_underway" if underway else "refused"
    if kind == "failed":
        if not action:
            return "no_request"
        underway = _forwarded(action) and reason not in _NEVER_SENT
        return "unanswered" if underway else "not_delivered"
    return "unanswered" if _forwarded(action) else "answered"


def markdown() -> str:
    """The table of outcomes in the documents."""
    head = "| Outcome | In the report | That is | A gap |\n|---|---|---|---|\n"
    return head + "".join(
        f"| `{id}` | {WORDS[row.word]} | {row.says} | {'yes' if row.unseen else ''} |\n"
        for id, row in OUTCOMES.items()
    )


def word_of(id: str) -> Word:
    row = OUTCOMES.get(id)
    return row.word if row else "failed"


def _forwarded(action: str) -> bool:
    row = ACTIONS.get(action)  # type: ignore[call-overload]
    return row is not None and row.fate == "forwarded"


def _delivered(kind: str, action: str, reason: str) -> str:
    if kind == "spliced":
        return "unread" if reason == "not_http" else "relayed"
    return "passed" if action in OUTLINED else "delivered"
