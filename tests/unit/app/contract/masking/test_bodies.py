"""The masking of whole bodies: in which format, and of what was cut."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.body import content
from app.contract.record import encode
from tests.layered import COMPRESSIONS, ENCODINGS, FORMATS, opened, texts
from tests.planted import FORM, JSON, Sent, posted
from tests.unit.app.contract.records import ORACLE, body_of, received

ESCAPED = '"\\u006c\\u0069\\u0063"'


def kept(one: Sent) -> str:
    body = body_of(ORACLE.record(received(one)))
    return body.text or body.withheld


@pytest.mark.parametrize(
    ("body", "header", "masked"),
    [
        (f'{{{ESCAPED}:"x1"}}\n{{"a":1}}', ("content-type", "text/csv"),
         f'{{{ESCAPED}:"***"}}\n{{"a":1}}'),
        (f'\ufeff{{"a=1&b":2,{ESCAPED}:"x1"}}', FORM, f'\ufeff{{"a=1&b":2,{ESCAPED}:"***"}}'),
        (f'{{"a":"\n--b\nX: 1\n\n","b":1,{ESCAPED}:"x1"}}', JSON,
         f'{{"a":"\n--b\nX: 1\n\n","b":1,{ESCAPED}:"***"}}'),
        (f'1 {{{ESCAPED}:"x1"}}', JSON, f'1 {{{ESCAPED}:"***"}}'),
        ("en=a&lic=x1\nen=b&x=1", ("content-type", "text/plain"), "en=a&lic=***\nen=b&x=1"),
        ("a=1;lic=x1;b=2", FORM, "a=1;lic=***;b=2"),
    ],
)  # fmt: skip
def test_a_body_is_read_in_the_format_that_the_tree_is_read_in(
    body: str, header: tuple[str, str], masked: str
) -> None:
    assert kept(posted(body, header)) == masked


def test_a_rules_word_holds_inside_of_compression_too() -> None:
    body = gzip.compress(b"a=1&lic=x1&b=2", mtime=0)
    assert b"x1" not in encode(ORACLE.record(received(posted(body, FORM))))


@pytest.mark.parametrize("charset", ["cp037", "utf-7", "utf-16-le", "shift_jis"])
def test_a_charset_that_only_its_name_tells_hides_nothing(charset: str) -> None:
    kind = ("content-type", f"text/plain; charset={charset}")
    for said in ('{"lic":"s3cret77"}', "lic=s3cret77"):
        kept_ = encode(ORACLE.record(received(posted(said.encode(charset), kind))))
        assert not [o for t in texts(kept_) if b"s3cret77" in (o := t.replace(b"\0", b""))]
        body = body_of(ORACLE.record(received(posted(said.encode(charset), kind))))
        assert body.withheld or "s3cret77" not in content(body).decode(charset, "replace")
    form = ("content-type", f"{FORM[1]}; charset=utf-7")
    assert kept(posted("%2BAGw-ic=s3cret77&b=2", form)) == "encoding"


def test_text_may_begin_as_compression_does() -> None:
    assert kept(posted("x y, 4.10")) == "x y, 4.10"


SECRET = "d33pnaryZq7-0123456789-canary+/Zq"
_LEAST = 8  # characters of it: fewer are not told from others in the shortest bodies


@given(
    st.sampled_from(sorted(FORMATS)),
    st.sampled_from(sorted(ENCODINGS | COMPRESSIONS)),
    st.floats(0, 1),
)
def test_of_a_body_cut_at_any_byte_nothing_of_a_secret_is_kept(
    form: str, encoding: str, share: float
) -> None:
    whole = (ENCODINGS | COMPRESSIONS)[encoding](FORMATS[form]("lic", SECRET))
    at = max(24, int(share * len(whole)))
    record = ORACLE.record(received(posted(whole[:at], truncated=True)))
    read = [each.replace(b"\0", b"") for text in texts(encode(record)) for each in opened(text)]
    assert not [each for each in read if SECRET[:_LEAST].encode() in each]


def test_a_name_that_was_cut_off_its_value_counts_as_one() -> None:
    pair = json.dumps([{"value": SECRET, "key": "lic"}])
    assert SECRET[:_LEAST] not in kept(posted(pair[: pair.index("lic")], truncated=True))
    other = json.dumps([{"key": "a", "value": "4.10", "b": 1}])
    assert "4.10" in kept(posted(other[:-3], truncated=True))
