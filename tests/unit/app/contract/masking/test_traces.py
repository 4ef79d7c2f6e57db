import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.masking.traces import _OFTEN, Traces, chased, contained, loose, traces
from tests.canary import find_secret

VALUE = "s3cret/value+1"


def test_each_form_is_replaced() -> None:
    found = traces({VALUE: "***"})
    for text in (
        f"a {VALUE} b",
        "s3cret%2Fvalue%2B1",
        "s3cret%2fvalue%2b1",
        "s3cret\\/value+1",
        VALUE.encode().hex(),
        VALUE.encode().hex().upper(),
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(b"??" + VALUE.encode() + b">>").decode(),
    ):
        assert find_secret(text.encode(), VALUE)
        assert found.within(text)
        assert find_secret(found.replace(text).encode(), VALUE) == []


@given(
    st.lists(st.text(min_size=4, max_size=12), min_size=1, max_size=4, unique=True),
    st.text(max_size=40),
    st.integers(0, 200),
)
def test_values_that_come_often_are_looked_for_together(
    values: list[str], text: str, form: int
) -> None:
    found = traces(dict.fromkeys(values, "***"))
    hidden = found.needles[form % len(found.needles)][0].form
    for there in (text, text + hidden + text, hidden.upper()):
        seldom = Traces(found.needles).within(there)
        often = Traces(found.needles)
        often._looks = _OFTEN
        again = often.within(there)
        assert (again and again.needles) == (seldom and seldom.needles)


def test_each_value_has_its_own_replacement() -> None:
    found = traces({"first-value": "tok_1", "second-value": "tok_2"})
    assert found.replace("first-value, second-value") == "tok_1, tok_2"


def test_the_longer_of_two_values_goes_first() -> None:
    assert traces({"abcdefgh": "1", "abcdefgh-ijkl": "2"}).replace("abcdefgh-ijkl") == "2"


def test_other_text_stays_as_it_is() -> None:
    text = "100% of a\\u0020b %zz %41"
    assert traces({VALUE: "***"}).replace(text) == text
    assert traces({VALUE: "***"}).within(text) is None


def test_a_text_that_hides_a_value_is_written_without_control_characters() -> None:
    hidden = "".join(f"%{b:02x}" for b in f"\x1b[1m{VALUE}\n".encode())
    assert traces({VALUE: "***"}).replace(hidden) == "%1B[1m***%0A"


def test_a_short_value_is_replaced_where_it_stands_alone() -> None:
    found = traces({"prod": "***"})
    assert found.replace("prod, product, my_prod, PROD (prod)") == (
        "***, product, my_prod, PROD (***)"
    )


def test_within_keeps_only_what_is_there() -> None:
    found = traces({"first-value": "1", "second-value": "2"}).within("a first-value")
    assert found is not None
    assert {by for _, by in found.needles} == {"1"}


@pytest.mark.parametrize("length", range(4, len(VALUE)))
def test_the_beginning_of_a_value_at_a_cut_is_removed(length: int) -> None:
    assert traces({VALUE: "***"}).cut("text " + VALUE[:length]) == "text "


def test_a_cut_elsewhere_removes_nothing() -> None:
    assert traces({VALUE: "***"}).cut(f"text {VALUE[:9]} more") == f"text {VALUE[:9]} more"


def test_a_text_too_large_for_all_values_is_not_afforded() -> None:
    many = traces({f"value-number-{i}": "***" for i in range(500)})
    assert many.complete and many.affords("short")
    assert not many.affords("x" * (1 << 20))


def test_more_values_than_are_looked_for_are_not_complete() -> None:
    many = traces({f"value-number-{i}": "***" for i in range(600)})
    assert not many.complete and not many.affords("short")


@given(st.text(st.characters(codec="utf-8"), min_size=8), st.text(), st.text())
def test_a_value_is_not_in_what_is_left(value: str, before: str, after: str) -> None:
    text = before + value + after
    left = traces({value: "***"}).replace(text)
    assert left != text
    assert value not in left or value in before + "***" + after


@pytest.mark.parametrize(
    ("value", "particular"),
    [
        ("abcd", True),
        ("123456", True),
        ("abc", False),
        ("12345", False),
        ("1.2.3", False),
        ("TRUE", False),
        ("null", False),
        ("***", False),
        ("", False),
    ],
)
def test_a_value_is_looked_for_when_it_is_particular(value: str, particular: bool) -> None:
    assert chased(value) is particular


def test_parts_of_credentials() -> None:
    assert contained("Bearer abcdefgh.1") == ["abcdefgh.1"]
    basic = base64.b64encode(b"user:password-1").decode()
    assert contained(f"Basic {basic}") == [basic, "user:password-1", "password-1"]
    assert contained('a=1; session="abcdefgh"') == ['session="abcdefgh"', "abcdefgh"]
    assert contained("") == []


def test_a_value_in_text_without_the_punctuation_behind_it() -> None:
    assert loose("hunter22),") == ("hunter22),", "hunter22", "")
    assert loose("me:pw")[2] == "pw"


def test_a_value_with_half_a_character_is_looked_for() -> None:
    assert traces({"half \ud83d of one": "***"}).replace("a half \ud83d of one b") == "a *** b"
