"""Names in any spelling: their words, and the longest phrase that they end with."""

import pytest

from app.store.class_names import rule_of, spelled
from app.store.class_rules import B, N, S


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("userName", "user name"), ("USER_NAME", "user name"), ("user-name", "user name"),
        ("username", "user name"), ("UserID", "user id"), ("hostname", "host name"),
        ("x-forwarded-for", "x forwarded for"), ("k8s_version", "kube version"),
        ("ipv4Address", "ip address"), ("emailMd5", "email hash"), ("p99-handle-us",
        "percentile handle us"), ("e-mail", "email"), ("usageStatsId", "usage stats id"), ("", ""),
        ("$lib", "lib"), ("password", "password"), ("email", "email"), ("nodejs", "nodejs"),
    ],
)  # fmt: skip
def test_words_of_a_name(name: str, expected: str) -> None:
    assert " ".join(spelled(name)) == expected


@pytest.mark.parametrize(
    ("path", "type", "rule"),
    [
        ("body.user.name", S, "user name"),
        ("body.user.agent", S, "user agent"),
        ("body.user.count", N, "count"),
        ("body.a.user[].id", N, "id of a person"),
        ("body.data›base64›json.host", S, "machine"),
        ("header.host", S, "header of the protocol"),
        ("header.Content-Length", N, "header of the protocol"),
        ("body.license.email", S, "e-mail"),
        ("body.license_key", S, "licence"),
        ("body.auth.token", S, "credential"),
        ("body.tokens", N, None),
        ("body.has_password", B, None),
        ("body", S, None),
        ("", S, None),
        ("query.", S, None),
    ],
)
def test_the_rule_of_a_name(path: str, type: str, rule: str | None) -> None:
    found = rule_of(path, type)
    assert (found and found.name) == rule
