"""The class that a field's name tells.

Used by `app.store.classes`. A name is read as its words, in any spelling: `userName`, `USER_NAME`
and `username` are `user name`; and behind the names of what it belongs to, so that `name` in `user`
is one too. The longest phrase that a name ends with counts: of `user count` the count.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from typing import NamedTuple

from app.contract.masking.fields import ALONE, ENDS, HEADERS, ONLY_ENDS
from app.contract.masking.spelling import Meanings, words
from app.store.class_rules import PROTOCOL, RULES, B, N, NameRule, S

_PROTOCOL = NameRule("configuration", "header of the protocol", 0.8)
_CREDENTIAL = NameRule("secret", "credential", 0.9)
_CREDENTIALS = frozenset((
    "credential", "credentials", "cookie", "cookies", "dsn", "auth", "api key", "webhook",
    "webhook url", "secrets", "csrf", "xsrf", "session cookie", "auth header",
))  # fmt: skip

_HEADS = (
    "user|host|machine|computer|node|device|install|installation|instance|cluster|org|organization|"
    "organisation|company|tenant|account|customer|project|session|client|anonymous|distinct|pod|"
    "domain|full|first|last|nick|display|server|serial|service|app|product|build|plan|country|city|"
    "time|postal|zip|ip|mac|remote|home|working|work|current|file|package|module|phone|license|"
    "licence|team|workspace|event|trace|span|request|message|batch|visitor|group|owner|system|"
    "hardware|agent|site|store|database|process|container|deployment|job|screen|login|real|os|"
    "kernel|git|commit|usage"
)
_TAILS = (
    "ids?|uuid|guid|uid|names?|key|version|zone|code|address|addr|dir|directory|path|number|agent|"
    "ver|hash|type|stamp|model|count|url|stats"
)
_GLUED = re.compile(f"({_HEADS})({_TAILS})")  # words that are written together
_AHEAD = (
    (re.compile(r"(?i)k8s|kubernetes"), " kube "),
    (re.compile(r"(?i)(?<![a-z])ipv[46]"), " ip "),
    (re.compile(r"(?<![a-z])md5|M[dD]5|((?<![a-z])sha|S[hH][aA])-?(1|256|512)(?![0-9])"), " hash "),
    (re.compile(r"(?i)(?<![a-z])p(?:50|75|9\d|99\d)(?![a-z0-9])"), " percentile "),
    (re.compile(r"(?i)e-mail"), " email "),
)
_STEP = re.compile(r"[.:/]+")
_DECODED = re.compile(r"›[^.\[›]*|\[\d*\]")
_STEPS, _LONGEST = 3, 4  # names of a path, and words of a phrase


@cache
def spelled(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case."""
    for pattern, word in _AHEAD:
        name = pattern.sub(word, name)
    found: list[str] = []
    for word in words(name):
        glued = _GLUED.fullmatch(word)
        found += glued.groups() if glued else [word]
    return tuple(found)


def rule_of(path: str, type: str) -> NameRule | None:
    """The rule that a field's name fits best, None where it tells nothing."""
    where, *names = [one for one in _STEP.split(_DECODED.sub("", path)) if one] or [""]
    if where == "header" and ".".join(names).lower() in PROTOCOL:
        return _PROTOCOL
    if not names:
        return None
    last = spelled(names[-1])
    while len(last) > 1 and last[-1].isdigit():  # address2
        last = last[:-1]
    ahead = (word for name in names[-_STEPS:-1] for word in spelled(name))
    whole = (*ahead, *last)
    table = _tables()[type]
    for word in last:
        if (rule := table.words.get(word)) and rule.id == "licence":
            return rule
    rule = _by_phrase(table, whole, last)
    if type == S and (rule is None or rule.id != "licence") and _is_secret(whole, names[-1], last):
        return _CREDENTIAL
    return rule


def _by_phrase(table: "_Table", whole: tuple[str, ...], last: tuple[str, ...]) -> NameRule | None:
    found = table.whole.get(" ".join(last)) if len(whole) == len(last) else None
    for length in range(min(_LONGEST, len(whole)), 0, -1):
        phrase = " ".join(whole[-length:])
        if rule := table.ends.get(phrase):
            return found if found and length <= len(last) and length == 1 else rule
        if length == len(last) and (rule := table.whole.get(phrase)):
            return rule
    return next((table.words[word] for word in reversed(last) if word in table.words), None)


class _Table(NamedTuple):
    ends: dict[str, NameRule]
    whole: dict[str, NameRule]
    words: dict[str, NameRule]


@cache
def _tables() -> Mapping[str, _Table]:
    tables = {type: _Table({}, {}, {}) for type in (S, N, B)}
    for rule in RULES:
        for type in rule.types:
            for table, said in zip(tables[type], (rule.ends, rule.whole, rule.words), strict=True):
                for phrase in _phrases(said):
                    table.setdefault(phrase, rule)
    return tables


def _phrases(said: str) -> Iterator[str]:
    for phrase in filter(None, said.split(",")):
        yield from map(" ".join, product(*(word.split("|") for word in phrase.split())))


@cache
def _secrets() -> Meanings:
    found = Meanings((*ENDS, *ONLY_ENDS))
    for name in (*ENDS, *ALONE, *HEADERS):
        found.add(name, "mask")
    return found


def _is_secret(whole: tuple[str, ...], name: str, last: tuple[str, ...]) -> bool:
    meaning = _secrets().meaning
    return (
        meaning(name) is not None
        or (last != ("pwd",) and meaning("_".join(whole)) is not None)  # a working directory
        or any(" ".join(last[-n:]) in _CREDENTIALS for n in (1, 2))
    )
