"""app/contract/masking/formats.py: parts by their names, and what lies between them."""

import base64
import json

import pytest
from msgspec.structs import replace

from app.contract.decoding import protobuf
from app.contract.masking.formats import readable
from app.contract.masking.masker import Masker
from app.contract.record import Body
from app.contract.rules import Rule, RuleSet
from tests.layered import field
from tests.planted import XML, posted
from tests.unit.app.contract.records import MASKER, VENDOR, received

TOKEN = "ghp|_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17".replace("|", "")


def masked(data: str | bytes, *headers: tuple[str, str], masker: Masker = MASKER) -> Body:
    record = masker.record(received(posted(data, *headers)))
    assert record.request is not None and record.request.body is not None
    return record.request.body


@pytest.mark.parametrize(
    ("data", "left"),
    [
        # Between the parts.
        (f"a,{TOKEN},b\n1,2,3\n", "a,***,b\n1,2,3\n"),
        (f"<r {TOKEN}='1'><lic>x</lic></r>", "<r ***='1'><lic>***</lic></r>"),
        (f"<r><!-- {TOKEN} --><?pi {TOKEN}?></r>", "<r><!-- *** --><?pi ***?></r>"),
        ("<r><!-- lic=x --><a>y</a></r>", "<r><!-- lic=*** --><a>y</a></r>"),
        (f'--b\r\nContent-Disposition: form-data; name=a; filename="{TOKEN}"\r\n\r\n1\r\n--b--',
         '--b\r\nContent-Disposition: form-data; name=a; filename="***"\r\n\r\n1\r\n--b--'),
        # What a profile keeps, and what has another name.
        ("a,kept\nlic=x,lic=y\n", "a,kept\nlic=***,lic=y\n"),
        ("<r><kept>lic=x</kept><relic>1</relic></r>", ""),
        # Paths.
        ("<user><id>x</id></user>", "<user><id>***</id></user>"),
        ("<other><id>x</id></other>", ""),
        # Written as it was.
        ("<r><lic>x</lic><a>&lt;&#65;'\"</a></r>", "<r><lic>***</lic><a>&lt;&#65;'\"</a></r>"),
        ("<r><lic><![CDATA[a&b]]></lic></r>", "<r><lic><![CDATA[***]]></lic></r>"),
        ('a;lic\n"1";"x;y"\n', 'a;lic\n"1";"***"\n'),
    ],
)  # fmt: skip
def test_parts_are_masked_by_their_names(data: str, left: str) -> None:
    sensitive = (*VENDOR.sensitive, replace(VENDOR.sensitive[0], name="kept", how="keep"))
    masker = Masker(RuleSet((replace(VENDOR, sensitive=sensitive),)))
    assert masked(data, masker=masker).text == (left or data)


ATTRIBUTE = field(1, field(1, b"lic") + field(2, field(1, b"c4nary-0123")))
MESSAGE = field(2, field(3, b"text") + ATTRIBUTE) + b"\x18\x96\x01"


def test_a_message_without_names_is_withheld_where_names_are_sensitive() -> None:
    assert masked(MESSAGE).withheld == "nameless"
    none = Masker(RuleSet((replace(VENDOR, sensitive=()),)))
    kept = masked(field(1, TOKEN.encode()) + field(2, b"b"), masker=none)
    assert kept.text == "\n\x03***\x12\x01b" and not kept.withheld


def test_a_rule_may_say_that_it_is_kept_and_then_names_beside_values_count() -> None:
    rules = (Rule(id="plain", action="mock", decoders=("protobuf",)),)
    body = masked(MESSAGE, masker=Masker(RuleSet((replace(VENDOR, rules=rules),))))
    assert not body.withheld and body.base64
    expected = field(2, field(3, b"text") + field(1, field(1, b"lic") + field(2, field(1, b"***"))))
    import base64

    assert base64.b64decode(body.base64) == expected + b"\x18\x96\x01"


def test_numbers_under_a_sensitive_name_become_nothing() -> None:
    rules = (Rule(id="plain", action="mock", decoders=("protobuf",)),)
    masker = Masker(RuleSet((replace(VENDOR, rules=rules),)))
    number = field(1, b"lic") + b"\x18\xd2\x85\xd8\xcc\x04"
    text = masked(field(7, number) + field(2, b"\xff\xfe\xfd"), masker=masker)
    import base64

    data = base64.b64decode(text.base64 or "")
    inner = protobuf.split(data)
    assert inner is not None
    value = protobuf.fields(data[inner[0].start : inner[0].end])
    assert value is not None
    assert protobuf.number(data[inner[0].start : inner[0].end], value[1]) == 0


def test_what_declares_entities_is_withheld() -> None:
    body = masked('<!DOCTYPE a [<!ENTITY b "c">]><lic>&b;</lic>', XML)
    assert body.withheld == "unmaskable"


@pytest.mark.parametrize(
    ("data", "cut", "text"),
    [
        (b"abc", False, "abc"), ("é".encode(), False, "é"), ("xé".encode()[:-1], True, "x"),
        ("xé".encode()[:-1], False, None), (b"\xff", True, None), (b"a\x00", False, None),
        (b"a\x01b", False, None), (b"\t\r\n\x1b[0m", False, "\t\r\n\x1b[0m"),
    ],
)  # fmt: skip
def test_readable_bytes(data: bytes, cut: bool, text: str | None) -> None:
    assert readable(data, cut) == text


def test_a_message_without_names_in_a_value_is_withheld_as_a_whole_one_is() -> None:
    """A licence in a field that has a number only, in base64 in JSON."""
    message = b"\x0a\x0bhello world\x12\x13LICENCE-canary-9933\x18\x07"
    sent = base64.b64encode(message).decode()
    assert masked(sent).withheld == "nameless"
    kept = masked(json.dumps({"data": sent, "v": 1}), ("content-type", "application/json"))
    assert json.loads(kept.text or "") == {"data": base64.b64encode(b"***").decode(), "v": 1}
