"""The file of a contract: what one version of a product may send, reviewed in git.

`freeze` makes it, people edit it, `check` and `diff` read it; `app.generate` writes its JSON
Schema. It holds no value that was sent. Its order and one line a field keep git diffs small.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from app.contract.classes import NAMES
from app.profiles.about import Every
from app.profiles.fields import Model, Name, Text, check
from app.profiles.problems import ProfileError, ProfileProblem, from_pydantic, shown, wrong
from app.profiles.read import ProfileSource, parsed, read_bytes
from app.profiles.schema import HostName, Method
from app.store import OTHER
from app.store.inventory import PATH, TYPES

ENDPOINTS, FIELDS, EVENTS = 2_000, 4_000, 200  # of a file, of an endpoint, of an endpoint
_PARTS = ("query.", "header.", "path.", "body")
_LONGEST = 12 * PATH  # a character of a path that is no text is kept as `\\xed\\xa0\\x80`
_WRITTEN = object()  # the context of what people write
_LONGEST_KEY = 800  # characters of a key in one line; YAML's readers take 1,024


def _one_of(values: Sequence[str], what: str) -> AfterValidator:
    return check(values.__contains__, f"{{}} is not {what}", f"write one of {', '.join(values)}")


Type = Annotated[
    str, _one_of(TYPES, "a type"), Field(json_schema_extra={"enum": [*TYPES]})
]  # fmt: skip
Class = Annotated[
    str, _one_of(NAMES, "a class"), Field(json_schema_extra={"enum": [*NAMES]})
]  # fmt: skip
Endpoint = tuple[str, str, str]  # host, method, route


UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def seconds(every: str) -> int:
    """Converts a time such as `60s` or `4h`."""
    return int(every[:-1]) * UNITS[every[-1]]


class ContractField(Model):
    """One field of an endpoint's requests."""

    types: Annotated[list[Type], Field(min_length=1, description="As `telemock fields` has them.")]
    shapes: list[Name] = Field([], description="What its values look like; for people.")
    classes: list[Class] = Field([], description="Of its values; without any they are harmless.")
    said: Class | None = Field(
        None, description="The class that a person or the profile says it has, whatever its values "
        "look like."
    )  # fmt: skip
    documented: bool | None = Field(
        None, description="True if the vendor documents it; left out where no list is known."
    )
    presence: Literal["always", "sometimes", "few"] = Field(
        description="always: every request must carry it. sometimes: some do. few: all did, of too "
        "few to say always."
    )
    rate: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="The share of requests that carried it; with `sometimes`."
    )

    @model_validator(mode="after")
    def _rated(self) -> Self:
        if self.rate is not None and self.presence != "sometimes":
            raise wrong(
                f"rate {self.rate} beside presence {self.presence}",
                "remove `rate`, or write `presence: sometimes`",
            )
        return self


class ContractEndpoint(Model):
    """One endpoint that may be called."""

    host: HostName = Field(description="One of the contract's hosts.")
    method: Method = Field(description="In upper case.")
    route: str = Field(max_length=600, description="As reports name it; with its placeholders.")
    every: Every | None = Field(
        None, description="The mean time between two requests of one sender."
    )
    fields: Annotated[dict[str, ContractField], Field(max_length=FIELDS)] | None = Field(
        None, description="By path, such as query.v; without this key they are not judged."
    )
    events: Annotated[list[str], Field(max_length=EVENTS)] = Field(
        [], description=f"Names of the events in its batches; {OTHER} allows any others."
    )

    @property
    def key(self) -> Endpoint:
        return self.host, self.method, self.route

    @field_validator("fields", mode="before")
    @classmethod
    def _given(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.context is _WRITTEN:
            raise wrong(
                "`fields` without any would leave them open",
                "write `fields: {}` where none is planned; leave it out where none is to be judged",
            )
        return value

    @model_validator(mode="after")
    def _named(self) -> Self:
        for path in self.fields or ():
            if not path.startswith(_PARTS) or len(path) > _LONGEST:
                raise wrong(
                    f"{shown(path)} is not the path of a field",
                    "write it as `telemock fields` prints it, such as query.v or body.a.b",
                )
        return self


class Contract(Model):
    """All that one version of a product may send."""

    model_config = ConfigDict(title="telemock contract")

    contract: Literal[1] = Field(description="The version of this format.")
    profile: Name = Field(description="Whose captures are checked.")
    version: Name | None = Field(None, description="Left out: of every version, or none is known.")
    hosts: list[HostName] = Field(description="All that may be connected to.")
    documented_unseen: Annotated[list[Text], Field(max_length=500)] = Field(
        [], description="What the vendor documents and was never seen, in the vendor's words."
    )
    documented_none: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="That the vendor publishes no list of what is sent, and where was looked."
    )
    endpoints: Annotated[list[ContractEndpoint], Field(max_length=ENDPOINTS)] = Field(
        [], description="All that may be called."
    )

    @model_validator(mode="after")
    def _once(self) -> Self:
        seen: set[Endpoint] = set()
        for one in self.endpoints:
            if one.key in seen:
                raise wrong(
                    f"endpoint {shown(' '.join(one.key))} stands in the list twice",
                    "keep one of them",
                )
            if one.host not in self.hosts:
                raise wrong(f"{shown(one.host)} has an endpoint, and is not in `hosts`", "add it")
            seen.add(one.key)
        return self

    @model_validator(mode="after")
    def _listed(self) -> Self:
        if self.documented_none and self.is_listed:
            raise wrong(
                "`documented_none` says that there is no list, `documented_unseen` or a field's "
                "`documented` compares with one",
                "remove `documented_none`, or the others",
            )
        return self

    @property
    def is_listed(self) -> bool:
        """True where it compares with what the vendor documents."""
        fields = (f for one in self.endpoints for f in (one.fields or {}).values())
        return bool(self.documented_unseen) or any(f.documented is not None for f in fields)


def read(path: Path) -> Contract:
    """Reads a contract. Raises ProfileError with every problem, each with its place and remedy."""
    return read_with_text(path)[0]


def read_with_text(path: Path) -> tuple[Contract, str]:
    """Like `read`, and returns what was read: the file may be a pipe. Raises ProfileError."""
    source = ProfileSource(path, str(path))
    data = read_bytes(path, source.label)
    return valid(source.label, parsed(source, data)), data.decode("utf-8-sig")


def valid(label: str, written: Any) -> Contract:
    """Raises ProfileError."""
    if not isinstance(written, dict) or "contract" not in written:
        hint = "a contract begins with `contract: 1`; `telemock contract freeze` writes one"
        problem = ProfileProblem(
            label, "", shown(written), f"{shown(written)} is no contract", hint
        )
        raise ProfileError([problem])
    try:
        return Contract.model_validate(written, context=_WRITTEN)
    except ValidationError as e:
        raise ProfileError(from_pydantic(label, written, e, _keys())) from None


def _keys() -> set[str]:
    models: Sequence[type[BaseModel]] = (Contract, ContractEndpoint, ContractField)
    return {name for model in models for name in model.model_fields}


class _OneLine(dict[str, Any]):
    """A mapping that is written in one line."""


class _Dumper(yaml.SafeDumper):
    """Writes text that misleads (line ends, invisible characters) in escapes."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def check_simple_key(self) -> bool:
        """In the file an escape is up to ten times as long as its character."""
        text = getattr(self.event, "value", None) or ""
        return super().check_simple_key() and len(ascii(text)) <= _LONGEST_KEY

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


_Dumper.add_representer(
    _OneLine,
    lambda dumper, data: dumper.represent_mapping(
        "tag:yaml.org,2002:map", data.items(), flow_style=True
    ),
)


def written(contract: Contract, head: Sequence[str] = ()) -> str:
    """The text of the file, with these lines as a comment on top; the same for equal contracts."""
    plain = {
        "contract": contract.contract,
        "profile": contract.profile,
        **({"version": contract.version} if contract.version else {}),
        "hosts": sorted(set(contract.hosts)),
        **(
            {"documented_unseen": [*contract.documented_unseen]}
            if contract.documented_unseen
            else {}
        ),
        **({"documented_none": contract.documented_none} if contract.documented_none else {}),
        "endpoints": [_endpoint(one) for one in sorted(contract.endpoints, key=lambda e: e.key)],
    }
    text: str = yaml.dump(
        plain, Dumper=_Dumper, sort_keys=False, width=10**6, allow_unicode=False,
        default_flow_style=False,
    )  # fmt: skip
    return "".join(f"# {ascii(line)[1:-1]}\n" for line in head) + text


def _endpoint(one: ContractEndpoint) -> Mapping[str, Any]:
    found: dict[str, Any] = {"host": one.host, "method": one.method, "route": one.route}
    if one.every:
        found["every"] = one.every
    if one.events:
        found["events"] = sorted(set(one.events))
    if one.fields is not None:
        found["fields"] = {path: _field(field) for path, field in sorted(one.fields.items())}
    return found


def _field(field: ContractField) -> _OneLine:
    found = _OneLine(types=sorted(set(field.types)))
    for name in ("shapes", "classes"):
        if values := getattr(field, name):
            found[name] = sorted(set(values))
    for name in ("said", "documented", "presence", "rate"):
        if (value := getattr(field, name)) is not None:
            found[name] = value
    return found
