"""app/report/documented.py: the vendor's words against what was seen, also of real clients."""

import pytest

from app.profiles.compile import load
from app.profiles.read import built_in
from app.report.documented import compared, declared, no_list
from app.report.papers import Claim, Paper, Statement, papers_of
from app.store import OTHER, FieldRow
from app.store.inventory import observe
from tests.unit.test_senders import CLIENTS, taken


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


def of_clients(profile: str) -> tuple[set[str], set[str]]:
    """Ends of the paths that real clients sent and that are documented, and those that are not."""
    types: dict[str, set[str]] = {}
    for client in CLIENTS:
        for one in taken(client) if client.profile == profile else ():
            assert one.decision.rule is not None
            seen = observe(one.record, one.decision.rule.decoders)
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
        ("dbt", {"platform", "python"}, {"user_id", "invocation_id", "project_id", "command"}),
    ],
)
def test_what_real_clients_send_beside_the_documents(
    profile: str, documented: set[str], beside: set[str]
) -> None:
    said, not_said = of_clients(profile)
    assert documented <= said and beside <= not_said and not said & beside


def test_words_have_a_source_and_a_date() -> None:
    papers = papers_of(load(built_in()).written)
    told = [one for paper in papers for one in paper.documented]
    assert all(one.source and one.verified for one in told)
    assert len([paper for paper in papers if paper.documented]) >= 6
