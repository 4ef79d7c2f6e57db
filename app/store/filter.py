"""The filter language of the page, the command line and the API: one grammar for all three.

`host:cdn.cribl.io version>=4.16 action:mock,observe field:lic -status:2xx "free text" since:7d`

Every term must hold. `read` makes a CaptureQuery of the text, `write` the text of its terms;
`matcher` says of one record what a store says in its own language.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, get_args

import msgspec

from app.contract.actions import ACTIONS, Kind
from app.contract.classes import NAMES as NAMES_OF_CLASSES
from app.contract.classes import members
from app.contract.instant import instant
from app.contract.outcomes import OUTCOMES, WORDS, outcome, word_of
from app.contract.record import CaptureRecord, decode
from app.store import CaptureQuery, QueryError, Term
from app.store.classes import NO_WORDS, ClassWords
from app.store.facts import endpoint_of, facet
from app.store.inventory import observe
from app.store.versions import version_number

TEXT = ("host", "path", "route", "rule", "version", "namespace", "pod", "reason")
ORDERED = (">=", "<=", ">", "<")
LONGEST = 2_000  # characters of a filter
TERMS = 40
VALUES = 40  # of all terms
# Names of what is in a record and not in the store's facets: found by reading records.
FROM_RECORDS = ("field", "class", "image", "outcome")
_OPENED = ("gzip", "zstd", "base64-in-json")


class Name(NamedTuple):
    """A name that a term may begin with."""

    help: str
    example: str
    values: tuple[str, ...] = ()  # all there are
    ordered: bool = False  # takes >= and the like


NAMES: Mapping[str, Name] = {
    "host": Name("host that the client meant", "host:*.cribl.io"),
    "profile": Name("profile that names the host", "profile:cribl"),
    "version": Name("version of the product", "version>=4.16", ordered=True),
    "action": Name("what the rule did", "action:mock,observe", tuple(ACTIONS)),
    "outcome": Name(
        "how it ended, in one of five words or exactly",
        "outcome:delivered",
        (*WORDS, *(id for id in OUTCOMES if id not in WORDS)),
    ),
    "status": Name("status of the answer, or its class", "-status:2xx", ordered=True),
    "method": Name("HTTP method", "method:POST"),
    "path": Name("path as it was sent", "path:/telemetry/*"),
    "field": Name("field of the request, by its path or last name", "field:lic"),
    "class": Name(
        "class of a field, as a person, its profile or a detector says; or a group of classes",
        "class:secret",
        NAMES_OF_CLASSES,
    ),
    "namespace": Name("namespace of the sender", "namespace:logs"),
    "pod": Name("pod of the sender", "pod:cribl-worker-*"),
    "image": Name("image of the sender's application", "image:*/cribl:4.16*"),
    "rule": Name("rule that took it", "rule:telemetry"),
    "route": Name("endpoint: the rule's path as a template", "route:/telemetry/*"),
    "kind": Name("kind of record", "kind:tls_rejected", get_args(Kind)),
    "reason": Name("reason of a failure or refusal", "reason:app_unreachable"),
    "since": Name("from then on: an age, or a time (UTC)", "since:7d"),
    "until": Name("before then", "until:2026-01-31T12:00"),
}
_HINT = "hint: " + ", ".join(NAMES) + '; or text in quotes, such as "index.html"'
_WORD = re.compile(r'(-?)(?:([a-z]+)(>=|<=|>|<|:|=))?((?:"(?:[^"\\]|\\.)*"|[^\s"])*)(?:\s+|$)')
_VALUE = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,"]+)|(,)')


def read(text: str, query: CaptureQuery | None = None) -> CaptureQuery:
    """Adds the text's terms to the query. Raises QueryError."""
    query = query or CaptureQuery()
    terms = list(query.terms)
    times: dict[str, int] = {}
    for term in _terms(text):
        if term.name in ("since", "until"):
            times[f"{term.name}_ns"] = _time(term)
        else:
            terms.append(term)
    if len(terms) > TERMS or sum(len(term.values) for term in terms) > VALUES:
        raise QueryError(f"the filter has more than {TERMS} terms, or {VALUES} values")
    return msgspec.structs.replace(query, terms=tuple(terms), **times)


def write(query: CaptureQuery) -> str:
    """The text that `read` makes these terms and times of."""
    words = [word(term) for term in query.terms]
    for name, value in (("since", query.since_ns), ("until", query.until_ns)):
        if value is not None:
            words.append(f"{name}:{value}")
    return " ".join(words)


def times(text: str) -> str:
    """The text's own words for `since` and `until`, which `read` makes times of."""
    found = (word for word in _WORD.finditer(text.strip()) if word[2] in ("since", "until"))
    return " ".join(word[0].strip() for word in found)


def word(term: Term) -> str:
    """One term as it is written."""
    values = ",".join(map(_quoted, term.values))
    name = f"{term.name}{term.op}" if term.name else ""
    if not name:
        values = '"' + re.sub(r'(["\\])', r"\\\1", term.values[0]) + '"'
    return f"{'-' * term.negated}{name}{values}"


def markdown() -> str:
    """The table of names in the documents."""
    rows = ["| Name | Meaning | Such as |", "|---|---|---|"]
    for name, known in NAMES.items():
        values = f": {', '.join(f'`{v}`' for v in known.values)}" if known.values else ""
        rows.append(f"| `{name}` | {known.help}{values} | `{known.example}` |")
    return "\n".join(rows) + "\n"


def _terms(text: str) -> Iterator[Term]:
    if len(text) > LONGEST:
        raise QueryError(f"the filter has {len(text)} characters, the limit is {LONGEST}")
    text, at = text.strip(), 0
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            raise QueryError(
                f"the filter has a quote without its end: {text[at:][:60]}"
                '\n\nhint: \\" within quotes is a quote itself'
            )
        at = found.end()
        minus, name, op, rest = found.groups()
        yield _term(bool(minus), name or "", op or "", rest, found[0].strip())


def _term(negated: bool, name: str, op: str, rest: str, text: str) -> Term:
    if not name:
        if ":" in rest and not rest.startswith('"') and (given := rest.partition(":")[0]).isalpha():
            raise QueryError(f"the filter has no name {given!r}\n\n{_HINT}")
        value = "".join(_unquoted(*m.groups()) for m in _VALUE.finditer(rest))
        if not value:
            raise QueryError(f"the filter has an empty text: {text[:60]}\n\n{_HINT}")
        return Term("", ":", (value,), negated)
    if name not in NAMES:
        raise QueryError(f"the filter has no name {name[:40]!r}\n\n{_HINT}")
    known = NAMES[name]
    op = ":" if op == "=" else op
    values: list[str] = []
    fresh = True
    for found in _VALUE.finditer(rest):
        if found[3]:
            fresh = True
            continue
        part = _unquoted(*found.groups())
        values[len(values) - (not fresh) :] = [part if fresh else values[-1] + part]
        fresh = False
    if op != ":" and not known.ordered:
        raise QueryError(f"{name} has no order: {text[:60]}\n\nhint: write {name}:VALUE")
    if not values:
        raise QueryError(f"{name} has no value: {text[:60]}\n\nhint: such as {known.example}")
    if op != ":" and len(values) > 1:
        raise QueryError(f"{name}{op} takes one value: {text[:60]}")
    term = Term(name, op, tuple(values), negated)
    _check(term, known)
    return term


def _check(term: Term, known: Name) -> None:
    for value in term.values:
        if known.values and value not in known.values:
            raise QueryError(
                f"{term.name} is {value[:40]!r}\n\nhint: one of {', '.join(known.values)}"
            )
        if term.name == "status":
            statuses(value)
        if term.name == "version" and term.op in ORDERED and not version_number(value):
            raise QueryError(
                f"version{term.op}{value[:40]} compares no number\n\nhint: such as {known.example}"
            )


def _time(term: Term) -> int:
    if term.negated or len(term.values) != 1:
        raise QueryError(f"{term.name} takes one time, such as {NAMES[term.name].example}")
    try:
        return instant(term.values[0])
    except ValueError as e:
        raise QueryError(f"{term.name}: {e}") from None


def _unquoted(quoted: str | None, plain: str | None, comma: str | None) -> str:
    if quoted is not None:
        return re.sub(r"\\(.)", r"\1", quoted)
    return plain or comma or ""


def _quoted(value: str) -> str:
    if value and not re.search(r'[\s",\\]', value):
        return value
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


def statuses(value: str) -> tuple[int, int]:
    """The first and last status of `404` or `4xx`. Raises QueryError."""
    text = value.lower()
    if re.fullmatch(r"[1-9]xx", text, re.ASCII):
        return int(text[0]) * 100, int(text[0]) * 100 + 99
    if re.fullmatch(r"\d{1,3}", text, re.ASCII):
        return int(text), int(text)
    raise QueryError(f"status is {value[:64]!r}, expected a number such as 404, or a class: 4xx")


def matcher(terms: tuple[Term, ...], words: ClassWords = NO_WORDS) -> Callable[[bytes], bool]:
    """A test of a record's line for all terms. `words` are said of classes."""

    def matches(line: bytes) -> bool:
        record = decode(line)
        return all(holds(term, record, words) for term in terms)

    return matches


def holds(term: Term, record: CaptureRecord, words: ClassWords = NO_WORDS) -> bool:
    return _found(term, record, words) != term.negated


def _found(term: Term, record: CaptureRecord, words: ClassWords) -> bool:
    if term.name == "field":
        seen = observe(record, _OPENED)
        paths = {field.path for field in seen.fields} if seen else set()
        return any(_is_field(path, value) for value in term.values for path in paths)
    if term.name == "class":
        seen = observe(record, _OPENED)
        of = endpoint_of(record)
        classes = {words.of(of, *field).id for field in seen.fields} if seen else set()
        return any(not classes.isdisjoint(members(value)) for value in term.values)
    if term.name == "outcome":
        return ended(term, record.kind, record.action, record.answered_by, record.reason)
    if term.name == "image":
        return any(pattern(v).fullmatch(record.workload.image) for v in term.values)
    return fits(term, facet(record)._asdict())


def ended(term: Term, kind: str, action: str, answered_by: str, reason: str) -> bool:
    """True if a term of outcomes names this one, whatever the term's sign."""
    of = outcome(kind, action, answered_by, reason)
    return bool(of) and any(value in (of, word_of(of)) for value in term.values)


def fits(term: Term, values: Mapping[str, str | int]) -> bool:
    """True if values by facet's name fit a term (whatever its sign) that needs no record."""
    if not term.name:
        sought = _lower(term.values[0])
        return any(sought in _lower(str(values[name])) for name in TEXT)
    value = values[term.name]
    if term.name == "status":
        return any(_in_order(term.op, int(value), *statuses(v)) for v in term.values)
    if term.op in ORDERED:
        number, than = version_number(str(value)), version_number(term.values[0])
        return bool(number) and _in_order(term.op, number, than, than)
    return any(pattern(v).fullmatch(str(value)) is not None for v in term.values)


def _in_order[T: (int, tuple[int, ...])](op: str, value: T, low: T, high: T) -> bool:
    match op:
        case ">=":
            return value >= low
        case ">":
            return value > high
        case "<=":
            return value <= high
        case "<":
            return value < low
    return low <= value <= high


def pattern(value: str) -> re.Pattern[str]:
    """`*` stands for any text."""
    return re.compile(".*".join(map(re.escape, value.split("*"))), re.DOTALL)


def _is_field(path: str, value: str) -> bool:
    return path == value or path.endswith((f".{value}", f".{value}[]"))


def _lower(text: str) -> str:
    """Lower case as SQLite's LIKE knows it: of ASCII."""
    return re.sub(r"[A-Z]", lambda m: m[0].lower(), text)
