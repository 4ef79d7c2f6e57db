"""app/learn/fields.py: which field is the version, which tell of somebody."""

import json
from typing import Any

import pytest

from app.contract.masking.masker import Masker
from app.contract.rules import Profile, RuleSet, Sensitive
from app.learn.fields import (
    Hidden,
    Look,
    beside_rows,
    kept_as_tokens,
    look,
    sensitive,
    versions,
)
from tests.records import exchange, spliced
from tests.unit.app.learn.conftest import request


def looks(*sent: Any, **given: Any) -> list[Look]:
    records = [request(n, sent=json.dumps(one).encode(), **given) for n, one in enumerate(sent)]
    return [one for record in records if (one := look(record))]


def best(
    *sent: Any, words: tuple[str, ...] = ("acme",), **given: Any
) -> tuple[str, str, list[str]]:
    found = versions(looks(*sent, **given), frozenset(words))
    return (found[0].field, found[0].regex, found[0].values) if found else ("", "", [])


@pytest.mark.parametrize(
    ("sent", "field", "values"),
    [
        ({"version": "4.16.1"}, "body.version", ["4.16.1"]),
        (
            {"a": {"app_version": "4.10"}, "python_version": "3.12.1"},
            "body.a.app_version",
            ["4.10"],
        ),
        ({"acmeVersion": "1.2.3", "version": "2026.1"}, "body.acmeVersion", ["1.2.3"]),
        ({"batch": [{"v": "1.2"}, {"v": "1.2"}]}, "body.batch.*.v", ["1.2"]),
        ([{"properties": {"version": "1.2"}}], "body.*.properties.version", ["1.2"]),
        ({"release": "acme@4.10"}, "body.release", ["4.10"]),
        ({"version": "=1.11.16"}, "body.version", ["1.11.16"]),
        ({"version": "v1.30.1+k3s1"}, "body.version", ["v1.30.1+k3s1"]),
        ({"data": json.dumps({"version": "1.2.3"})}, "body.data.version", ["1.2.3"]),
        ({"python_version": "3.12.1", "os_version": "6.1"}, "", []),
        ({"$lib_version": "7.91.1", "sdk": {"version": "3.0"}}, "", []),
        ({"version": "yes", "n": 1}, "", []),
    ],
)
def test_the_version_is_found_by_name_and_look(sent: Any, field: str, values: list[str]) -> None:
    found = best(sent, sent)
    assert (found[0], found[2]) == (field, values)


def test_the_version_may_stand_in_query_header_and_agent() -> None:
    assert best({}, query=[("v", "4.16.1"), ("os", "6.1.0")])[0] == "query.v"
    assert best({}, headers=[("X-Acme-Version", "4.16.1")])[0] == "header.x-acme-version"
    agent = best({}, headers=[("User-Agent", "acme-agent/4.16.1 (linux)")])
    assert agent == ("header.user-agent", "acme\\-agent/v?([0-9.]+)", ["4.16.1"])
    pairs = best({}, headers=[("User-Agent", "acme/4.16.1; python/3.12")])
    assert pairs[0] == "header.user-agent.acme"
    for library in ("python-requests/2.32.3", "Go-http-client/1.1", "curl/8.5.0", "axios/1.7.2"):
        assert best({}, headers=[("User-Agent", library)])[0] == ""


def test_what_a_sender_changes_is_no_version() -> None:
    assert best(*({"version": f"1.2.{n}"} for n in range(5)))[0] == ""
    found = [
        one
        for n in range(5)
        for one in looks({"version": f"1.{n}"}, {"version": f"1.{n}"}, pod=f"pod-{n}")
    ]
    assert versions(found, frozenset())[0].values == ["1.0", "1.1", "1.2", "1.3", "1.4"]


@pytest.mark.parametrize(
    ("sent", "fields"),
    [
        ({"email": "ada@acme.example"}, ["any.email"]),
        ({"note": "ada@acme.example"}, ["any.note"]),
        ({"installation_id": "abc", "hostname": "n1"}, ["any.hostname", "any.installation_id"]),
        ({"x": "00000000-0000-4000-8000-000000000001"}, ["any.x"]),
        ({"address": "203.0.113.9"}, ["any.address"]),
        ({"user": {"id": "u1", "name": "Ada"}}, ["body.user.id", "body.user.name"]),
        ({"params": json.dumps({"email": "a@b.example"})}, ["any.email"]),
        ({"userId": "u1", "username": "ada", "cwd": "/home/ada"},
         ["any.cwd", "any.userId", "any.username"]),
        ({"machineId": 42, "home_dir": "/home/ada"}, ["any.home_dir", "any.machineId"]),
        ({"host": {"ip": "203.0.113.9"}}, ["body.host.ip"]),
        ({"release": "app@1.0.0", "count": 3, "ok": True, "at": "2026-11-29"}, []),
        ({"Email": "a@b.example", "x": {"email": "c@d.example"}}, ["any.Email"]),
    ],
)  # fmt: skip
def test_fields_that_tell_of_somebody(sent: Any, fields: list[str]) -> None:
    found = looks(sent)
    hidden = sensitive(found, versions(found, frozenset()))
    assert sorted(one.field for one in hidden) == sorted(fields)
    assert {one.how for one in hidden} <= {"token"}


def test_a_secret_is_masked_as_it_is_without_a_row() -> None:
    found = {one.field: one.how for one in sensitive(looks({"password": "x", "email": "a@b.ex"}))}
    assert found == {"any.password": "mask", "any.email": "token"}


def test_headers_that_carry_are_not_somebodys() -> None:
    headers = [
        ("Host", "stats.acme.test"), ("X-Amzn-Trace-Id", "00000000-0000-4000-8000-000000000001"),
        ("X-Acme-Instance-Id", "i-1"),
    ]  # fmt: skip
    assert [one.field for one in sensitive(looks({}, headers=headers))] == [
        "any.x-acme-instance-id"
    ]


def test_names_without_end_are_bounded() -> None:
    assert len(sensitive(looks({f"email{n}": "a@b.example" for n in range(1_000)}))) == 60


def test_what_was_not_read_is_no_look() -> None:
    assert look(spliced(1)) is None
    assert look(exchange(2, action="pass")) is None


OTLP = {
    "resource": {
        "attributes": [
            {"key": "service.name", "value": {"stringValue": "acmed"}},
            {"key": "host.name", "value": {"stringValue": "pc-ada"}},
            {"key": "service.instance.id", "value": {"stringValue": "i-1"}},
        ]
    },
    "spans": [{"name": "job", "id": "7"}],
}


@pytest.mark.parametrize(
    ("sent", "hidden", "kept"),
    [
        (OTLP, ("pc-ada", "i-1"), ("acmed", "job")),
        ({"host.name": "pc-ada", "name": "job"}, ("pc-ada",), ("job",)),
        ({"host": {"name": "pc-ada"}, "name": "job"}, ("pc-ada",), ("job",)),
        ({**OTLP, "host": {"name": "pc-eve"}}, ("pc-ada", "pc-eve", "i-1"), ("job",)),
        ({"x": json.dumps({"host.name": "pc-ada", "name": "job"})}, ("pc-ada",), ("job",)),
    ],
)
def test_the_rows_hide_what_they_are_for_and_no_more(
    sent: Any, hidden: tuple[str, ...], kept: tuple[str, ...]
) -> None:
    rows = [Sensitive(*row.field.split(".", 1), row.how) for row in sensitive(looks(sent))]  # type: ignore[arg-type]
    profile = Profile("opened", "", (), (), sensitive=tuple(rows))
    masked = Masker(RuleSet((profile,))).record(request(sent=json.dumps(sent).encode()))
    assert masked.request is not None and masked.request.body is not None
    text = masked.request.body.text or ""
    assert not [one for one in hidden if one in text] and all(one in text for one in kept), text


def test_a_header_that_is_a_key_by_name_is_masked() -> None:
    headers = [("X-Acme-Key", "wk_77aa88bb"), ("Idempotency-Key", "wk_1"), ("X-Keyboard", "de")]
    found = sensitive(looks({}, headers=headers))
    assert [(one.field, one.how) for one in found] == [("header.x-acme-key", "mask")]


@pytest.mark.parametrize(
    "agent", ["OTel-OTLP-Exporter-Python/1.45.2", "grpc-node-js/1.9.0", "acme/1.2.3 httpx/0.27"]
)
def test_a_librarys_version_is_not_even_asked_for(agent: str) -> None:
    found = versions(looks({}, headers=[("User-Agent", agent)]), frozenset(("acme",)))
    assert {value for one in found for value in one.values} <= {"1.2.3"}


def test_a_protocols_version_is_no_products() -> None:
    sent = {"jsonrpc": "2.0", "rpc_version": "1.1"}
    assert versions(looks(sent, query=[("vsn", "2.0.0")]), frozenset()) == []


def test_what_an_opened_run_kept_as_a_token_stays_one() -> None:
    rows = [Hidden("any.userName", "token", "x")]
    masked = [("body", "cwd"), ("body", "user_name"), ("query.cwd", "cwd"), ("body", "license_key")]
    assert [one.field for one in kept_as_tokens(masked, rows)] == ["any.cwd"]


def test_what_is_masked_without_a_row_is_called_by_name() -> None:
    rows = [Hidden("any.email", "token", "x"), Hidden("header.x-acme-key", "mask", "x")]
    named = ("e_mail", "email", "license_key", "")
    masked = [*(("body", name) for name in named), ("header.x-acme-key", "x-acme-key"),
              ("header.authorization", "authorization")]  # fmt: skip
    assert [*beside_rows(masked, rows)] == [
        "license_key in the body",
        "body",
        "header.authorization",
    ]
