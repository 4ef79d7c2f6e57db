"""Finds the rule for what is no HTTP on a port that a profile's host names.

Asked by the sidecar for each connection to such a port.
"""

from collections.abc import Iterable

from app.contract.actions import KEPT_HERE, Mode
from app.contract.rules import Decision, RuleSet, action_of


def of_lines(rules: RuleSet, names: Iterable[str], port: int, mode: Mode | None) -> Decision | None:
    """The rule for what is no HTTP, on a port that one of these hosts names: the first without a
    condition that only a request can meet. Of several names' rules one that keeps it here goes
    first. None if no rule takes lines there."""
    found = None
    for name in names:
        for profile in rules.of_host(name):
            if not any(port in h.ports and h.matches(name) for h in profile.hosts):
                continue
            rule = next((r for r in profile.rules if r.match.takes_lines(name)), None)
            if rule is not None:
                decision = Decision(action_of(rule, mode), profile, rule, host=name)
                if decision.action in KEPT_HERE:
                    return decision
                found = found or decision
    return found
