"""app/api/common.py: parameters that cannot be read are refused with what is expected."""

import pytest
from fastapi import HTTPException

from app.api.common import refusal, time_of


def test_a_time_is_an_age_or_an_instant() -> None:
    assert time_of(None, "since") is None and time_of("", "since") is None
    assert time_of("5", "since") == 5
    assert time_of("2w", "since") and time_of("1.5h", "since")  # as the command line has them
    with pytest.raises(HTTPException) as raised:
        time_of("soon", "since")
    assert raised.value.status_code == 422
    assert raised.value.detail["error"] == "since: 'soon' is not a time"


def test_a_hint_is_apart_from_its_error() -> None:
    found = refusal(409, "this is so\n\nhint: do that", {"x": "y"})
    assert (found.status_code, found.headers) == (409, {"x": "y"})
    assert found.detail == {"error": "this is so", "hint": "do that"}
    assert refusal(404, "nothing").detail == {"error": "nothing", "hint": ""}
