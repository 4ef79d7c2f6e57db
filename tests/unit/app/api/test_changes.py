import json
from dataclasses import replace
from typing import Any

import pytest

from app.auth import Caller, Denied, Policy
from app.store.changes import NAME, NOTE, os_user
from tests.serving import Served
from tests.unit.app.api.records import line, post
from tests.unit.app.web.conftest import bounded

CHANGES = "/api/v1/changes"


def listed(served: Served, **asked: Any) -> list[dict[str, Any]]:
    answer = served.client.get(CHANGES, params={"limit": 1000, **asked})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def decide(served: Served, id: int, **given: Any) -> Any:
    return served.client.post(f"{CHANGES}/{id}", json=given)


def test_pages_show_every_item_once(served: Served) -> None:
    post(served, line(1), line(2, product_version="4.17.0"))
    whole = listed(served)
    seen: list[int] = []
    cursor = None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = served.client.get(CHANGES, params=params).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [item["id"] for item in whole] == list(range(len(whole), 0, -1))
    assert {item["kind"] for item in whole} >= {"host", "endpoint", "version", "field"}
    assert [item["name"] for item in listed(served, kind="version", version="4.17.0")] == ["4.17.0"]
    assert listed(served, state="objected") == [] == listed(served, text="nothing like it")


@pytest.mark.parametrize(
    "asked",
    [
        {"state": "new"}, {"kind": "x"}, {"limit": 0}, {"after": -1}, {"after": 2**63},
        {"cursor": "newest.1.1"}, {"cursor": "changes.x"},
    ],
)  # fmt: skip
def test_questions_that_cannot_be_answered(served: Served, asked: dict[str, Any]) -> None:
    answer = served.client.get(CHANGES, params=asked)
    assert answer.status_code == 422 and answer.json()["error"]


def test_a_decision_and_who_comes_late(served: Served) -> None:
    post(served, line(1))
    (host,) = listed(served, kind="host")
    taken = decide(served, host["id"], state="objected", note="ask the <b>vendor</b>", revision=0)
    assert taken.status_code == 200
    item = taken.json()
    assert (item["state"], item["note"], item["who"], item["revision"]) == (
        "objected", "ask the <b>vendor</b>", os_user(), 1,
    )  # fmt: skip
    late = decide(served, host["id"], state="accepted", name="bob", revision=0)
    assert late.status_code == 409
    assert late.json()["error"] == (
        f"{os_user()} decided meanwhile: objected (ask the <b>vendor</b>)"
    )
    again = decide(served, host["id"], state="watched", name="bob", revision=1).json()
    assert (again["who"], [one["state"] for one in again["history"]]) == (
        "bob", ["objected", "watched"],
    )  # fmt: skip
    one = served.client.get(f"{CHANGES}/{host['id']}").json()
    assert one == again


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"state": "gone"}, "state"),
        ({}, "state"),
        ({"state": "accepted", "note": "x" * (NOTE + 1)}, f"{NOTE}"),
        ({"state": "accepted", "name": "x" * (NAME + 1)}, f"{NAME}"),
        ({"state": "accepted", "revison": 1}, "revison"),
        ({"state": "accepted", "revision": "1"}, "revision"),
        ([], "object"),
    ],
)
def test_a_body_that_is_wrong_decides_nothing(served: Served, body: Any, says: str) -> None:
    post(served, line(1))
    answer = served.client.post(f"{CHANGES}/1", json=body)
    assert answer.status_code == 422 and says in answer.text
    assert {item["state"] for item in listed(served)} == {"open"}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"state":"accepted","note":"\\ud800"}'])
def test_bytes_that_are_no_decision(served: Served, content: bytes) -> None:
    post(served, line(1))
    assert served.client.post(f"{CHANGES}/1", content=content).status_code == 422


def test_bounds(served: Served) -> None:
    post(served, line(1))
    large = served.client.post(f"{CHANGES}/1", content=b" " * 70_000)
    assert large.status_code == 413
    assert decide(served, 10**6, state="accepted").status_code == 404
    assert decide(served, 2**63, state="accepted").status_code == 422
    assert served.client.get(f"{CHANGES}/999").status_code == 404
    assert served.client.get(f"{CHANGES}/0").status_code == 422


def test_all_that_fit_at_once(served: Served) -> None:
    post(served, line(1))
    last = listed(served)[0]["id"]
    post(served, line(2, product_version="4.17.0"))
    body = {"state": "accepted", "until": last, "note": "the first version", "profile": "cribl"}
    answer = served.client.post(CHANGES, json=body)
    assert answer.json() == {"decided": last}
    assert {item["version"] for item in listed(served, state="open")} == {"4.17.0"}
    assert served.client.post(CHANGES, json={"state": "accepted"}).status_code == 422
    listing = {"accepted": last, "open": len(listed(served)) - last}
    assert {s: len(listed(served, state=s)) for s in listing} == listing
    answer = served.client.post(CHANGES, json=body | {"until": 2**70})
    assert answer.json() == {"decided": listing["open"]}


def test_nobody_without_a_token(served: Served) -> None:
    for answer in (
        served.bare.get(CHANGES), served.bare.get(f"{CHANGES}/1"),
        served.bare.post(CHANGES, json={"state": "accepted", "until": 9}),
        served.bare.post(f"{CHANGES}/1", json={"state": "accepted"}),
    ):  # fmt: skip
        assert answer.status_code == 401


def test_who_may_only_read_decides_nothing(served: Served) -> None:
    post(served, line(1))
    authority = served.runtime.authority

    class Reading:
        async def check(self, token: str, policy: Policy, namespace: str = "") -> Caller:
            if policy.verb == "update":
                raise Denied(403, "ann may not update captures.telemock.io")
            return await authority.check(token, policy, namespace)

    served.runtime.authority = Reading()
    assert decide(served, 1, state="accepted").status_code == 403
    body = {"state": "accepted", "until": 99}
    assert served.client.post(CHANGES, json=body).status_code == 403
    assert {item["state"] for item in listed(served)} == {"open"}


def test_in_a_cluster_the_name_is_the_tokens(served: Served) -> None:
    post(served, line(1))
    authority = served.runtime.authority

    class Named:
        async def check(self, token: str, policy: Policy, namespace: str = "") -> Caller:
            return (await authority.check(token, policy, namespace))._replace(name="ann@corp")

    served.runtime.authority = Named()
    served.runtime.settings = replace(served.runtime.settings, cluster=True)
    refused = decide(served, 1, state="accepted", name="the boss")
    assert refused.status_code == 422 and "name: " in refused.json()["error"]
    assert decide(served, 1, state="accepted").json()["who"] == "ann@corp"


def test_a_reader_of_a_namespace_sees_its_things_and_no_words(served: Served) -> None:
    post(
        served,
        line(1, workload={"namespace": "logs", "pod": "leader-0"}),
        line(2, workload={"namespace": "edge", "pod": "e-0"}, product_version="4.17.0"),
    )
    for item in listed(served):
        decide(served, item["id"], state="objected", note="the team of logs leaks", name="ann")
    bounded(served, "edge")
    found = listed(served)
    assert found and {item["version"] for item in found} <= {"", "4.17.0"}
    assert "4.16" not in json.dumps(found)
    assert "leaks" not in json.dumps(found) and "ann" not in json.dumps(found)
    assert {item["state"] for item in found} == {"objected"}
    one = served.client.get(f"{CHANGES}/{found[0]['id']}")
    assert one.status_code == 200 and one.json()["history"] == [] and one.json()["note"] == ""
    assert decide(served, found[0]["id"], state="accepted").status_code == 403
    hidden = {item["id"] for item in found} ^ set(range(1, 1 + max(i["id"] for i in found)))
    for id in hidden:
        assert served.client.get(f"{CHANGES}/{id}").status_code == 404
    bounded(served, "nothing-there")
    assert listed(served) == []
    assert served.client.get("/api/v1/report").json()["inbox"] is None


def test_what_was_objected_to_is_told_everywhere(served: Served) -> None:
    post(served, line(1))
    (host,) = listed(served, kind="host")
    assert served.client.get("/api/v1/report").json()["inbox"]["open"] == len(listed(served))
    decide(served, host["id"], state="objected")
    told = served.bare.get("/health").json()["inbox"]
    assert (told["again"], told["says"]) == (0, "")
    later = served.runtime.store.change(host["id"])
    assert later is not None
    post(served, line(2, time_ns=later.at_ns + 1))
    told = served.bare.get("/health").json()["inbox"]
    assert told["again"] == 1 and told["says"].startswith("1 change that was objected to came")
    assert "cribl.io" not in told["says"]  # /health asks for no token
    metrics = served.bare.get("/metrics").text
    assert 'telemock_inbox_objected_total{telemock_profile="cribl"} 1.0' in metrics
    assert 'telemock_inbox_items{telemock_state="objected"} 1.0' in metrics
    assert served.client.get("/api/v1/report").json()["inbox"]["again"] == 1


def test_a_person_says_a_class_and_takes_it_back(served: Served) -> None:
    post(served, line(1))
    field = next(one for one in listed(served, kind="field") if one["name"] == "query.v")

    def of() -> dict[str, Any]:
        rows = served.client.get("/api/v1/fields").json()["items"]
        return next(row for row in rows if row["path"] == "query.v")

    before = of()
    assert (before["class"], before["class_by"]) == ("version", "name version")
    to = f"{CHANGES}/{field['id']}/class"
    said = served.client.post(to, json={"class": "licence", "name": "Ada"})
    assert said.status_code == 200, said.text
    assert (said.json()["id"], said.json()["by"], said.json()["who"]) == (
        "licence", "person", "Ada",
    )  # fmt: skip
    after = of()
    assert (after["class"], after["class_by"], after["confidence"], after["who"]) == (
        "licence", "person", 1.0, "Ada",
    )  # fmt: skip
    (inventory,) = [
        one
        for one in served.client.get("/api/v1/report").json()["inventory"]
        if one["field"] == "query.v"
    ]
    assert (inventory["class"], inventory["class_who"]) == ("licence", "Ada")
    assert inventory["class_at"] == said.json()["at"]
    assert served.client.post(to, json={"class": "none"}).status_code == 200
    assert of() == before


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        ("field", {"class": "identifier"}, "identifier.person"),
        ("field", {"class": ""}, "no class"),
        ("field", {}, "class"),
        ("field", {"class": "licence", "name": "x" * (NAME + 1)}, str(NAME)),
        ("host", {"class": "licence"}, "is about no field"),
    ],
)
def test_a_class_that_cannot_be_said(served: Served, kind: str, body: Any, says: str) -> None:
    post(served, line(1))
    id = listed(served, kind=kind)[0]["id"]
    answer = served.client.post(f"{CHANGES}/{id}/class", json=body)
    assert answer.status_code == 422 and says in answer.text
    assert served.runtime.store.said_classes() == []
    assert served.client.post(f"{CHANGES}/9999/class", json={"class": "text"}).status_code == 404
