from app.contract.masking.fields import MASK, SensitiveNames
from app.contract.masking.values import Values, note


def values() -> Values:
    return Values(SensitiveNames(), lambda value: f"tok_{len(value):024}")


def test_a_value_is_remembered_and_replaced() -> None:
    some = values()
    assert some.secret("mask", "secret-1") == MASK and some.secret("drop", "secret-2") == ""
    token = some.secret("token", "secret-3")
    assert some.found == {"secret-1": MASK, "secret-2": MASK, "secret-3": token}
    for masked in ("", MASK, token):  # of a token no token is made
        assert some.secret("token", masked) == masked
    assert Values(SensitiveNames(), None).secret("token", "secret-3") == MASK


def test_what_a_sidecar_masked_stays() -> None:
    some = values()
    assert some.secret("token", "tok_" + "a" * 24) != "tok_" + "a" * 24
    some.masked_before = True
    assert some.secret("token", "tok_" + "b" * 24) == "tok_" + "b" * 24


def test_a_number_is_known_as_it_is_written() -> None:
    some = values()
    assert some.leaf("mask", 1234567.10, "1234567.10") == MASK
    assert "1234567.10" in some.found
    assert some.leaf("mask", {"a": ["inner-1", 7]}) == MASK and "inner-1" in some.found


def test_what_an_object_calls_its_fields_is_no_secret_unless_it_looks_like_one() -> None:
    some = values()
    assert some.leaf("mask", {"stringValue": "inner-1", "user.name": {"inner-2": 1}}) == MASK
    assert {"inner-1", "inner-2"} <= some.found.keys()
    assert not {"stringValue", "user.name"} & some.found.keys()
    assert some.leaf("mask", None) is None and some.leaf("mask", "") == ""


def test_parts_of_credentials_and_of_loose_text_are_remembered() -> None:
    some = values()
    some.credential("set-cookie", "id=abcdefgh1; Path=/telemetry/collect")
    some.text_secret("mask", "user:hunter22).")
    assert {"abcdefgh1", "hunter22)."} <= some.found.keys()
    assert not any("telemetry" in value for value in some.found)
    note(some.found, "abc", MASK)  # too short to be looked for
    assert "abc" not in some.found


def test_secrets_in_percent_encoded_text_are_remembered() -> None:
    some = values()
    some.encoded(b"/x/%41KIA" + b"IOSFODNN7EXAMPLE/y%20" + b"4242%204242%204242%204242")
    assert some.found == {"AKIA" + "IOSFODNN7EXAMPLE": MASK, "4242 4242 4242 4242": MASK}
    some.encoded(b"100%25 of nothing")
    assert len(some.found) == 2
