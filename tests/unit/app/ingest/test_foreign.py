import json
import time
from typing import Any

import msgspec
import pytest

from app.contract.masking.masker import Masker
from app.contract.record import ADDED, CaptureRecord, RecordError, Request, Workload, decode, encode
from app.contract.rules import Profile, RuleSet, Sensitive
from app.ingest.foreign import admitted, believable, timed

KEY = b"k" * 32
DAY = 86_400 * 10**9
SECRET = "bGljZW5jZS1jYW5hcnk="
RULES = RuleSet(
    (
        Profile(
            id="acme",
            title="Acme",
            hosts=(),
            rules=(),
            sensitive=(Sensitive("any", "lic", "token"),),
        ),
    )
)
MASKER = Masker(RULES, KEY, "kid")
BASE = CaptureRecord(
    boot="feedfeedfeedfeed", seq=1, kind="exchange", time_ns=1_790_000_000_000_000_000,
    profile="acme", workload=Workload(namespace="logs", pod="p", uid="u"),
    request=Request(method="GET", host="a.test", path=f"/x/{SECRET}", query=[("lic", "***")]),
)  # fmt: skip


def admit(line: bytes) -> bytes:
    return admitted(line, decode(line), lambda: MASKER)


def line_with(more: str) -> bytes:
    return encode(BASE)[:-1] + f",{more}}}".encode()


@pytest.mark.parametrize(
    "line",
    [
        encode(BASE),
        b" " + encode(BASE),
        encode(BASE).replace(b'"seq":1', b'"seq":1,"seq":1'),
        line_with('"newer":{"é":[1,2,{"a":null}],"\\n":"\\u0000"}'),
        line_with(f'"newer":"\u2028","n":{2**80}'),
        line_with('"schema":1'),
    ],
    ids=range(6),
)
def test_a_line_with_nothing_to_mask_stays_as_it_came(line: bytes) -> None:
    assert admit(line) == line


@pytest.mark.parametrize(
    "more",
    [
        b'"zzz":"\xff"', b'"z\xc3":1', b'"zzz":"\xed\xa0\xbd"', b'"zzz":[{"a":"\xf0\x9f"}]',
        b'"zzz":1e999', b'"zzz":-1e999', b'"zzz":' + b"9" * 10_000,
        b'"zzz":' + b"[" * 900 + b"]" * 900, b'"zzz":"\xff","zzz":"x"', b'"workload":{"z":"\xff"}',
    ],
    ids=lambda v: repr(v[:30]),
)  # fmt: skip
def test_what_not_every_reader_takes_is_refused(more: bytes) -> None:
    line = encode(BASE)[:-1] + b"," + more + b"}"
    try:
        kept = admit(line)
    except RecordError as e:
        assert "not known here" in str(e) or "utf-8" in str(e)
    else:
        json.loads(kept)
        assert b"[[[[" in more


@pytest.mark.parametrize(
    "more",
    [
        {"lic": SECRET},
        {"newer": {"LIC": SECRET, "beside": 1}},
        {"newer": [{"lic": [SECRET]}]},
        {"trailers": [["lic", SECRET], ["x", "y"]]},
        {"headers": [["Authorization", f"Bearer {SECRET}"]]},
        {"newer": f"https://a.test/?lic={SECRET}&b=1"},
        {"newer": json.dumps({"lic": SECRET})},
        {"workload": {"lic": SECRET}},
        {"request": {"method": "GET", "newer": {"lic": SECRET}}},
        {"newer": {"lic": SECRET}, "again": f"said {SECRET} twice"},
    ],
    ids=lambda v: json.dumps(v)[:40],
)
def test_fields_that_are_not_known_are_masked_as_all_others(more: dict[str, Any]) -> None:
    whole = msgspec.to_builtins(BASE)
    whole["request"]["path"] = "/"
    for name, value in more.items():
        whole[name] = {**whole.get(name, {}), **value} if isinstance(value, dict) else value
    kept = admit(msgspec.json.encode(whole))
    assert SECRET.encode() not in kept
    assert set(json.loads(kept)) == set(whole) | ({"mask_key"} if b"tok_" in kept else set())
    assert b'"beside":1' in kept or "newer" not in more or "beside" not in str(more)
    assert decode(kept).workload == BASE.workload


def test_a_value_that_was_masked_is_removed_from_the_rest_of_the_record() -> None:
    line = line_with(f'"newer":{{"lic":"{SECRET}"}}')
    record = decode(line)
    kept = admitted(line, record, lambda: MASKER)
    assert SECRET.encode() not in kept
    assert record.request is not None and SECRET not in record.request.path
    found = json.loads(kept)
    assert found["newer"]["lic"].startswith("tok_") and found["mask_key"] == "kid"
    assert found["newer"]["lic"] in found["request"]["path"]  # equal stays equal
    assert admit(kept) == kept  # once more changes nothing: no token of a token


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (f'"request":{{"method":"A","query":[["lic","{SECRET}"]]}}', '"request":{"method":"A"}'),
        (f'"newer":{{"lic":"{SECRET}"}}', '"newer":1'),
        (f'"n":{{"a":{{"lic":"{SECRET}"}},"a":1}}', '"m":1'),
    ],
)  # fmt: skip
def test_of_two_fields_of_one_name_the_hidden_one_is_looked_at(first: str, last: str) -> None:
    kept = admit(line_with(f"{first},{last}"))
    assert SECRET.encode() not in kept
    assert decode(kept).request is not None


def test_what_lies_too_deep_is_masked() -> None:
    deep = "[" * 200 + f'{{"lic":"{SECRET}"}}' + "]" * 200
    kept = admit(line_with(f'"newer":{deep}'))
    assert b'"lic":' not in kept and kept.count(b"[") < 100


def test_what_the_api_adds_is_no_sidecars() -> None:
    kept = admit(line_with('"trace_url":"javascript:alert(1)","id":"x","time":"y","newer":1'))
    assert b'"newer":1' in kept
    assert not any(b'"%s":' % name.encode() in kept for name in ADDED)


def test_a_time_that_cannot_be_is_replaced_and_kept_beside() -> None:
    now = time.time_ns()
    for good in (now, now + DAY // 2, now - 400 * DAY):
        assert believable(good)
    for bad in (0, 1, now + 2 * DAY, 2**63 - 1):
        assert not believable(bad)
        line = encode(BASE).replace(b"1790000000000000000", b"%d" % bad)[:-1] + b',"newer":[1]}'
        record = decode(timed(line))
        assert (record.clock_ns, record.workload) == (bad, BASE.workload)
        assert now <= record.time_ns <= time.time_ns()
        assert b'"newer":[1]' in timed(line)
