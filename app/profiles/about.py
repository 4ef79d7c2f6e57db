"""The part of a profile that no rule needs: terms, evidence, how often its product sends, how it is
switched off. Used by `schema`; reports and people read it.
"""

import datetime
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from app.profiles.fields import Model, Name, Text, check
from app.profiles.problems import wrong

Verified = Annotated[
    str,
    BeforeValidator(
        lambda v: v.isoformat() if isinstance(v, datetime.date) else v, json_schema_input_type=str
    ),
    check(
        re.compile(r"20\d\d-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?").fullmatch,
        "{} is not a day or month",
        "write 2026-01-31 or 2026-01",
    ),
]
Every = Annotated[
    str,
    check(
        re.compile(r"[1-9]\d{0,5}[smhd]").fullmatch,
        "{} is not a time between two sendings",
        "write 60s, 10m, 4h or 1d",
    ),
]
VariableName = Annotated[
    str, check(re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}").fullmatch, "{} names no variable")
]
HomeFile = Annotated[
    str,
    check(
        re.compile(r"~(/(?!\.{1,2}(/|$))[^/\0-\x1f\x7f]{1,100}){1,10}").fullmatch,
        "{} is no file of a home directory",
        "write ~/.config/product/file, without . and ..",
    ),
]


class Licence(Model):
    class_: Literal["free", "required-telemetry", "none"] = Field(
        alias="class",
        description="free: the user may switch telemetry off. required-telemetry: some licence of "
        "the product demands that it arrives. none: no terms known.",
    )
    note: Text


class Evidence(Model):
    claim: Text
    source: Text
    verified: Verified = Field(description="When the source was last read: a day or a month.")


Pattern = Annotated[
    str,
    check(
        re.compile(r"(query|header|body|path|any)\..{1,200}", re.DOTALL).fullmatch,
        "{} does not name a field",
        "write query.NAME, header.NAME, body.NAME (a JSON key at any depth, or a.b.c), path.NAME "
        "or any.NAME, with * for any text: body.metrics.*",
    ),
    Field(
        description="query.NAME, header.NAME, body.NAME (a JSON key at any depth, or a.b.c without "
        "[]), path.NAME or any.NAME; * stands for any text."
    ),
]


class DocumentedField(Model):
    """Something that the vendor says is sent."""

    words: Text = Field(description="The vendor's own words.")
    fields: Annotated[list[Pattern], Field(max_length=100)] = Field(
        [], description="What carries it; nothing where nobody knows."
    )


class Documented(Model):
    """One place in which the vendor lists what is sent; or where no list was found."""

    source: Text
    verified: Verified = Field(description="When the source was last read: a day or a month.")
    sends: Annotated[list[DocumentedField], Field(min_length=1, max_length=500)] = Field(
        [], description="The list. **Needed** unless `none` is given."
    )
    none: Text | None = Field(
        None,
        description="In place of a list, where the vendor publishes none: its own words on what "
        "is sent, or that nothing was found, and where.",
    )

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.sends and self.none:
            raise wrong(
                "`none` says that there is no list, and `sends` is one",
                "remove `none`, or remove `sends`",
            )
        if not (self.sends or self.none):
            raise wrong(
                "`sends` is missing", "list what the vendor says, or write `none: WHAT WAS FOUND`"
            )
        return self


def _agreed(pages: list[Documented]) -> list[Documented]:
    if any(page.none for page in pages) and any(page.sends for page in pages):
        raise wrong(
            "one entry has a list in `sends`, another says in `none` that there is none",
            "remove the entry with `none`",
        )
    return pages


Pages = Annotated[list[Documented], Field(max_length=50), AfterValidator(_agreed)]


class Cadence(Model):
    """The times at which one instance sends. Text alone is `every`."""

    every: Every | None = Field(None, description="The time between two sendings.")
    note: Text | None = Field(
        None,
        description="When it differs, or when it sends if there is no such time, in a sentence.",
    )

    @model_validator(mode="after")
    def _says(self) -> Self:
        if not (self.every or self.note):
            hint = "write `every: 4h`, or when it sends in `note`"
            raise wrong("a cadence that says nothing", hint)
        return self


class Switch(Model):
    """One documented way to switch the telemetry off, or to make it less."""

    env: dict[VariableName, str] = Field({}, description="Variables of the process.")
    args: list[Name] = Field([], description="Arguments of the command.")
    files: dict[HomeFile, Annotated[str, StringConstraints(max_length=4000)]] = Field(
        {}, description="Files of the user's home, ~/…, and what is in them."
    )
    setting: Text | None = Field(
        None, description="What to set elsewhere: a configuration's key, a value of a chart."
    )
    note: Text | None = Field(None, description="What it does not switch off, and the like.")

    @model_validator(mode="after")
    def _switches(self) -> Self:
        if not (self.env or self.args or self.files or self.setting):
            raise wrong("nothing is switched", "write `env`, `args`, `files` or `setting`")
        return self
