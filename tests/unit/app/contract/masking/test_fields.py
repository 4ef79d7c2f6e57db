import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.masking.fields import _REMEMBERED, SMALL, SensitiveNames
from app.contract.masking.spelling import How
from app.contract.rules import Sensitive


def names(*fields: tuple[str, str, str]) -> SensitiveNames:
    return SensitiveNames(Sensitive(*f) for f in fields)  # type: ignore[arg-type]


def replaced(text: bytes, of: SensitiveNames) -> tuple[bytes, list[tuple[How, str]]]:
    calls: list[tuple[How, str]] = []

    def replace(how: How, value: str) -> str:
        calls.append((how, value))
        return "#"

    return of.replace(text, replace), calls


LIC = names(("any", "lic", "token"))


def test_every_product_has_sensitive_names() -> None:
    common = SensitiveNames()
    for name in ("authorization", "cookie", "set-cookie", "x-api-key"):
        assert common.header.meaning(name) == "mask"
    for part in (common.query, common.body, common.header):
        for name in ("password", "client_secret", "client-secret", "clientsecret", "apikey"):
            assert part.meaning(name) == "mask"
    assert not common.reads_bodies


def test_where_names_stand_is_remembered_within_bounds() -> None:
    of = names(("query", "lic", "mask"), ("header", "guid", "mask"))
    for _ in range(2):
        assert of.places("query", ("v", "LIC", "guid", "lic")) == (
            (1, 3),
            (),
            "v\nLIC\nguid\nlic",
            False,
            (),
            (),
        )
        assert of.places("header", ("v", "LIC", "guid", "lic")).at == (2,)
        assert of.places("query", ()) == ((), (), "", False, (), ())
    assert of.places("header", ("a", "User-Agent")).agents == (1,)
    for number in range(3 * _REMEMBERED):
        assert of.places("query", (f"{number}", "lic")).at == (1,)
        of.remember((f"{number}", "", ()))
    assert len(of._places) <= _REMEMBERED and len(of.clean) <= _REMEMBERED
    before = len(of._places)
    assert of.places("query", ("x" * SMALL, "lic")).at == (1,) and len(of._places) == before


def test_a_name_of_two_lines_is_not_two_names() -> None:
    of = names(("query", "lic", "mask"), ("query", "a\nlic", "mask"))
    for _ in range(2):
        assert of.places("query", ("a", "lic", "v")).at == (1,)
        assert of.places("query", ("a\nlic", "v")).at == (0,)
        assert of.places("query", ("a", "lic\nv")).at == ()
        assert of.places("query", ()).at == of.places("query", ("",)).at == ()


def test_any_is_query_header_and_body() -> None:
    for part in (LIC.query, LIC.header, LIC.body):
        assert part.meaning("lic") == "token"
    assert LIC.path.meaning("lic") is None
    assert LIC.reads_bodies
    assert not names(("query", "lic", "mask"), ("body", "a", "keep")).reads_bodies


def test_keep_lifts_a_name_in_its_part() -> None:
    lifted = names(("query", "PASSWORD", "keep"))
    assert (lifted.query.meaning("password"), lifted.body.meaning("password")) == ("keep", "mask")
    assert lifted.meaning("password") == "mask"  # where nobody knows the part
    everywhere = names(("any", "password", "keep"))
    assert everywhere.meaning("password") is None
    assert replaced(b"password=a", everywhere) == (b"password=a", [])
    assert everywhere.meaning("DB_PASSWORD") == "mask"  # another field


@pytest.mark.parametrize(
    ("name", "path", "how"),
    [
        ("id", "user.id", "mask"),
        ("id", "users.user.id", "mask"),
        ("id", "id", None),
        ("id", "superuser.id", None),
        ("key", "items.key", "drop"),  # through a list
        ("password", "login.password", "keep"),
        ("password", "other.password", "mask"),
    ],
)
def test_a_json_field_by_its_key_or_the_end_of_its_path(
    name: str, path: str, how: str | None
) -> None:
    found = names(
        ("body", "user.id", "mask"),
        ("body", "items.*.key", "drop"),
        ("body", "login.password", "keep"),
    )
    assert found.of_field(name, path) == how


# Each form in which text gives a name and its value, with what is left and what was found.
FORMS = [
    (b"lic=a", b"lic=#", "a"),
    (b"?x=1&lic=a&y=2", b"?x=1&lic=#&y=2", "a"),
    (b"LIC : a b", b"LIC : # b", "a"),
    (b"lic => a", b"lic => #", "a"),
    (b"lic[]=a", b"lic[]=#", "a"),
    (b"x[lic]=a", b"x[lic]=#", "a"),
    (b"x%5Blic%5D=a&b", b"x%5Blic%5D=#&b", "a"),
    (b"lic%5B0%5D=a", b"lic%5B0%5D=#", "a"),
    (b"a.lic=a", b"a.lic=#", "a"),
    (b"--lic=a -x", b"--lic=# -x", "a"),
    (b"run --lic a -x", b"run --lic # -x", "a"),
    (b"run -lic 'a b' -x", b"run -lic '#' -x", "a b"),
    (b'["--lic", "a", "-x"', b'["--lic", "#", "-x"', "a"),
    (b'{" lic ": "a"}', b'{" lic ": "#"}', "a"),
    ("\uff4c\uff29c: a b".encode(), "\uff4c\uff29c: # b".encode(), "a"),
    ("\uff11 lic=\uff41 b".encode(), "\uff11 lic=# b".encode(), "\uff41"),
    (b"\\nlic=a", b"\\nlic=#", "a"),
    (b"<a:lic>a</a:lic>", b"<a:lic>#</a:lic>", "a"),
    (b"https:\\/\\/me:pw@host", b"https:\\/\\/#@host", "me:pw"),
    (b'{"lic":"a b","x":1}', b'{"lic":"#","x":1}', "a b"),
    (b'{"lic": "a\\"b', b'{"lic": "#', 'a"b'),
    (b'{"lic":12345,"x":1}', b'{"lic":#,"x":1}', "12345"),
    (b'{"lic":true}', b'{"lic":#}', "true"),
    (b'{\\"lic\\":\\"a\\",\\"x\\":1}', b'{\\"lic\\":\\"#\\",\\"x\\":1}', "a"),
    (b"{'lic': 'a'}", b"{'lic': '#'}", "a"),
    (b'{"lic":["a","b"', b'{"lic":#', '["a","b"'),
    (b'{"lic":{"a":', b'{"lic":#', '{"a":'),
    (b"%26lic%3Da%2Fb&x", b"%26lic%3D#&x", "a/b"),
    (b'lic="a b"', b'lic="#"', "a b"),
    (b'lic=a"b', b"lic=#", 'a"b'),
    (b"<lic>a b</lic>", b"<lic>#</lic>", "a b"),
    (b"<n:lic x='1'><![CDATA[a]]></n:lic>", b"<n:lic x='1'><![CDATA[#</n:lic>", "a]]>"),
    (
        b'Content-Disposition: form-data; name="lic"\r\nX: y\r\n\r\na\nb\r\n--x',
        b'Content-Disposition: form-data; name="lic"\r\nX: y\r\n\r\n#\r\n--x',
        "a\nb",
    ),
    (b"authorization: Bearer a b\nx", b"authorization: #\nx", "Bearer a b"),
    (b"Cookie: a=1; b=2", b"Cookie: #", "a=1; b=2"),
    (b"Bearer abcdefgh1 x", b"Bearer # x", "abcdefgh1"),
    (b"https://me:p%40w@host/", b"https://#@host/", "me:p@w"),
    (b"https%3A%2F%2Fme%3Apw%40host", b"https%3A%2F%2F#%40host", "me:pw"),
    (b"\xff lic=\xe9 x", b"\xff lic=# x", "\\xe9"),
]


@pytest.mark.parametrize(("text", "left", "value"), FORMS)
def test_a_value_in_text(text: bytes, left: bytes, value: str) -> None:
    found, calls = replaced(text, LIC)
    assert found == left
    assert [v for _, v in calls] == [value]
    assert LIC.maybe(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"public=1",
        b"my_lic=1",
        b"lic2=1",
        b"lic[count]=1",
        b"lic_count=1",
        b"lic count: 1",
        b"--lic-file a",
        b"of lic a",
        b"<relic>1</relic>",
        b"lic",
        b"lic=",
        b"lic=null&x",
        b'"lic":null',
        b'"lic":"***"',
        b"relic: 1",
        b"https://host/a@b",
        b"basic things",
    ],
)
def test_text_without_a_value(text: bytes) -> None:
    assert replaced(text, LIC) == (text, [])


def test_what_ends_one_value_begins_the_next_name() -> None:
    left, calls = replaced(b"lic=1 password=2,lic:3\tlic=4", LIC)
    assert left == b"lic=# password=#\tlic=#"
    assert calls == [("token", "1"), ("mask", "2,lic:3"), ("token", "4")]


def test_of_two_ways_to_keep_a_name_text_gets_the_stricter() -> None:
    both = names(("query", "id", "token"), ("header", "id", "drop"))
    assert replaced(b"id=1", both)[1] == [("mask", "1")]


def test_a_name_may_hold_any_character() -> None:
    odd = names(("any", "a.b[é]+", "mask"))
    assert replaced("a.b[é]+=1 axb[é]=1".encode(), odd)[0] == "a.b[é]+=# axb[é]=1".encode()


def test_a_header_that_ends_with_key_is_one_unless_it_says_what_it_is_the_key_of() -> None:
    for name in ("x-widget-key", "X-Acme-Key", "acme_key", "x-amz-server-side-customer-key"):
        assert LIC.header.meaning(name) == "mask", name
        assert LIC.query.meaning(name) is LIC.body.meaning(name) is None, name
    for name in (
        "key", "x-hotkey", "idempotency-key", "X-Idempotency-Key", "x-routing-key",
        "Sec-WebSocket-Key", "cache-key", "surrogate-key", "primary-key", "partition-key",
        "sort-key", "public-key", "x-event-key", "x-key-id", "has-key",
    ):  # fmt: skip
        assert LIC.header.meaning(name) is None, name
    kept = names(("header", "x-widget-key", "keep"))
    assert kept.header.meaning("x-widget-key") == "keep"


@given(st.binary())
def test_any_bytes_can_be_searched(data: bytes) -> None:
    left, calls = replaced(data, LIC)
    assert LIC.maybe(data) or not calls
    assert bool(calls) or left == data


@given(st.text("ab=&lic:\"'\\% <>{[,@/").map(str.encode))
def test_nothing_is_found_that_the_first_look_denies(data: bytes) -> None:
    assert LIC.maybe(data) or not replaced(data, LIC)[1]


@pytest.mark.parametrize(
    "unit",
    [b"lic=", b'"lic":[', b"://a@", b'name="lic"\r\n', b"<lic ", b'\\"lic\\":\\"', b"Bearer "],
)
def test_hostile_text_takes_bounded_time(unit: bytes) -> None:
    began = time.process_time()
    replaced(unit * (256 * 1024 // len(unit)), LIC)
    assert time.process_time() - began < 10  # some 0.3 s; a backtracking search would take hours


def test_the_rest_of_a_text_with_very_many_values_is_taken() -> None:
    left, calls = replaced(b"lic=1 " * 20_000 + b"password=last", LIC)
    assert b"last" not in left and left.endswith(b"***")
    assert len(calls) < 20_000
