"""Finds in requests which field is the product's version, and which fields tell of somebody.

Called by `app.learn.draft`. Names and values are a sender's: all that is found is bounded.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from app.contract.actions import OBSERVE
from app.contract.classes import SURE, members, title
from app.contract.decoding.pairs import AGENT
from app.contract.decoding.read import Content, for_conditions
from app.contract.decoding.tree import THEN, Opened, is_attribute, plain_path
from app.contract.masking.spelling import joined
from app.contract.record import CaptureRecord, Pair, Request, first
from app.contract.rules import Profile, Rule, Seen, product_version
from app.learn.opened import TOKENS
from app.profiles.compile import extract
from app.profiles.schema import Extract as ExtractAs
from app.store.classes import class_of
from app.store.inventory import NODES, content_of, observe

MOST = 60  # sensitive fields of a draft
_VERSION = re.compile(r"v?\d{1,6}([._]\d{1,6}){1,3}([-+._][0-9A-Za-z.+-]{1,40})?")
# How a version is written -> the regex that cuts it out.
_WRITTEN = (
    (_VERSION, ""),
    (re.compile(r"[^@\s]{1,100}@v?\d+(\.\d+)+\S{0,40}"), "@(.+)"),
    (re.compile(r"[^\d@]{1,20}\d+(\.\d+)+\S{0,40}"), r"(\d+(?:\.\d+)+.*)"),
)
# Fields that a profile can name.
_PLACE = re.compile(rf"(query|header|body|path)({THEN}[\w{THEN}-]{{1,60}})?(\[\])?\.\S.{{0,190}}")
_NAMED = frozenset(("version", "ver", "v", "release"))
# Words of a name that make its version another software's.
_OTHERS = frozenset(
    ("python", "os", "kernel", "lib", "library", "sdk", "schema", "protocol", "api", "node", "go",
     "java", "runtime", "platform", "browser", "k8s", "kubernetes", "db", "database", "tls", "http",
     "format", "spec", "model", "libc", "distro", "compiler", "arch", "client", "tracker", "dv",
     "ruby", "php", "net", "torch", "tensorflow", "docker", "distribution", "engine", "vsn",
     "jsonrpc", "rpc", "xmlns", "soap", "wire", "manifest", "terms", "consent", "eula")
)  # fmt: skip
_OURS = frozenset(("app", "application", "product", "service", "server"))
# User-Agents of libraries, which say nothing of the product.
_LIBRARIES = re.compile(
    r"(?i)mozilla|python|requests|urllib|httpx|aiohttp|node|undici|axios|got|okhttp|java|go-http|"
    r"curl|wget|ruby|faraday|reqwest|hyper|dart|php|guzzle|ua|otel|opentelemetry|grpc|aws-sdk|"
    r"libwww|apache|jersey|feign|resty|fasthttp|websocket|tornado|rest-client|typhoeus|cpp-httplib"
)
_LIBRARY = re.compile(rf"header\.{AGENT}(?:{THEN}\w+)?\.(?:{_LIBRARIES.pattern[4:]})", re.I)
_AGENT = re.compile(r"([A-Za-z][\w.-]{1,60})/v?(\d+(?:\.\d+)+)")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
# Classes whose values a draft keeps as tokens.
_TOLD = frozenset(("contact", "network", "licence", "secret", *members("identifier")))
_KEYS = frozenset(("key", "auth", "credential", "credentials"))  # last words of headers
_VAGUE = frozenset(("id", "name", "value", "key", "type", "data", "ip", "user", "v"))
_CARRIERS = frozenset(
    ("host", "content-length", "content-type", "accept", "connection", "accept-encoding",
     "traceparent", "tracestate", "b3", "x-amzn-trace-id", "x-request-id", "x-correlation-id",
     "idempotency-key", "sec-websocket-key", "surrogate-key", "x-cache-key")
)  # fmt: skip


class Look(NamedTuple):
    """One request, decoded once: its fields as the inventory names them, with type and shape."""

    record: CaptureRecord
    request: Request
    content: Content
    fields: dict[str, set[tuple[str, str]]]

    @property
    def sender(self) -> tuple[str, str, str]:
        by = self.record.workload
        return by.namespace, by.pod, self.record.program.name if self.record.program else ""


def look(record: CaptureRecord) -> Look | None:
    """None for a record without a request that was read."""
    content = content_of(record)
    seen = observe(record, (), content)
    if record.request is None or seen is None:
        return None
    fields: dict[str, set[tuple[str, str]]] = {}
    for path, type, shape in sorted(seen.fields):  # the draft of the same requests is the same
        if not _PLACE.fullmatch(path):
            continue
        fields.setdefault(path, set()).add((type, shape))
    return Look(record, record.request, content, fields)


class VersionSource(NamedTuple):
    """`values` are those that were seen, `regex` cuts it out, `at` are the looks that have it."""

    field: str
    regex: str
    values: list[str]
    at: frozenset[int] = frozenset()  # their ids


class Hidden(NamedTuple):
    """A row of `sensitive`; `why` for a comment."""

    field: str
    how: str
    why: str


def versions(looks: Sequence[Look], words: frozenset[str]) -> list[VersionSource]:
    """The fields that may be the product's version, the likeliest first. `words` are the
    product's own."""
    found: list[tuple[float, VersionSource]] = []
    names = Counter(
        path for one in looks for path, forms in one.fields.items() if _may_be(path, forms)
    )
    libraries = [f"header.{AGENT}"] if all(map(_is_library, looks)) else []
    libraries += [path for path in names if _LIBRARY.match(path)]
    for path in libraries:
        names.pop(path, None)
    for path, count in names.most_common(200):
        said = version_of(_plain(path), "", looks)
        values = [value for value in said if value]
        fits = (cut for look, cut in _WRITTEN if values and all(map(look.fullmatch, values)))
        regex = next(fits, None)
        if regex is None or not _is_constant(said, looks):
            continue
        if regex:
            values = [value for value in version_of(_plain(path), regex, looks) if value]
        score = _score(path, words) + count / len(looks)
        at = frozenset(id(one) for value, one in zip(said, looks, strict=True) if value)
        found.append((score, VersionSource(_plain(path), regex, sorted({*values})[:5], at)))
    found += [(0.5, one) for one in _agents(looks)]
    return [one for score, one in sorted(found, key=lambda f: (-f[0], f[1].field)) if score > 0]


def _may_be(path: str, forms: set[tuple[str, str]]) -> bool:
    if any(shape == "version" for _, shape in forms):
        return True
    said = _words(path)[-1:]
    return bool(said) and said[0] in _NAMED and any(t in ("string", "number") for t, _ in forms)


def _score(path: str, words: frozenset[str]) -> float:
    steps = plain_path(path).split(".")
    said = _words(steps[-1])
    around = {word for step in steps[-2:] for word in _words(step)}
    score = 2.0 if said and said[-1] in _NAMED else 0.0
    score += 2.0 if around & (_OURS | words) else 0.0
    score += 1.0 if len(said) == 1 and len(steps) <= 3 else 0.0
    score -= len(steps) / 100  # of two that are alike the one nearer to the top
    return score - (4.0 if around & (_OTHERS - words) else 0.0)


def _is_constant(said: Sequence[str], looks: Sequence[Look]) -> bool:
    """True if no sender changes it: a product has one version at a time, and one update at most."""
    by_sender: dict[tuple[str, str, str], set[str]] = {}
    for value, one in zip(said, looks, strict=True):
        if value:
            by_sender.setdefault(one.sender, set()).add(value)
    return all(len(values) <= 2 for values in by_sender.values())


def _is_library(one: Look) -> bool:
    return bool(_LIBRARIES.match(first(one.request.headers, AGENT)))


def _agents(looks: Sequence[Look]) -> Iterator[VersionSource]:
    said = [_AGENT.search(first(one.request.headers, AGENT)) for one in looks]
    names = {m[1] for m in said if m}
    if len(names) == 1 and all(said) and not _LIBRARIES.match(name := next(iter(names))):
        values = sorted({m[2] for m in said if m})[:5]
        at = frozenset(map(id, looks))
        yield VersionSource(f"header.{AGENT}", f"{re.escape(name)}/v?([0-9.]+)", values, at)


def version_of(field: str, regex: str, looks: Sequence[Look], route: str = "") -> list[str]:
    """Lists the values that a profile with this `version_from` finds, one a request."""
    place = extract(ExtractAs(field=field, regex=regex or None))
    profile = Profile("x", "", (), (), version_from=(place,))
    rule = Rule("x", OBSERVE, route=route)
    return [
        product_version(
            profile,
            Seen(
                method=one.request.method,
                host=one.request.host,
                path=one.request.path,
                query=one.request.query,
                headers=one.request.headers,
                json=for_conditions(one.content),
            ),
            rule,
        )
        for one in looks
    ]


def _plain(path: str) -> str:
    """The inventory's name as people write it: without decodings."""
    where, _, name = path.partition(".")
    plain = plain_path(name)
    listed = ".*" if where.endswith("[]") else ""
    return f"{where.partition(THEN)[0].removesuffix('[]')}{listed}.{plain}"


def sensitive(looks: Sequence[Look], versions: Sequence[VersionSource] = ()) -> list[Hidden]:
    """Fields that tell of a person, a machine or an installation, at most MOST."""
    others = {one.field for one in versions}
    dotted, nested = _keys(looks)
    found: dict[str, Hidden] = {}  # by lower case: a profile's names have none
    for one in looks:
        # A text that was opened: what is in it has fields of its own.
        carriers = {path.rpartition(THEN)[0] for path in one.fields if THEN in path}
        for path, forms in one.fields.items():
            if path in carriers or _plain(path) in others or len(found) >= MOST:
                continue
            if hidden := _hidden(path, forms):
                steps = plain_path(path).split(".")
                ends = (".".join(steps[at:]) for at in range(len(steps)))
                whole = next((end for end in ends if end in dotted), "")
                if whole and hidden.field.startswith("body.") and hidden.field[5:] not in nested:
                    hidden = hidden._replace(field=f"any.{whole.replace('.', '_')}")
                found.setdefault(hidden.field.lower(), hidden)
    return [*found.values()]


def _keys(looks: Sequence[Look]) -> tuple[set[str], set[str]]:
    """Keys with dots in them (`host.name`, as OpenTelemetry has), and pairs of keys one in the
    other: rows name the two in different ways."""
    dotted: set[str] = set()
    nested: set[str] = set()
    for one in looks:
        left: list[tuple[str, Any]] = [("", one.content.value)]
        for _ in range(NODES):
            if not left or len(dotted) + len(nested) > NODES:
                break
            above, value = left.pop()
            if isinstance(value, Opened):
                left.append((above, value.value))
            elif is_attribute(value):
                dotted.add(str(value["key"]))
            elif isinstance(value, Mapping):
                for key, inner in value.items():
                    nested.add(f"{above}.{key}")
                    dotted.add(key)
                    left.append((key, inner))
            elif isinstance(value, list | tuple):
                left += [(above, inner) for inner in value]
    return {key for key in dotted if "." in key}, nested


def kept_as_tokens(masked: Iterable[Pair], rows: Sequence[Hidden]) -> Iterator[Hidden]:
    """Rows for what `run --open` kept as tokens and no row names: a draft keeps no more of it."""
    named = _named(rows)
    for _, by in masked:
        if by in TOKENS and joined(by) not in named:
            named.add(joined(by))
            yield Hidden(f"any.{by}", "token", "kept as a token so far")


def beside_rows(masked: Iterable[Pair], rows: Sequence[Hidden]) -> Iterator[str]:
    """Names, in words, the masked fields that none of the `rows` is for."""
    named = _named(rows)
    for place, by in masked:
        if joined(by) not in named and joined(place.partition(".")[2]) not in named:
            yield place if "." in place or not by else f"{by} in the {place}"


def _named(rows: Sequence[Hidden]) -> set[str]:
    return {joined(row.field.partition(".")[2]) for row in rows}


def _hidden(path: str, forms: set[tuple[str, str]]) -> Hidden | None:
    if path.startswith("header.") and path[7:] in _CARRIERS:
        return None
    shapes = {shape for _, shape in forms}
    if shapes & {"masked", "version", "timestamp"}:
        return None
    if path.startswith("header.") and _words(path)[-1] in _KEYS and THEN not in path:
        return Hidden(path, "mask", "secret, by name key")
    for type, shape in sorted(forms):
        found = class_of(path, type, shape)
        if found.id in _TOLD and found.confidence >= SURE and type in ("string", "integer"):
            why = f"{title(found.id)}, by {found.by}"
            return Hidden(_short(path), "mask" if found.id == "secret" else "token", why)
    return None


def _short(path: str) -> str:
    """As a profile names it: by its last step, where that is a name of its own."""
    where, _, name = path.partition(".")
    steps = [step for step in plain_path(f".{name}").split(".") if step not in ("", "*")]
    where = where.partition(THEN)[0].removesuffix("[]")
    if where == "path":
        return f"path.{name}"
    leaf = steps[-1] if steps else name
    if "".join(_words(leaf)) in _VAGUE and where == "body" and len(steps) > 1:
        return f"body.{steps[-2]}.{leaf}"
    return f"any.{leaf}" if "".join(_words(leaf)) not in _VAGUE else f"{where}.{leaf}"


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name[-200:])]
