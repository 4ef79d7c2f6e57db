"""app/report/documented.py: the vendor's words against what was seen, also of real clients."""

import re
from collections.abc import Iterator

import pytest

from app.contract.record import CaptureRecord
from app.contract.rules import Rule
from app.profiles.compile import load
from app.profiles.read import built_in
from app.profiles.schema import ProfileFile
from app.report.documented import compared, declared, no_list
from app.report.papers import Claim, Paper, Statement, papers_of
from app.store import OTHER, FieldRow
from app.store.inventory import observe
from tests.unit.test_senders import CLIENTS, taken
from tests.unit.test_vendors import RULES, TABLE, record_of


def paper(*fields: str, words: str = "Words") -> Paper:
    said = Statement(words=words, fields=list(fields), source="docs", verified="2026-11")
    return Paper(
        profile="p", title="", hosts=[], licence="", licence_note="", evidence=[], unknown=[],
        sensitive=[], documented=[said],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "path", "is_said"),
    [
        ("query.v", "query.v", True),
        ("query.V", "query.v", True),
        ("query.v", "body.v", False),
        ("any.v", "body.v", True),
        ("body.v", "body.a.b[].v", True),
        ("body.a.v", "body.a[].v", True),
        ("body.a.v", "body.b.a.v", False),
        ("body.a.v", "body.a›base64›json.v", True),
        ("body.a.*", "body.a.b.c", True),
        ("body.a*", "body.x.ab", True),
        ("query.fc.*", "query.fc.giv", True),
        ("query.fc.*", "query.fcx", False),
        ("query.a+b", "query.aab", False),
        ("body." + "*a" * 90, "body." + "a" * 180 + "b", False),
    ],
)
def test_patterns(pattern: str, path: str, is_said: bool) -> None:
    found = compared(paper(pattern), {path: {"string"}})
    assert [one.field for one in found.seen] == [path] * is_said
    assert found.undocumented == [path] * (not is_said)
    assert len(found.unseen) == (not is_said)


def test_containers_and_transport_are_no_fields() -> None:
    types = {
        "body": {"object"}, "body.a": {"array"}, "body.a[]": {"object", "string"},
        "body.cx": {"string"}, "body.cx›json": {"object"}, "header.host": {"string"},
        "header.user-agent": {"string"},
    }  # fmt: skip
    assert compared(paper("query.x"), types).undocumented == ["body.a[]", "header.user-agent"]


def test_profiles_without_words_are_left_out() -> None:
    row = FieldRow(
        profile="p", host="h", method="GET", route="/", version="", path="query.x", type="string",
        shape="", count=1, requests=1, first_ns=1, last_ns=1,
    )  # fmt: skip
    silent = paper()
    silent.documented = []
    assert declared([row], [silent]) == []
    (found,) = declared([row], [paper("query.y")])
    assert found.undocumented == ["query.x"]
    row.path = OTHER
    assert declared([row], [paper("query.y")])[0].undocumented == []


def test_a_vendor_without_a_list_is_told_as_a_fact() -> None:
    said = paper()
    said.documented, said.no_list = [], [
        Claim(claim="Some data", source="docs", verified="2026-11"),
        Claim(claim="None", source="the repository", verified="2026-11-30"),
    ]  # fmt: skip
    found = compared(said, {"query.x": {"string"}})
    assert (found.seen, found.undocumented, found.unseen) == ([], [], [])
    assert no_list(found.no_list) == (
        "the vendor publishes no list of what is sent (docs, 2026-11; the repository, 2026-11-30)"
    )
    assert no_list([]) == ""
    assert [one.profile for one in declared([], [said])] == ["p"]


def test_of_several_profiles_those_that_were_seen_are_compared() -> None:
    other = paper("query.y")
    other.profile = "other"
    row = FieldRow(
        profile="other", host="h", method="GET", route="/", version="", path="query.x",
        type="string", shape="", count=1, requests=1, first_ns=1, last_ns=1,
    )  # fmt: skip
    assert [one.profile for one in declared([row], [paper("query.y"), other])] == ["other"]
    assert [one.profile for one in declared([], [other])] == ["other"]
    assert declared([row], [paper("query.y")]) == []


def sent_by(profile: str) -> Iterator[tuple[CaptureRecord, Rule | None]]:
    """What real clients sent, and the requests of the shape that vendors document."""
    for client in CLIENTS:
        for one in taken(client) if client.profile == profile else ():
            yield one.record, one.decision.rule
    for sent in TABLE:
        if sent.profile == profile and (found := RULES.rule(profile, sent.rule)):
            yield record_of(sent)[0], found[1]


def told_of(profile: str) -> tuple[set[str], set[str]]:
    """Ends of the paths that were sent and that are documented, and those that are not."""
    types: dict[str, set[str]] = {}
    for record, rule in sent_by(profile):
        assert rule is not None
        seen = observe(record, rule.decoders)
        for field in seen.fields if seen else ():
            types.setdefault(field.path, set()).add(field.type)
    (said,) = papers_of(load([profile]).written)
    found = compared(said, types)
    ends = [{p.rpartition(".")[2] for p in paths} for paths in (
        [one.field for one in found.seen], found.undocumented
    )]  # fmt: skip
    return ends[0], ends[1]


@pytest.mark.parametrize(
    ("profile", "documented", "beside"),
    [
        ("next", {"cpuModel", "ciName"}, {"anonymousId", "projectId", "sessionId", "isDocker"}),
        ("mlflow", {"installation_id", "status"}, {"coding_agent", "environment", "is_localhost"}),
        ("amplitude", {"insert_id", "app_version"}, {"library", "client_upload_time"}),
        ("ga4", {"api_secret", "client_id", "session_id"}, {"user-agent"}),
        ("mixpanel", {"distinct_id", "mp_lib", "email"}, {"user-agent"}),
        ("posthog", {"$lib", "$geoip_disable", "distinct_id"}, {"email", "uuid", "user-agent"}),
        ("rudderstack", {"channel", "messageId"}, {"nodeVersion", "user-agent"}),
        ("segment", {"writeKey", "messageId", "email"}, {"nodeVersion", "jsRuntime", "user-agent"}),
        ("sentry", {"server_name", "sentry_key", "argv[]", "did"}, {"content_type"}),
        ("dbt", {"platform", "python"}, {"user_id", "invocation_id", "project_id", "command"}),
        ("huggingface", {"hf_hub", "python"}, {"acme", "x-amzn-trace-id"}),
        ("airflow", {"executor", "dags", "version"}, {"plugins", "timetables", "views"}),
        (
            "astro",
            {"astroVersion", "cliCommand", "cpuCount"},
            {"anonymousId", "isAgentic", "agentId"},
        ),
        ("cockroachdb", {"nodeid", "license_id", "9"}, {"uuid", "logical_uuid"}),
        ("crewai", {"crew_key", "goal", "python_version"}, {"crew_fingerprint", "flow_name"}),
        ("datadog-agent", {"hostid", "hostname", "dd-agent-version"}, {"dd-api-key", "message"}),
        ("dvc", {"user_id", "group_id", "cmd_class"}, set()),
        ("gitlab", {"uuid", "issues"}, set()),
        ("grafana", {"version"}, {"usageStatsId", "edition"}),
        ("hashicorp-checkpoint", {"product", "signature", "os"}, set()),
        ("haystack", {"distinct_id", "haystack", "runs"}, set()),
        ("kibana", set(), {"x-elastic-cluster-id", "x-elastic-stack-version"}),
        ("tempo", {"clusterID", "version", "branch"}, {"a"}),
    ],
)
def test_what_is_sent_beside_the_documents(
    profile: str, documented: set[str], beside: set[str]
) -> None:
    said, not_said = told_of(profile)
    assert documented <= said and beside <= not_said and not said & beside


@pytest.mark.parametrize("file", load(built_in()).written, ids=lambda file: file.id)
def test_a_documented_segment_is_named_by_a_route(file: ProfileFile) -> None:
    named = {name for rule in file.rules for name in re.findall(r"{(\w+)}", rule.route or "")}
    fields = {field for page in file.documented for of in page.sends for field in of.fields}
    assert {field.removeprefix("path.") for field in fields if field.startswith("path.")} <= named
