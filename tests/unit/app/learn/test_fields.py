"""app/learn/fields.py: which field is the version, which tell of somebody."""

import json
from typing import Any

import pytest

from app.learn.fields import Look, look, sensitive, versions
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
