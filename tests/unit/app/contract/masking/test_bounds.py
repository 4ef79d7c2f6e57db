"""app/contract/masking/bounds.py: each bound is hit, counted, and leaves no value."""

import base64
import gzip
import json

import pytest

from app.contract.masking import bounds
from app.contract.masking.masker import Masker
from app.contract.metrics import METRICS
from app.contract.record import REASONS
from app.contract.rules import RuleSet
from tests.layered import field
from tests.planted import Sent, posted
from tests.unit.app.contract.records import MASKER, VENDOR, everything, received

SECRET = "c4naryZq7-0123456789"


def _nested(value: str, times: int) -> str:
    for _ in range(times):
        value = base64.b64encode(json.dumps({"p": value}).encode()).decode()
    return value


def _texts(document: object) -> Sent:
    return posted(json.dumps(document), ("content-type", "application/json"))


LIC = json.dumps({"lic": SECRET})
CODED = base64.b64encode(LIC.encode()).decode()
HIT: dict[str, Sent] = {
    "depth": _texts({"p": _nested(CODED, 10)}),
    "decoded": _texts(
        [base64.b64encode(gzip.compress(b"[" + b"1," * 80_000 + b"2]")).decode()] * 20 + [CODED]
    ),
    "opened": _texts(["eyJhIjoxfQ=="] * (bounds.OPENED + 1) + [CODED]),
    "parts": posted("a,lic\n" + ",\n" * 66_000 + f"1,{SECRET}\n"),
    "values": posted(f"lic={SECRET} x " * 9_000),
    "traces": posted("&".join(f"lic={SECRET}{i}" for i in range(600)),
                     ("content-type", "application/x-www-form-urlencoded")),
}  # fmt: skip


@pytest.mark.parametrize("bound", bounds.BOUNDS)
def test_a_bound_is_counted_and_leaves_no_value(bound: str) -> None:
    counted: list[tuple[str, str]] = []
    masker = Masker(RuleSet((VENDOR,)), count=lambda *what: counted.append(what))
    record = masker.record(received(HIT[bound]))
    assert (bounds.HIT, bound) in counted
    assert SECRET.encode() not in everything(record) and CODED.encode() not in everything(record)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x00\xff\x00\xff", "unmaskable"),
        (b"\x1f\x8b\x08damaged!", "encoding"),
        (field(1, b"abc"), "nameless"),
        (b"a,lic\n" + b",\n" * 66_000, "bounds"),
    ],
)
def test_what_is_withheld_is_counted_by_reason(body: bytes, reason: str) -> None:
    counted: list[tuple[str, str]] = []
    masker = Masker(RuleSet((VENDOR,)), count=lambda *what: counted.append(what))
    masker.record(received(posted(body)))
    assert counted.count((bounds.KEPT_BACK, reason)) == 1


def test_each_is_declared_and_begins_at_nothing() -> None:
    counted: list[tuple[str, str]] = []
    bounds.begin(lambda *what: counted.append(what))
    assert {label for metric, label in counted if metric == bounds.HIT} == set(bounds.BOUNDS)
    reasons = {label for metric, label in counted if metric == bounds.KEPT_BACK}
    assert reasons == set(bounds.WITHHELD) and reasons <= set(REASONS)
    assert {bounds.HIT, bounds.KEPT_BACK} <= {metric.name for metric in METRICS}


def test_a_large_body_is_remembered_by_what_it_is() -> None:
    """An answer that is given again is not read again, and another of its length is."""
    plain = "word " * 20_000
    other = plain[: -len(LIC)] + LIC
    for body in (plain, plain, other, plain):
        record = received(posted(body))
        kept = everything(MASKER.record(record))
        assert (plain.encode() in kept) == (body == plain)
        assert SECRET.encode() not in kept
