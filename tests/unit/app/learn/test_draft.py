"""app/learn/draft.py: endpoints, cadence, and what is said to be unknown."""

import pytest

from app.learn.draft import HOSTS, REQUESTS, RULES, NothingToLearn, draft
from app.learn.yaml_text import written
from app.profiles.compile import compiled_draft
from tests.records import log, spliced
from tests.unit.app.learn.conftest import request

JSON = "application/json"


def test_endpoints_are_templates_and_exact_paths_come_first() -> None:
    found = draft(
        [
            *(request(n, f"/v1/orgs/{n}/events") for n in range(9)),
            request(20, "/v1/usage"),
            request(21, "/v1/usage", method="GET"),
            request(22, "/"),
        ]
    )
    assert [(e.id, e.method, e.route, e.path.kind) for e in found.endpoints] == [
        ("v1-usage-post", "POST", "/v1/usage", "exact"),
        ("v1-usage-get", "GET", "/v1/usage", "exact"),
        ("root", "POST", "/", "exact"),
        ("v1-orgs-events", "POST", "/v1/orgs/{id}/events", "regex"),
    ]
    assert found.endpoints[-1].path.matches("/v1/orgs/123/events")
    assert not found.endpoints[-1].path.matches("/v1/orgs/1/2/events")
    assert found.id == "acme" and found.hosts == ["stats.acme.test"]


def test_segments_that_vary_in_two_ways_are_one_rule() -> None:
    paths = ["/x/1", "/x/2026-01-01", "/x/2", "/x/a%40b.example"]
    (endpoint,) = draft([request(n, path) for n, path in enumerate(paths)]).endpoints
    assert endpoint.route == "/x/{id}" and all(map(endpoint.path.matches, paths))


def test_two_of_a_kind_have_names_of_their_own() -> None:
    (endpoint,) = draft([request(0, "/a/17/b/99")]).endpoints
    assert endpoint.route == "/a/{id}/b/{id2}"


@pytest.mark.parametrize(
    "path", ["*", "//x/1", "/a;j=1/b", "/{id}/x", "/*", "/a/*/b", "/" + "b-" * 300, "/" + "a/" * 40]
)
def test_odd_paths_make_no_rule_that_takes_everything(path: str) -> None:
    found = draft([request(0, path), request(1, "/v1/usage")])
    for endpoint in found.endpoints:
        assert any(endpoint.path.matches(one) for one in (path, "/v1/usage"))
        assert not endpoint.path.matches("/quite/another")


@pytest.mark.parametrize(
    ("times", "every"),
    [
        ([0, 60, 120.4, 180, 239.8], "60s"),
        ([0, 600, 1_200, 1_801], "10m"),
        ([n * 86_400 for n in range(5)], "1d"),
        ([0, 60], ""),
        ([0, 5, 90, 400, 401, 402], ""),
        ([0, 0.1, 0.2, 0.3], ""),
    ],
)
def test_cadence_as_observed(times: list[float], every: str) -> None:
    found = draft([request(at) for at in times])
    assert {"1m": "60s"}.get(found.every, found.every) == every
    assert any("How often" in one for one in found.unknown) == (not every)


def test_each_senders_pace_is_its_own() -> None:
    found = draft([request(n * 60 + by, pod=f"p-{by}") for n in range(5) for by in (0, 7, 31)])
    assert found.every in ("1m", "60s")


def test_what_could_not_be_told_is_listed() -> None:
    found = draft([request(0, sent=b"\x00\xff\xfe\x01" * 9), spliced(3, host="stats.acme.test")])
    said = " ".join(found.unknown)
    for part in ("Where the version", "How often", "a licence", "hold: opaque", "1 connection to"):
        assert part in said


def test_a_draft_is_bounded() -> None:
    letters = "abcdefghij"
    words = ["".join(letters[int(d)] for d in str(n)) for n in range(REQUESTS + 50)]
    found = draft([request(n, f"/{word}") for n, word in enumerate(words)])
    assert len(found.endpoints) == RULES
    said = " ".join(found.unknown)
    assert f"{REQUESTS - RULES:,} more requests" in said and "50 records" in said


def test_an_answer_that_names_another_host_is_mentioned() -> None:
    body = b'{"url": "https://Ingest.acme.test/log", "us": "https://stats.acme.test/"}'
    found = draft([request(0, answer=(200, JSON, body))])
    (said,) = [one for one in found.unknown if "then sends" in one]
    assert (
        said
        == "Whether the client then sends to ingest.acme.test: the answer of v1-usage names it."
    )


def test_sources_of_the_version_that_agree_stand_together() -> None:
    found = draft(
        [
            request(0, "/check/4.16.1.json", method="GET", sent=b""),
            request(1, sent=b'{"acme_version": "4.16.1"}'),
            request(2, "/other", sent=b'{"x": {"version": "9.9"}}'),
        ]
    )
    assert [one.field for one in found.versions] == ["path.version", "body.acme_version"]
    assert [one.field for one in found.other_versions] == ["body.x.version"]


def test_other_ports_are_the_hosts() -> None:
    record = request(0)
    assert record.request is not None
    record.request.port = 4_319
    assert draft([record, request(1)]).ports == {"stats.acme.test": [4_319]}


@pytest.mark.parametrize(
    ("host", "id"),
    [("us.i.posthog.com", "posthog"), ("stats.acme.co.uk", "acme"), ("localhost", "localhost"),
     ("10.1.2.3", "host"), ("cdn.cribl.io", "cribl-2")],
)  # fmt: skip
def test_the_id_is_the_hosts(host: str, id: str) -> None:
    assert draft([request(0, host=host)], taken=frozenset(("cribl",))).id == id


def test_without_a_request_there_is_nothing() -> None:
    odd = [request(0, host="a b"), request(0, method="get it"), spliced(1), log(2, "x")]
    with pytest.raises(NothingToLearn):
        draft(odd)


def test_what_no_rule_names_and_what_is_of_more_hosts_is_said() -> None:
    many = [request(n, host=f"h{n:02}.test") for n in range(HOSTS + 3)]
    found = draft([*many, request(99, host="a..b"), request(99, host="::ffff:192.0.2.1")])
    said = " ".join(found.unknown)
    assert len(found.hosts) == HOSTS
    assert "whose host, method or path no rule can name (2)" in said
    assert "further hosts mean (3 to 3)" in said


def test_an_address_in_each_form_is_a_host() -> None:
    for host in ("::1", "2001:db8::1", "192.0.2.1"):
        found = draft([request(host=host)])
        assert compiled_draft(written(found).text.encode(), "x").hosts[0].name == host
