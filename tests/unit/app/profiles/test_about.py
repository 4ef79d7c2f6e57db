"""What a profile says of its product: times and switches are of a form that programs can read."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.profiles.about import Cadence, DocumentedField, Switch


@pytest.mark.parametrize("every", ["60s", "10m", "4h", "1d"])
def test_a_time_between_two_sendings(every: str) -> None:
    assert Cadence(every=every).every == every


@pytest.mark.parametrize("every", ["0s", "daily", "1w", "-1h", "1h30m"])
def test_another_time_is_refused_with_a_remedy(every: str) -> None:
    with pytest.raises(ValidationError, match="is not a time between two sendings"):
        Cadence(every=every)


def test_a_cadence_says_something_be_it_in_words() -> None:
    assert Cadence(note="With each command.").every is None
    with pytest.raises(ValidationError, match="a cadence that says nothing"):
        Cadence()


@pytest.mark.parametrize("given", [{}, {"note": "only words"}, {"env": {}}])
def test_a_switch_switches_something(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="nothing is switched"):
        Switch(**given)


def test_a_variable_has_a_name_that_a_process_can_have() -> None:
    with pytest.raises(ValidationError, match="names no variable"):
        Switch(env={"A=B": "1"})


@pytest.mark.parametrize("field", ["query.v", "body.metrics.*", "any.*id", "header.user-agent"])
def test_a_pattern_names_fields(field: str) -> None:
    assert DocumentedField(words="Version", fields=[field]).fields == [field]


@pytest.mark.parametrize("field", ["", "v", "query.", "cookie.a", "query." + "x" * 201])
def test_another_pattern_is_refused_with_a_remedy(field: str) -> None:
    with pytest.raises(ValidationError, match="does not name a field"):
        DocumentedField(words="Version", fields=[field])


@pytest.mark.parametrize("path", ["~/.config/vllm/do_not_track", "~/..a", "~/a b/c.d"])
def test_a_switchs_file_lies_in_a_home(path: str) -> None:
    assert Switch(files={path: ""}).files == {path: ""}


@pytest.mark.parametrize(
    "path", ["/etc/off", "off", "~", "~/", "~root/off", "~/../off", "~/a/../../off", "~/a/./b",
             "~/a//b", "~/a\n", "~/" + "a/" * 11 + "a"],
)  # fmt: skip
def test_a_switchs_file_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="is no file of a home directory"):
        Switch(files={path: ""})
