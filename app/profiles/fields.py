"""The names of fields in a profile, checks of its texts, and what all its parts have in common.

Used by `schema` and `about`.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from app.contract.classes import CLASSES
from app.profiles.problems import shown, wrong


class Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def short(key: str, written: Any) -> BeforeValidator:
    """Accepts plain text in place of the mapping {key: text}."""
    return BeforeValidator(
        lambda v: {key: v} if isinstance(v, str) else v, json_schema_input_type=written
    )


def check(test: Callable[[str], object], message: str, hint: str = "") -> AfterValidator:
    """Makes a validator that refuses text with `message`, in which {} is the value."""

    def validate(value: str) -> str:
        if not test(value):
            raise wrong(message.format(shown(value)), hint)
        return value

    return AfterValidator(validate)


FieldName = Annotated[
    str,
    check(
        re.compile(r"(query|header|body|path|any)\..{1,200}", re.DOTALL).fullmatch,
        "{} does not name a field",
        "write query.NAME, header.NAME, body.NAME (a JSON key at any depth, or a.b.c), path.NAME "
        "(a segment that the route names), or any.NAME",
    ),
    Field(
        description="query.NAME, header.NAME, body.NAME (a JSON key at any depth), path.NAME (a "
        "segment that a rule's route names, /v1/{NAME}), or any.NAME."
    ),
]
FieldClassName = Annotated[
    str,
    check(CLASSES.__contains__, "{} is no class of fields", f"write one of {', '.join(CLASSES)}"),
    Field(json_schema_extra={"enum": list(CLASSES)}),
]
VersionField = Annotated[
    str,
    check(
        re.compile(
            r"(query|header|body|path)(›[\w›-]{1,60})?(\[\])?\..{1,200}", re.DOTALL
        ).fullmatch,
        "{} names no single place",
        "write query.NAME, header.NAME, body.NAME, or path.NAME (a segment that the route names); "
        "behind a dot a path leads into a value: query.data.app.version",
    ),
    Field(
        description="query.NAME, header.NAME, body.NAME, or path.NAME (a segment that a rule's "
        "route names, /v1/{NAME}). Behind a dot a path leads into a value, with or without the "
        "decodings on its way: body.data.app.version."
    ),
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
