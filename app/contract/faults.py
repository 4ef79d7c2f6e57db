"""The faults of a rehearsal: what the vendor's endpoints do instead of their usual answer.

The sidecar's `addon.app_client.profiles` puts those of requests over the rules, and answers by
itself; `addon.arrive.direct` fails connections; the injector checks what an annotation asks for;
`app.rehearse` runs a command under each.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, cast

from msgspec.structs import replace

from app.contract.actions import ANSWERED
from app.contract.instant import until
from app.contract.record import Pair
from app.contract.rules import Answer, Profile, RuleSet

REHEARSED = "rehearsal"  # a record's reason
_YEAR = timedelta(days=365)
SLOW_MS = 10_000
WANTED = (
    "a fault, then one rule's PROFILE/RULE (of a connection's fault: one HOST) if not all, and its "
    "end: 500 until 2h"
)
_ASKED = re.compile(r"(\S+)(?: (\S+))? until (\S+)")
_RULE = re.compile(r"[^/]+/[^/]+")
_HOST = re.compile(r"[a-z0-9_.-]+")

HostFailure = Literal["refused", "dropped", "tls-error"]
FAILURES: Mapping[HostFailure, str] = {
    "refused": "nobody listens there",
    "dropped": "connections are never answered",
    "tls-error": "the TLS handshake is refused by an alert",
}
ALERT = b"\x15\x03\x03\x00\x02\x02\x28"  # handshake_failure (RFC 8446, 6)


class EndpointFault(NamedTuple):
    says: str
    over: Callable[[Answer], Answer]  # the usual answer


def _status(status: int, body: str = "", *headers: Pair) -> Callable[[Answer], Answer]:
    answer = Answer(status, headers, body.encode())
    return lambda usual: answer


def _ahead(usual: Answer) -> Answer:
    plain = _plain(usual)
    others = tuple(pair for pair in plain.headers if pair[0].lower() != "date")
    date = f"{datetime.now(UTC) + _YEAR:%a, %d %b %Y %H:%M:%S} GMT"
    return replace(plain, headers=(*others, ("date", date)))


def _plain(usual: Answer) -> Answer:
    """The answer that the sidecar gives by itself: without template, sequence, delay and fault."""
    last = usual.sequence[-1] if usual.sequence else usual
    return Answer(last.status, last.headers, last.body)


FAULTS: Mapping[str, EndpointFault] = {
    "hang": EndpointFault(
        "no answer for 30 s, then the connection is cut",
        lambda usual: Answer(delay_ms=30_000, fault="reset"),
    ),
    "403": EndpointFault(
        "forbidden", _status(403, '{"error":"forbidden"}', ("content-type", "application/json"))
    ),
    "429": EndpointFault(
        "too many requests, try again after 30 s", _status(429, "", ("retry-after", "30"))
    ),
    "500": EndpointFault("internal error", _status(500)),
    "slow": EndpointFault(
        "the answer comes after 10 s", lambda usual: replace(_plain(usual), delay_ms=SLOW_MS)
    ),
    "clock": EndpointFault("the answer's Date is a year ahead", _ahead),
}


IDS = ", ".join((*FAILURES, *FAULTS))


class HostFault(NamedTuple):
    """The failure that connections to a host meet, for so many more seconds."""

    failure: HostFailure
    seconds: float


class Rehearsed(NamedTuple):
    """A fault of all rules that are answered, or of one (`profile/rule`), and its end; or one of
    connections to all hosts, or to one."""

    fault: str
    only: str
    end: datetime | timedelta

    @property
    def fails(self) -> bool:
        """True if it meets connections, not requests."""
        return self.fault in FAILURES

    def is_of(self, profiles: Iterable[Profile]) -> bool:
        """False if it is of one rule or host that none of these profiles has."""
        if self.fails:
            hosts = (host for profile in profiles for host in profile.hosts)
            return not self.only or any(host.matches(self.only) for host in hosts)
        rules = {f"{profile.id}/{rule.id}" for profile in profiles for rule in profile.rules}
        return not self.only or self.only in rules

    def of_host(self, host: str) -> HostFault | None:
        """The failure of connections to a profile's host, if they meet one now."""
        if not (self.fails and isinstance(self.end, datetime) and self.only in ("", host)):
            return None
        seconds = (self.end - datetime.now(UTC)).total_seconds()
        return HostFault(cast(HostFailure, self.fault), seconds) if seconds > 0 else None

    def counted_from(self, start: datetime) -> "Rehearsed":
        """The same, with the end as a point in time."""
        return self._replace(end=start + self.end) if isinstance(self.end, timedelta) else self

    @property
    def is_over(self) -> bool:
        return isinstance(self.end, datetime) and datetime.now(UTC) >= self.end

    def of(self, rules: RuleSet) -> RuleSet:
        """The rules under the fault; what is not answered stays as it is, and WebSockets do."""
        if self.fails:
            return rules
        return replace(rules, profiles=tuple(map(self._profile, rules.profiles)))

    def _profile(self, profile: Profile) -> Profile:
        over = FAULTS[self.fault].over
        found = tuple(
            replace(rule, answer=over(rule.answer), answer_at="rehearsal")
            if rule.action in ANSWERED
            and not rule.answer.websocket
            and self.only in ("", f"{profile.id}/{rule.id}")
            else rule
            for rule in profile.rules
        )
        return replace(profile, rules=found)


def asked(text: str) -> Rehearsed | None:
    """Parses a setting or annotation; None for no text. Raises ValueError."""
    if not text:
        return None
    found = _ASKED.fullmatch(text)
    try:
        end = until(found[3]) if found else None
    except ValueError:
        end = None
    if found is None or end is None or not (found[1] in FAULTS or found[1] in FAILURES):
        raise ValueError(WANTED)
    one = found[2] or ""
    if found[1] in FAILURES:
        one = one.lower().rstrip(".")
    if one and not (_HOST if found[1] in FAILURES else _RULE).fullmatch(one):
        raise ValueError(WANTED)
    return Rehearsed(found[1], one, end)
