import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.masking.fields import SensitiveNames
from app.contract.masking.spelling import _REMEMBERED, LONGEST, Meanings, words
from app.contract.rules import Sensitive

NAMES = SensitiveNames([Sensitive("any", "lic", "mask"), Sensitive("any", "user_id", "mask")])

SENSITIVE = [
    "lic",
    "LIC",
    "Lic",
    "lic[]",
    "lic[0]",
    "a.lic",
    "a.b.lic",
    "a[lic]",
    "a[lic][]",
    "lic.0",
    "--lic",
    "/lic",
    "x:lic",
    "user_id",
    "userId",
    "UserID",
    "USER-ID",
    "user.id",
    "userid",
    "user[id]",
    "a.userId",
    "password",
    "PASSWORD",
    "Password",
    "user[password]",
    "user[password][]",
    "DB_PASSWORD",
    "userPassword",
    "db-password",
    "dbpassword",
    "DBPASSWORD",
    "new.password",
    "password2",
    "22password",
    "password_1",
    "spring.datasource.password",
    "api_key[]",
    "apiKey",
    "APIKey",
    "api-key",
    "x-api-key",
    "X-API-KEY",
    "apikey",
    "API_KEY",
    "service.apiKey",
    "api__key",
    "client_secret",
    "clientSecret",
    "client-secret",
    "webhookSecret",
    "AWS_SECRET_ACCESS_KEY",
    "aws.secretAccessKey",
    "accessToken",
    "refresh_token",
    "idToken",
    "x-amz-security-token",
    "private-token",
    "PRIVATE_KEY",
    "privateKey",
    "token",
    "Authorization",
    "proxyAuthorization",
    "writeKey",
    "sentry_key",
    "license_key",
    "mysql_pwd",
]


def shifted(name: str, by: int) -> str:
    """Full-width letters, or mathematical ones."""
    return "".join(chr(ord(c) + by) for c in name)


ODD = [
    " password ", "password\t", "\ufeffpassword", "pass\u200bword", shifted("password", 0xFEE0),
    shifted("API_KEY", 0xFEE0), shifted("password", 0x1D3B9), "api key", "API Key", "'password'",
    '"lic"', "$password",
]  # fmt: skip
# Of a like name, and of another meaning.
READABLE = [
    "license_count",
    "licence",
    "licenses_used",
    "token_count",
    "tokenCount",
    "tokens_used",
    "max_tokens",
    "tokens",
    "page_token",
    "nextPageToken",
    "tokenizer",
    "password_policy",
    "passwordPolicy",
    "password_length",
    "passwordless",
    "has_password",
    "isSecret",
    "no_password",
    "requires_password",
    "password_2fa",
    "password[policy]",
    "secret_count",
    "secretary",
    "api_key_count",
    "api_keys",
    "access_key_id",
    "access_token_ttl",
    "accessTokenExpires",
    "public_key",
    "key",
    "keyboard",
    "author",
    "authorize",
    "authorized",
    "authorization_mode",
    "author_id",
    "cookie_count",
    "cookies_enabled",
    "relic",
    "public",
    "lics",
    "licls",
    "my_lic",
    "lic_type",
    "lic2",
    "policy",
    "click",
    "user",
    "users.id_count",
    "userIds",
    "pwd",
    "PWD",
    "OLDPWD",
    "env",
    "os",
    "version",
    "build",
    "guid",
    "p",
    "dm",
    "it",
    "lk.max",
    "pp.ie",
    "fc.a",
    "session",
    "session_count",
    "credential_type",
]


@pytest.mark.parametrize("name", [*SENSITIVE, *ODD])
def test_a_name_means_the_same_in_any_spelling(name: str) -> None:
    assert NAMES.body.meaning(name) == "mask"
    assert NAMES.query.meaning(name) == NAMES.header.meaning(name) == NAMES.meaning(name) == "mask"


@pytest.mark.parametrize("name", [*READABLE, "", ".", "[]", "0", "\ud83d"])
def test_a_name_of_another_meaning_is_not_sensitive(name: str) -> None:
    assert NAMES.body.meaning(name) is None
    assert NAMES.query.meaning(name) is None and NAMES.meaning(name) is None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("userPassword", ["user", "password"]),
        ("APIKey", ["api", "key"]),
        ("X-API-KEY", ["x", "api", "key"]),
        ("oAuth2Token", ["o", "auth", "2", "token"]),
        ("22has_password", ["22", "has", "password"]),
        ("größe_é", ["größe", "é"]),
        ("--", []),
    ],
)
def test_words(name: str, found: list[str]) -> None:
    assert words(name) == found


def test_a_keep_lifts_every_spelling_of_the_name() -> None:
    meanings = Meanings(["password"])
    meanings.add("password", "mask")
    meanings.add("Pass_Word", "keep")
    assert meanings.meaning("password") == "keep"  # the same words
    assert meanings.meaning("db_password") == "mask"


def test_what_is_remembered_is_bounded() -> None:
    meanings = Meanings(["password"])
    for number in range(2 * _REMEMBERED):
        assert meanings.meaning(f"a{number}.password") == "mask"
    assert meanings.meaning("x" * 100_000 + ".password") == "mask"
    assert len(meanings._known) <= _REMEMBERED
    assert max(map(len, meanings._known)) <= LONGEST


@given(st.text())
def test_any_name_has_a_meaning(name: str) -> None:
    assert NAMES.body.meaning(name) in (None, "mask")
    assert Meanings().meaning(name) is None
