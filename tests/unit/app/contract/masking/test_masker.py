import base64
import gzip
import json
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract import record as r
from app.contract.masking.detectors import DETECTORS
from app.contract.masking.masker import MASK, Masker
from app.contract.record import Body, CaptureRecord, Response
from app.contract.rules import Profile, RuleSet, Sensitive
from tests.canary import find_secret
from tests.unit.app.contract.places import PLACES, answered, found
from tests.unit.app.contract.records import (
    MASKER,
    PLAIN,
    RULES,
    SECRET,
    VENDOR,
    body_of,
    everything,
    exchange,
    posted,
    sent,
)
from tests.unit.app.contract.test_record import records as any_record

RULE_IDS = ["", "plain", "packed"]
TOKEN = "ghp_" + "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17"


@pytest.mark.parametrize("secret", [SECRET, PLAIN])
@pytest.mark.parametrize("place", PLACES)
def test_a_secret_in_an_answer_leaves_no_trace(place: str, secret: str) -> None:
    if place == "authorization":  # in its path too
        place = "cookies"
    assert found(MASKER.record(answered(PLACES[place](secret))), secret) == []


@pytest.mark.parametrize("place", PLACES)
def test_a_short_value_goes_by_its_name_alone(place: str) -> None:
    """It is not looked for elsewhere, so nothing makes up for a name that was missed."""
    if place == "authorization":  # in its path too
        place = "cookies"
    for record in (PLACES[place]("q~9"), answered(PLACES[place]("q~9"))):
        assert found(MASKER.record(record), "q~9") == []


def test_a_cookie_is_its_value_and_not_its_attributes() -> None:
    cookie = f"id={PLAIN}; Path=/telemetry/collect; HttpOnly"
    record = exchange(
        path="/telemetry/collect",
        response=Response(
            status=200,
            headers=[("Set-Cookie", cookie), ("X-Seen", PLAIN)],
            body=Body(text=f"at /telemetry/collect HttpOnly {PLAIN}"),
        ),
    )
    masked = MASKER.record(record)
    assert masked.request is not None and masked.response is not None
    assert masked.request.path == "/telemetry/collect"
    assert masked.response.headers == [("Set-Cookie", MASK), ("X-Seen", MASK)]
    assert masked.response.body is not None
    assert masked.response.body.text == f"at /telemetry/collect HttpOnly {MASK}"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (f"guid={PLAIN}&a=1", "application/x-www-form-urlencoded"),
        (json.dumps({"guid": PLAIN}), "application/json"),
        (json.dumps({"a": json.dumps({"guid": PLAIN})}), "application/json"),
        (json.dumps({"guid": PLAIN})[:-1], "application/json"),
        (f"seen guid={PLAIN} twice: guid={PLAIN}", "text/plain"),
    ],
)
def test_a_token_is_the_same_wherever_its_value_stood(body: str, kind: str) -> None:
    """Text is looked through after its fields were: of a token no token is made."""
    masked = sent(posted(body, kind, query=[("guid", PLAIN)]))
    token = dict(masked.query)["guid"]
    assert token.startswith("tok_") and masked.body is not None and masked.body.text is not None
    assert masked.body.text.count("tok_") == body.count(PLAIN) == masked.body.text.count(token)


@pytest.mark.parametrize("secret", [SECRET, PLAIN])
@pytest.mark.parametrize("place", PLACES)
def test_a_secret_leaves_no_trace(place: str, secret: str) -> None:
    assert found(MASKER.record(PLACES[place](secret)), secret) == []


@pytest.mark.parametrize("secret", [SECRET, PLAIN])
@pytest.mark.parametrize("place", PLACES)
def test_the_same_search_finds_the_secret_where_nothing_is_masked(place: str, secret: str) -> None:
    assert found(PLACES[place](secret), secret)


def test_the_name_stays_and_the_value_goes_as_the_profile_says() -> None:
    query = [("V", "1"), ("lic", "abcdef"), ("kv", "5.15"), ("Guid", "g-1"), ("api_key", "shown")]
    masked = sent(exchange(query=query)).query
    token = masked[3][1]
    assert masked[:3] == [("V", "1"), ("lic", MASK), ("kv", "")]
    assert masked[3][0] == "Guid" and token.startswith("tok_") and len(token) == 28
    assert masked[4] == ("api_key", "shown")  # lifted in the query, for this profile
    assert sent(exchange(profile="", query=query)).query[4] == ("api_key", MASK)


def test_equal_values_get_equal_tokens_wherever_they_stand() -> None:
    record = exchange(
        query=[("guid", PLAIN)],
        headers=[("Referer", f"https://x/?guid={PLAIN}&a=1")],
        body=Body(text=json.dumps({"guid": PLAIN, "again": PLAIN})),
    )
    masked = MASKER.record(record)
    request = masked.request
    assert request is not None and request.body is not None
    token = request.query[0][1]
    assert request.headers == [("Referer", f"https://x/?guid={token}&a=1")]
    assert json.loads(request.body.text or "") == {"guid": token, "again": token}
    assert masked.mask_key == "k1"
    assert Masker(RULES, b"x" * 32).record(exchange(query=[("guid", PLAIN)])) != masked


def test_without_a_key_what_would_be_a_token_is_masked() -> None:
    record = Masker(RULES).record(exchange(query=[("guid", PLAIN)]))
    assert record.request is not None
    assert record.request.query == [("guid", MASK)]
    assert record.mask_key == ""


def test_a_record_without_a_token_names_no_key() -> None:
    assert MASKER.record(exchange(query=[("lic", PLAIN)])).mask_key == ""


def test_a_record_without_anything_sensitive_stays_as_it_is() -> None:
    text = '{ "public": 1.50,\n "note": "policy of the public" }'
    query = [("v", "1"), ("public", "yes"), ("e", "e"), ("w", "WzFd")]
    headers = [("Host", "h"), ("Referer", "https://x/?publics=1")]

    def record() -> CaptureRecord:
        return exchange(
            query=query,
            headers=headers,
            path="/a%20b",
            body=Body(text=text, size=len(text)),
            response=Response(status=200, body=Body(base64="H4sI/w==")),
            profile="headers",
        )

    assert MASKER.record(record()) == record()


def test_only_what_is_masked_changes() -> None:
    assert body_of(posted('{ "a": 1 }')).text == '{ "a": 1 }'
    assert body_of(posted('{ "a": 1, "lic": "x" }')).text == '{ "a": 1, "lic": "***" }'
    form = "application/x-www-form-urlencoded"
    assert body_of(posted("a=%41+b&lic=1&c", form)).text == "a=%41+b&lic=***&c"


def test_null_and_empty_values_say_that_there_is_none() -> None:
    assert body_of(posted('{"lic":null,"guid":""}')).text == '{"lic":null,"guid":""}'
    assert sent(exchange(query=[("lic", "")])).query == [("lic", "")]


def test_a_number_gets_the_token_of_its_text() -> None:
    token = sent(exchange(query=[("guid", "1234567")])).query[0][1]
    assert json.loads(body_of(posted('{"guid":1234567}')).text or "") == {"guid": token}


def test_a_compressed_body_is_kept_open_and_reads_as_before() -> None:
    body = body_of(posted(gzip.compress(b'{"a":1,"lic":"x"}'), rule="packed"))
    assert (body.text, body.base64) == ('{"a":1,"lic":"***"}', None)


def test_a_bomb_behind_a_decoder_costs_the_cap() -> None:
    body = body_of(posted(gzip.compress(b" " * 20_000_000), rule="packed"))
    assert body.truncated and len(body.text or "") == r.BODY_CAP


@pytest.mark.parametrize("data", [b"\xff\xfe\x00binary", b"\x1f\x8bdamaged"])
def test_what_cannot_be_read_is_not_kept_where_bodies_are_sensitive(data: bytes) -> None:
    body = body_of(posted(data, rule="packed"))
    assert (body.text, body.base64, body.withheld) == (None, None, "unmaskable")
    assert body.size == len(data)


def test_what_cannot_be_read_is_kept_where_no_body_is_sensitive() -> None:
    body = body_of(posted(b"\xff\xfe\x00binary", profile="headers"))
    assert (body.base64, body.withheld) == (base64.b64encode(b"\xff\xfe\x00binary").decode(), "")


def test_a_profile_lifts_a_name_for_its_own_records_only() -> None:
    cookie = [("Cookie", "session=abcdefgh")]
    assert sent(exchange(profile="headers", headers=cookie)).headers == cookie
    assert sent(exchange(headers=cookie)).headers == [("Cookie", MASK)]


def test_short_words_are_replaced_where_they_stand_alone() -> None:
    record = exchange(
        query=[("lic", "prod"), ("a", "prod"), ("b", "product")],
        response=Response(status=200, body=Body(text='{"n":1234,"t":"true"}')),
    )
    assert sent(record).query == [("lic", MASK), ("a", MASK), ("b", "product")]


def test_trivial_values_are_not_looked_for() -> None:
    record = exchange(query=[("lic", "true"), ("kv", "5.15"), ("a", "true"), ("b", "5.15")])
    assert sent(record).query[2:] == [("a", "true"), ("b", "5.15")]


def test_a_value_that_the_cut_went_through_is_removed() -> None:
    record = exchange(
        query=[("lic", PLAIN)],
        response=Response(status=200, body=Body(text=f"seen {PLAIN[:9]}", truncated=True)),
    )
    response = MASKER.record(record).response
    assert response is not None and response.body is not None
    assert response.body.text == "seen "


def test_fields_keep_their_limits() -> None:
    reason = " ".join(["abcd"] * 102)
    record = exchange(query=[("guid", "abcd")], response=Response(status=200, reason=reason))
    assert r.decode(r.encode(MASKER.record(record)))


@pytest.mark.parametrize("depth", [60, 100, 900, 2000])
def test_a_deep_document_is_masked(depth: int) -> None:
    for name in ("lic", "\\u006cic"):
        deep = '{"a":' * depth + f'{{"{name}":"{PLAIN}"}}' + "}" * depth
        assert find_secret(everything(MASKER.record(posted(deep))), PLAIN) == []


def test_a_record_with_very_many_secrets_keeps_no_text_that_was_not_searched() -> None:
    many = json.dumps([{"lic": f"{i:04}-secret"} for i in range(2000)])
    said = "seen 1999-secret"
    record = posted(
        many,
        query=[("echo", said)],
        response=Response(status=200, headers=[("X", said)], body=Body(text=said)),
    )
    masked = MASKER.record(record)
    assert masked.response is not None and masked.response.body is not None
    assert masked.response.body.withheld == "unmaskable"
    assert find_secret(everything(masked), "1999-secret") == []


def test_what_is_too_much_to_be_searched_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every form of every value in each text takes time: what it does not allow is masked whole."""
    monkeypatch.setattr("app.contract.masking.traces._BUDGET", 10_000)
    record = exchange(
        query=[("lic", PLAIN), ("a", f"x {PLAIN}"), ("v", "1")],
        headers=[("X", "y" * 2000)],
        path="/" + SECRET,
        response=Response(status=200, body=Body(text="z" * 3000 + PLAIN)),
    )
    masked = MASKER.record(record)
    assert find_secret(everything(masked), PLAIN) == []
    assert masked.request is not None and masked.response is not None
    assert masked.request.query == [(MASK, MASK)] * 3
    assert masked.request.headers == [("X", MASK)] and masked.request.path == MASK
    assert masked.response.reason == "" and masked.response.body is not None
    assert masked.response.body.withheld == "unmaskable"


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("GET /x?lic=abc&v=1 200", "GET /x?lic=***&v=1 200"),
        ("lic=12345 password=a,b guid: x", "lic=*** password=*** guid: ***"),
        ('{"guid": "abc", "v": 1}', '{"guid": "***", "v": 1}'),
        ("{'password': 'it\\'s', 'v': 1}", "{'password': '***', 'v': 1}"),
        ('{\\"lic\\":\\"abc\\",\\"v\\":1}', '{\\"lic\\":\\"***\\",\\"v\\":1}'),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("Cookie: a=1; b=2\nnext", "Cookie: ***\nnext"),
        ("sent Basic dXNlcjpwYXNz to x", "sent Basic *** to x"),
        ("via https://me:pw@host/x", "via https://***@host/x"),
        ("token was hunter22 (password=hunter22)", "token was *** (password=***"),
        ("lic=%61%62%63", "lic=***"),
        ("client_secret=abc, X-Api-Key: def", "client_secret=*** X-Api-Key: ***"),
        ("the public licence, v=1: 3 < 4", "the public licence, v=1: 3 < 4"),
        ("lic=", "lic="),
        ("\udcff password=x", "\\xff password=***"),
        ("kept cookie: of=one profile", "kept cookie: ***"),
    ],
)
def test_a_log_line(line: str, masked: str) -> None:
    assert MASKER.line(line) == masked


@pytest.mark.parametrize(
    ("profile", "url", "shown"),
    [
        ("vendor", "https://h/x?v=1&a=2&lic=3", "https://h/x?v=1&a=***&lic=***"),
        ("", "https://h/x?v=1", "https://h/x?v=***"),
        ("gone", "https://h/x?v=1", "https://h/x?v=***"),
        ("vendor", "https://me:pw@h/x?%76=1&alone&&v", "https://***@h/x?%76=1&***&***&v"),
        ("vendor", "https://h/x#token", "https://h/x#***"),
        ("vendor", "/x;lic=abc", "/x;lic=***"),
        ("vendor", "https://h/x?v=https://y/?lic=abc", "https://h/x?v=https://y/?lic=***"),
        ("vendor", "https://h/", "https://h/"),
    ],
)
def test_a_url_shows_the_values_of_the_safe_list(profile: str, url: str, shown: str) -> None:
    assert MASKER.url(profile, url) == shown


def test_what_is_sensitive_is_never_safe() -> None:
    profile = Profile(
        "p", "P", (), (), (Sensitive("query", "lic", "mask"),), safe_query=("V", "Lic")
    )
    masker = Masker(RuleSet((profile,)))
    assert (masker.safe("p"), masker.safe("gone"), masker.safe("")) == ({"v"}, set(), set())


@given(any_record, st.sampled_from(["", "vendor", "headers", "gone"]), st.sampled_from(RULE_IDS))
def test_any_record_can_be_masked_and_sent(record: CaptureRecord, profile: str, rule: str) -> None:
    record.profile, record.rule = profile, rule
    if record.request is not None:
        record.request.query.append(("password", PLAIN))
    assert find_secret(r.encode(r.decode(r.encode(MASKER.record(record)))), PLAIN) == []


def test_masking_imports_no_decompressor_until_a_body_needs_one() -> None:
    code = (
        "import sys, app.contract.masking.masker as m, app.contract.rules as r;"
        "m.Masker(r.RuleSet());"
        "sys.exit(bool({'zstandard', 'brotli', 'brotlicffi'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("profile", ["", "vendor", "gone"])
@pytest.mark.parametrize("rotate", range(3))
def test_a_secret_is_masked_in_every_profile(profile: str, rotate: int) -> None:
    for number, row in enumerate(DETECTORS):
        if number % 3 != rotate:
            continue
        secret = row.secrets[0].replace("|", "").partition("\n")[0]
        body = Body(text=json.dumps({"a": secret}))
        record = exchange(profile=profile, query=[("a", secret)], body=body)
        record.response = Response(status=200, headers=[("x", secret)], body=Body(text=secret))
        record.detail = f"it was {secret}"
        assert find_secret(everything(MASKER.record(record)), secret) == [], row.id
        assert secret not in MASKER.line(f"sent {secret} to x")


def test_keep_is_the_only_way_out() -> None:
    secret = DETECTORS[3].secrets[0].replace("|", "")
    rules = (Sensitive("any", "shown", "keep"),)
    masker = Masker(RuleSet((msgspec.structs.replace(VENDOR, sensitive=rules),)))

    def record() -> CaptureRecord:
        body = Body(text=json.dumps({"shown": secret, "n": 1.0}))
        return exchange(query=[("shown", secret)], headers=[("Shown", secret)], body=body)

    assert masker.record(record()) == record()
    record_ = record()
    assert record_.request is not None
    record_.request.query.append(("other", secret))
    assert find_secret(everything(masker.record(record_)), secret) == []


def test_a_secret_that_the_cap_cut_goes_from_its_start() -> None:
    secret = DETECTORS[3].secrets[0].replace("|", "")[:12]
    record = posted(f'{{"b": 1, "a": "{secret}', truncated=True, query=[("a", f"x {secret}…")])
    masked = MASKER.record(record).request
    assert masked is not None and masked.body is not None
    assert masked.body.text == '{"b": 1, "a": "***' and masked.query == [("a", "x ***…")]


def test_a_record_says_which_fields_were_masked_and_by_what() -> None:
    packed = base64.b64encode(json.dumps({"DB_PASSWORD": SECRET}).encode()).decode()
    counted: list[tuple[str, str]] = []
    masker = Masker(RULES, count=lambda metric, by: counted.append((metric, by)))
    record = exchange(
        query=[("lic", PLAIN), ("d", packed), ("v", "1")],
        headers=[("Referer", f"https://h/?api_secret={PLAIN}1")],
        body=Body(text=json.dumps({"a": f"got {TOKEN} ok", "n": {"dbPassword": "x1"}})),
        response=Response(status=200, body=Body(text="lic=q8888888")),
    )
    said = masker.record(record).masked
    assert said == [
        ("query.lic", "lic"), ("body", "GitHub token"), ("body", "password"),
        ("response.body", "lic"), ("query.d", "password"), ("header.referer", "secret"),
    ]  # fmt: skip
    by = {"lic", "GitHub token", "password", "secret"}
    assert sorted(counted) == [("telemock.masked", one) for one in sorted(by)]
    assert PLAIN not in str(said) and TOKEN not in str(said)


def test_what_is_masked_is_bounded_and_holds_no_name_that_is_a_secret() -> None:
    many = [(f"password_{n}x.lic", f"{PLAIN}{n}") for n in range(999)]
    assert len(MASKER.record(exchange(query=many)).masked) == 64
    assert TOKEN not in str(MASKER.record(exchange(query=[(TOKEN, "1"), ("lic", "x1")])))
    assert MASKER.record(exchange(query=[("v", "1")])).masked == []
