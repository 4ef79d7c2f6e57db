"""What a sidecar says of itself comes back, and what cannot be read says nothing."""

import pytest

from app.contract.presence import APP, FORMS, Presence, decode, encode
from app.report import coverage


def test_what_is_sent_is_read() -> None:
    said = Presence(form="hosts", mode="observe", began_ns=7, quic_refused=3, unled="a:1")
    assert decode(encode(said)) == said
    assert decode(encode(said).replace("{", '{"of_tomorrow":[1],', 1)) == said


@pytest.mark.parametrize("value", ["", "x", "[]", '{"form":1}', '{"began_ns":-1}', "[" * 99_999])
def test_what_cannot_be_read(value: str) -> None:
    assert decode(value) == Presence()


def test_only_the_app_itself_is_the_app() -> None:
    assert decode(encode(Presence(form=APP, mode="<b>"))) == Presence()


def test_every_form_has_its_blind_spots() -> None:
    assert {*FORMS, ""} <= coverage.FORMS.keys()
