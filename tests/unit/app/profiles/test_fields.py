"""Names of fields: what a profile may call sensitive, and where a version may stand."""

import pytest
from pydantic import TypeAdapter, ValidationError

from app.profiles.fields import FieldName, VersionField

FIELD, VERSION = TypeAdapter(FieldName), TypeAdapter(VersionField)


@pytest.mark.parametrize("name", ["query.lic", "header.X-A", "body.a.b", "path.org", "body.data.v"])
def test_both_take_the_parts_of_a_request(name: str) -> None:
    assert FIELD.validate_python(name) == VERSION.validate_python(name) == name


@pytest.mark.parametrize(
    "name", ["body›gzip›json.v", "body[].v", "body›base64›json[].v", "query.ue_px›base64›json.v"]
)
def test_a_version_may_be_named_as_the_inventory_does(name: str) -> None:
    assert VERSION.validate_python(name) == name


@pytest.mark.parametrize("name", ["lic", "query.", "cookie.x", "any.v", "body[0].v"])
def test_other_places_are_refused_with_a_hint(name: str) -> None:
    with pytest.raises(ValidationError, match="names no single place"):
        VERSION.validate_python(name)
    if name != "any.v":
        with pytest.raises(ValidationError, match="does not name a field"):
            FIELD.validate_python(name)
