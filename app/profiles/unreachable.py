"""Finds rules that can never match because an earlier one takes all of theirs: simple cases.

Called by `compile`. Any condition of the earlier rule on query, headers or body clears the later
one; two regular expressions are compared only as text.
"""

from collections.abc import Sequence

from app.contract.rules import Match, Path, Rule


def taken_before(rule: Rule, earlier: Sequence[Rule], *, lines: bool = False) -> Rule | None:
    """Returns the first of `earlier` that matches whatever `rule` matches. `lines`: there may be
    what is no HTTP, which rules without conditions take."""
    others = [e for e in earlier if e.match.is_bare or not (lines and rule.match.is_bare)]
    return next((e for e in others if _covers(e.match, rule.match)), None)


def _covers(wide: Match, narrow: Match) -> bool:
    if any(set(getattr(wide, p)) - set(getattr(narrow, p)) for p in ("query", "headers", "body")):
        return False
    if wide.methods and not (narrow.methods and set(narrow.methods) <= set(wide.methods)):
        return False
    if wide.hosts and not (
        narrow.hosts and all(any(w.covers(n) for w in wide.hosts) for n in narrow.hosts)
    ):
        return False
    if not wide.paths or Path("prefix", "/") in wide.paths:
        return True
    return bool(narrow.paths) and all(
        any(_path_covers(w, n) for w in wide.paths) for n in narrow.paths
    )


def _path_covers(wide: Path, narrow: Path) -> bool:
    if wide == narrow:
        return True
    if narrow.kind == "exact":
        return wide.matches(narrow.value)
    return wide.kind == narrow.kind == "prefix" and narrow.value.startswith(wide.value)
