"""The format of a profile: strict, every key known, every value of its type.

Read by `compile`, which turns it into the contract's types; `app.generate` writes its JSON Schema.
The descriptions are the format's documentation.
"""

import re
from typing import Annotated, Any, Literal, Self

import re2
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from app.contract.actions import ACTIONS, ANSWERED, LACKING, UNTAKEN, Action, HostAction, sentences
from app.contract.names import REDIRECTED_PORTS
from app.profiles.about import Cadence, Evidence, Licence, Pages, Switch
from app.profiles.fields import FieldClassName, FieldName, Model, Name, Text, VersionField, short
from app.profiles.fields import check as _check
from app.profiles.problems import shown, wrong

Decoder = Literal[
    "query", "json", "ndjson", "form", "multipart", "xml", "csv", "envelope", "jsonp", "pairs",
    "protobuf", "base64-in-json", "gzip", "zstd",
]  # fmt: skip

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST = re.compile(r"(?=.{1,254}$)(\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[?[0-9a-f:]+\]?)")
_WITH_PORT = re.compile(r"([a-z0-9._-]+):(\d{1,5})")
_DELAY = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")
_DELAY_CAP_MS = 60_000
_LONGEST_HEADER = 8_000
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})
_QUIET = re2.Options()
_QUIET.log_errors = False


def _regex(value: str) -> str:
    try:
        re2.compile(value, _QUIET)
    except re2.error as e:
        reason = e.args[0].decode("utf-8", "replace") if e.args else "it does not parse"
        raise wrong(
            f"{shown(value)} is not an RE2 regular expression: {reason}",
            "RE2 runs in linear time and so knows no look-around and no back-references",
        ) from None
    return value


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        hint = "write `api.example.com`, or `.example.com` for every name below it"
        if value.startswith("*."):
            hint = f"write {value[1:]!r} for every name below it"
        elif value != value.lower():
            hint = f"write {value.lower()!r}"
        elif (port := _WITH_PORT.fullmatch(value)) is not None:
            hint = f"a profile's `hosts` take {{name: {port[1]}, ports: [{port[2]}]}}"
        raise wrong(
            f"{shown(value)} is not a host name in lower case, without scheme and port", hint
        )
    return value


def _path(value: str) -> str:
    if "?" in value or "#" in value:
        raise wrong(
            f"{shown(value)} is not a path alone",
            "conditions on the query stand under `query`, beside `path`",
        )
    if not value.startswith("/") or not value.isascii() or not value.isprintable() or " " in value:
        raise wrong(
            f"{shown(value)} is not a path as it stands in a request",
            "it begins with /, and other characters than ASCII are percent-encoded",
        )
    return value


def _one_or_many(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


_PRINTABLE = re.compile(r"[\t\x20-\x7e]*")

Id = Annotated[
    str,
    _check(
        re.compile(r"[a-z0-9][a-z0-9-]{0,62}").fullmatch,
        "{} is not an id",
        "lower-case letters, digits and hyphens, at most 63, beginning with a letter or digit",
    ),
]
Regex = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_regex)]
HostName = Annotated[str, AfterValidator(_host)]
RawPath = Annotated[str, AfterValidator(_path)]
HeaderName = Annotated[
    str,
    _check(_TOKEN.fullmatch, "{} is not the name of a header", "write letters, digits and hyphens"),
]
Method = Annotated[
    str,
    _check(
        lambda v: _TOKEN.fullmatch(v) and v == v.upper(),
        "{} is not a method in upper case",
        "write a word such as GET",
    ),
]
Delay = Annotated[
    str,
    _check(
        lambda v: (m := _DELAY.fullmatch(v)) and milliseconds(m[0]) <= _DELAY_CAP_MS,
        "{} is not a time of at most 60s",
        "write 200ms or 1.5s",
    ),
]


def milliseconds(delay: str) -> int:
    """Converts a Delay such as `200ms` or `1.5s`."""
    unit = 1 if delay.endswith("ms") else 1000
    return round(float(delay.rstrip("ms")) * unit)


class _OneOf(Model):
    """Exactly one of its keys is given."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = self.model_fields_set
        if len(given) != 1:
            names = ", ".join(type(self).model_fields)
            found = " and ".join(sorted(given)) or "none"
            raise wrong(f"expected one of {names}, found {found}")
        return self

    @property
    def chosen(self) -> tuple[str, Any]:
        (name,) = self.model_fields_set
        return name, getattr(self, name)


MOST_PORTS = 8  # of one host: with redirect loopback each is a listener
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]


def _other_ports(ports: list[int]) -> list[int]:
    for number, port in enumerate(ports):
        if port in REDIRECTED_PORTS:
            raise wrong(
                f"port {port} is led to the sidecar in any case",
                "list the other ones only, or leave `ports` out",
            )
        if port in ports[:number]:
            raise wrong(f"port {port} stands in the list twice", "keep one of them")
    return ports


class HostIs(Model):
    """One of the product's hosts; plain text means its name."""

    name: HostName
    unmatched: HostAction = Field(
        UNTAKEN,
        description="What happens to a request of this host that no rule takes. pass: forwarded "
        "untouched, count only. block: refused; name what is known to be harmless in rules with "
        "action pass.",
    )
    ports: Annotated[
        list[Port],
        Field(min_length=1, max_length=MOST_PORTS),
        AfterValidator(_other_ports),
    ] = Field(
        [],
        description="Its TCP ports besides 80 and 443. What comes there and is no HTTP is taken as "
        "lines, by the first rule that has no condition but `hosts`.",
    )


class PathIs(_OneOf):
    """How the raw path looks (percent-encoded as sent, without the query)."""

    exact: RawPath | None = None
    prefix: RawPath | None = None
    regex: Regex | None = Field(None, description="RE2; matches the whole path.")


class ValueIs(_OneOf):
    """A condition on a query parameter, header or JSON field; plain text means `equals`."""

    equals: str | None = None
    prefix: str | None = None
    contains: str | None = None
    regex: Regex | None = Field(None, description="RE2; found anywhere in the value.")
    present: Literal[True] | None = None
    absent: Literal[True] | None = None


OneHost = Annotated[HostIs, short("name", str | HostIs)]
OnePath = Annotated[PathIs, short("exact", str | PathIs)]
Condition = Annotated[ValueIs, short("equals", str | ValueIs)]
Paths = Annotated[
    list[OnePath],
    Field(min_length=1),
    BeforeValidator(_one_or_many, json_schema_input_type=str | PathIs | list[str | PathIs]),
]
Conditions = Annotated[dict[Name, Condition], Field(max_length=50)]


class Match(Model):
    """Empty means any. All parts must hold; one of the methods, hosts and paths suffices."""

    methods: list[Method] = Field([])
    hosts: list[HostName] = Field([], description="Some of the profile's hosts; empty means all.")
    path: Paths | None = Field(None, description="Exact text, {prefix: …}, {regex: …}, or a list.")
    query: Conditions = Field({}, description="By parameter.")
    headers: Conditions = Field({}, description="By header, in any case.")
    body: Conditions = Field({}, description="By dotted path in the JSON body, such as `a.b.0`.")


class Reply(Model):
    """One answer: status, headers and body."""

    status: Annotated[int, Field(ge=200, le=599)] = 200
    headers: Annotated[dict[HeaderName, str | list[str]], Field(max_length=100)] = Field({})
    body: str | None = None
    file: str | None = Field(
        None, description="A file beside the profile whose bytes are the body, at most 1 MiB."
    )
    template: str | None = Field(
        None, description="Jinja2 for the body, rendered by the app with request, now and counter."
    )
    fallback: str | None = Field(
        None, description="Body instead of the template's where the app cannot be reached."
    )
    delay: Delay | None = Field(None, description="Wait before the answer: 200ms, 1.5s; up to 60s.")
    fault: Literal["reset", "hang", "slow_body"] | None = Field(
        None,
        description="reset: the connection is cut. hang: no answer, then cut. slow_body: byte by "
        "byte. Each ends within 60 s.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        bodies = [n for n in ("body", "file", "template") if getattr(self, n) is not None]
        if len(bodies) > 1:
            raise wrong(f"{' and '.join(bodies)} are given, expected one body", "keep one of them")
        if self.fallback is not None and self.template is None:
            raise wrong("fallback without template", "write the text under `body`")
        if bodies and self.status in (204, 304):
            raise wrong(f"status {self.status} has no body, found {bodies[0]}", "remove the body")
        for name, value in self.headers.items():
            if name.lower() in _FRAMING:
                raise wrong(f"header {name!r} is set by telemock itself", "remove it")
            for text in [value] if isinstance(value, str) else value:
                if len(text) > _LONGEST_HEADER:
                    raise wrong(
                        f"header {name!r} has {len(text):,} characters, the limit is "
                        f"{_LONGEST_HEADER:,}",
                        "shorten it: clients take no more",
                    )
                if not _PRINTABLE.fullmatch(text):
                    raise wrong(
                        f"header {name!r} has a value that no header can carry: {shown(text)}",
                        "printable ASCII on one line",
                    )
        return self


class Answer(Reply):
    """What the client gets of a mock rule."""

    at: Literal["app", "sidecar"] = Field(
        "app", description="Who answers; the sidecar steps in when the app cannot be reached."
    )
    sequence: Annotated[list[Reply], Field(max_length=100)] = Field(
        [], description="Answers one after the other; the last one stays. Instead of a body."
    )
    websocket: bool = Field(False, description="Accept a WebSocket; `body` is its first message.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.sequence and (self.model_fields_set - {"sequence", "at"}):
            others = ", ".join(sorted(self.model_fields_set - {"sequence", "at"}))
            raise wrong(f"sequence and {others} are given", "put them into the sequence's answers")
        if self.websocket and (self.model_fields_set - {"websocket", "at", "body", "delay"}):
            raise wrong("a WebSocket's answer has only a body, its first message")
        needs = [
            n for n in ("template", "sequence", "websocket", "delay", "fault") if getattr(self, n)
        ]
        if self.at == "sidecar" and needs:
            raise wrong(
                f"the sidecar cannot answer with {needs[0]}",
                "remove `at: sidecar`: the app answers",
            )
        return self


def _action(value: Any) -> Any:
    if value in LACKING:
        row = ACTIONS[value]
        raise wrong(f"{value!r} {row.lacking}", f"use {row.instead}")
    return value


class Rule(Model):
    """The first rule of the profile that matches a request says what happens to it. One with action
    mock or block also takes a request that an earlier rule would forward, where it matches in
    canonical form or by another name that the request carries."""

    id: Id
    match: Match = Match()
    action: Annotated[Action, BeforeValidator(_action)] = Field(description=sentences())
    route: Name | None = Field(
        None, description="Name of the endpoint in reports and metrics; by default from the path."
    )
    answer: Answer | None = Field(None, description="Only with action mock; else an empty 200.")
    decode: list[Decoder] = Field(
        [], description="How to read the body, where neither its type nor its look says so."
    )

    @model_validator(mode="after")
    def _answered(self) -> Self:
        if self.answer is not None and self.action not in ANSWERED:
            raise wrong(
                f"an answer is given, but the action is {self.action}",
                "write `action: mock`, or remove the answer",
            )
        return self


class Extract(Model):
    """Where the product's version stands; the first group of `regex` cuts it out."""

    field: VersionField
    regex: Regex | None = None


class Sensitive(Model):
    """A field whose value is not kept as it came."""

    field: FieldName
    as_: Literal["drop", "mask", "token", "keep"] = Field(
        alias="as",
        description="drop: nothing is left of the value. mask: ***. token: equal values get equal "
        "tokens. keep: as it came, also where telemock would mask it by itself.",
    )


class ProfileFile(Model):
    """One vendor product: its telemetry hosts, its rules, and the evidence for both. Licence and
    evidence are asked for: a profile without them says so in every report."""

    model_config = ConfigDict(title="telemock profile")

    id: Id
    title: Text
    licence: Licence | None = None
    evidence: list[Evidence] = Field([])
    unknown: list[Text] = Field([], description="What is not known, in sentences.")
    cadence: Annotated[Cadence, short("every", str | Cadence)] | None = Field(
        None, description="How often it sends: 60s, 4h, 1d."
    )
    opt_out: list[Switch] = Field(
        [], description="The documented ways to switch it off. Each alone does what it says."
    )
    documented: Pages = Field(
        [], description="What the vendor says is sent; reports compare it with what was."
    )
    hosts: Annotated[list[OneHost], Field(min_length=1)] = Field(
        description="Exact names, or .suffix for every name below it; {name: …, unmatched: block} "
        "for one that refuses what no rule takes."
    )
    version_from: list[Annotated[Extract, short("field", str | Extract)]] = Field(
        [], description="Where the product's version stands; the first that is there counts."
    )
    sensitive: list[Sensitive] = Field([], description="Fields that are not kept as they came.")
    classes: Annotated[dict[FieldName, FieldClassName], Field(max_length=500)] = Field(
        {},
        description="What fields tell, where the vendor's own words say so: a field's name as in "
        "`sensitive`, and its class, such as identifier.installation. It beats the class that "
        "telemock found, and a person's word beats it.",
    )
    safe_query: list[Name] = Field([], description="Parameters that spans and log lines may show.")
    rules: Annotated[list[Rule], Field(min_length=1, max_length=500)]
