import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract import record as r

# What `text` makes of anything: no lone surrogates.
texts = st.text(st.characters(exclude_categories=("Cs",)))
shorts = texts.map(lambda t: t[:512])
pairs = st.lists(st.tuples(texts, texts), max_size=5)
bodies = st.builds(
    r.Body,
    text=st.none() | texts,
    base64=st.none() | st.binary().map(lambda b: base64.b64encode(b).decode()),
    size=st.integers(0, 1 << 40),
    truncated=st.booleans(),
)
requests = st.builds(
    r.Request, method=shorts, path=texts, query=pairs, headers=pairs, body=st.none() | bodies
)
responses = st.builds(
    r.Response, status=st.integers(0, 999), headers=pairs, body=st.none() | bodies
)
records = st.builds(
    r.CaptureRecord,
    boot=st.from_regex(r"\A[0-9a-f]{16,32}\Z"),
    seq=st.integers(1, 1 << 40),
    kind=st.sampled_from(["exchange", "message", "tls_rejected", "refused", "failed", "log"]),
    time_ns=st.integers(0, 1 << 62),
    workload=st.builds(r.Workload, pod=shorts, namespace=shorts),
    detail=texts,
    request=st.none() | requests,
    response=st.none() | responses,
    log=st.none() | st.builds(r.Log, level=shorts, message=texts),
)


def a_record(**fields: object) -> r.CaptureRecord:
    return r.CaptureRecord(
        **{"boot": "0" * 16, "seq": 1, "kind": "exchange", "time_ns": 1} | fields
    )


@given(records)
def test_a_record_comes_back_as_it_was_from_one_line(record: r.CaptureRecord) -> None:
    line = r.encode(record)
    assert r.decode(line) == record
    assert b"\n" not in line and b"\r" not in line and b"\x1b" not in line


@given(st.binary())
def test_any_bytes_become_text_that_a_record_can_carry(raw: bytes) -> None:
    text = r.text(raw)
    assert r.decode(r.encode(a_record(detail=text))).detail == text


@given(st.binary())
def test_bytes_that_a_library_carries_in_a_str_come_out_as_the_bytes_do(raw: bytes) -> None:
    assert r.text(raw.decode("utf-8", "surrogateescape")) == r.text(raw)


def test_text_shows_the_bytes_that_are_not_utf8() -> None:
    assert r.text(b"caf\xe9 \xc3\xa9") == "caf\\xe9 é"
    assert r.text("\ud800") == "\\xed\\xa0\\x80"


def test_short_fits_a_short_field() -> None:
    record = a_record(product_version=r.short("\xff" * 2000))
    assert len(r.decode(r.encode(record)).product_version) == 512
    assert record.product_version.endswith("…")
    assert r.short("x" * 512) == "x" * 512


def test_unknown_fields_are_ignored() -> None:
    line = msgspec.json.decode(r.encode(a_record(request=r.Request(method="GET"))))
    line["later"] = {"a": 1}
    line["request"]["later"] = [1]
    record = r.decode(msgspec.json.encode(line))
    assert record.request is not None and record.request.method == "GET"


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("seq", 0, "$.seq"),
        ("boot", "UPPER", "$.boot"),
        ("boot", "0" * 33, "$.boot"),
        ("kind", "other", "$.kind"),
        ("duration_ns", -1, "$.duration_ns"),
        ("profile", "p" * 513, "$.profile"),
        ("schema", 2, "schema 2"),
        ("time_ns", "now", "$.time_ns"),
        ("request", {"host": "h"}, "method"),
    ],
)
def test_a_record_out_of_its_limits_is_refused_with_the_place(
    field: str, value: object, says: str
) -> None:
    line = msgspec.json.decode(r.encode(a_record())) | {field: value}
    with pytest.raises(r.RecordError) as error:
        r.decode(msgspec.json.encode(line))
    assert says in str(error.value)


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"nonsense", b'{"boot":"\xff"}', b"[" * 100_000, b"1" * (1 << 23)]
)
def test_what_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(r.RecordError):
        r.decode(line)


def test_a_line_over_the_limit_is_refused_unread() -> None:
    line = r.encode(a_record(detail="x" * r.LINE_CAP))
    with pytest.raises(r.RecordError, match="the limit is"):
        r.decode(line)


def test_clip_keeps_the_first_pairs_and_counts_the_others() -> None:
    kept, left_out = r.clip([("n", str(i)) for i in range(200)], r.HEADER_CAP)
    assert (len(kept), left_out, kept[-1]) == (100, 100, ("n", "99"))


def test_clip_marks_a_value_that_it_cut() -> None:
    whole, cut = "x" * r.VALUE_CAP, "y" * (r.VALUE_CAP + 1)
    kept, left_out = r.clip([("n" * 9000, whole), ("b", cut)], 10)
    assert kept == [("n" * r.VALUE_CAP + "…", whole), ("b", "y" * r.VALUE_CAP + "…")]
    assert left_out == 0


def test_a_record_of_the_largest_parts_is_within_the_line_limit() -> None:
    headers, _ = r.clip([("h" * 100, "v" * r.VALUE_CAP)] * r.HEADER_CAP, r.HEADER_CAP)
    body = r.Body(text="x" * r.BODY_CAP)
    record = a_record(
        request=r.Request(method="POST", headers=headers, body=body),
        response=r.Response(status=200, headers=headers, body=body),
    )
    assert len(r.encode(record)) < r.LINE_CAP


def test_host_is_what_the_client_meant() -> None:
    tls, end = r.Tls(sni="sni.example"), r.Endpoint(address="192.0.2.1", port=443)
    http = r.Request(method="GET", host="http.example")
    assert a_record(request=http, tls=tls, destination=end).host == "http.example"
    assert a_record(tls=tls, destination=end).host == "sni.example"
    assert a_record(destination=end).host == "192.0.2.1"
    assert a_record().host == ""


def test_it_was_sent_by_a_program_or_from_an_address() -> None:
    client = r.Endpoint("127.0.0.1", 5)
    assert a_record().sent_by == ""
    assert a_record(client=client).sent_by == "127.0.0.1"
    assert a_record(client=client, program=r.Program("curl", 7)).sent_by == "curl (pid 7)"


def test_id_is_of_boot_and_number() -> None:
    assert a_record(seq=7).id == "0" * 16 + "-7"


def test_reasons_are_sentences() -> None:
    assert all(s and s[0].islower() and not s.endswith(".") for s in r.REASONS.values())


def test_the_first_header_of_a_name_in_any_case() -> None:
    pairs = [("A", "1"), ("Content-Type", "x"), ("content-type", "y")]
    assert r.first(pairs, "content-type") == "x"
    assert r.first(pairs, "b") == ""


@pytest.mark.parametrize(
    ("scheme", "host", "port", "shown"),
    [
        ("https", "a.test", 443, "https://a.test"),
        ("http", "a.test", 443, "http://a.test:443"),
        ("http", "::1", 80, "http://[::1]"),
        ("ws", "a.test", 80, "ws://a.test:80"),
    ],
)
def test_origin_names_the_port_that_is_not_the_schemes(
    scheme: str, host: str, port: int, shown: str
) -> None:
    assert r.origin(scheme, host, port) == shown


def test_all_values_of_a_header_are_joined() -> None:
    pairs = [("Accept", "a"), ("b", "x"), ("accept", "c")]
    assert (r.joined(pairs, "accept"), r.joined(pairs, "d")) == ("a, c", "")


def test_a_rough_size_counts_what_peers_choose() -> None:
    small = r.rough_size(a_record())
    body = r.Body(text="x" * 1000)
    request = r.Request(method="GET", headers=[("a", "b" * 100)], query=[("c", "")], body=body)
    counted = r.rough_size(a_record(request=request))
    assert counted >= small + 1100
    assert r.rough_size(a_record(request=request), 41) == counted + 40
    message = r.Message(of="x", sender="client", body=r.Body(base64="y" * 50))
    assert r.rough_size(a_record(message=message)) == small + 50
    assert r.bodies_of(a_record(request=request, message=message)) == [body, message.body]


def test_a_body_says_how_it_is_to_be_read() -> None:
    assert r.note(None) == r.note(r.Body(text="a")) == ""
    assert r.note(r.Body(base64="/wA=", truncated=True)) == "base64, cut"
    assert r.note(r.Body(withheld="encoding")).startswith("withheld: the body's content encoding")
