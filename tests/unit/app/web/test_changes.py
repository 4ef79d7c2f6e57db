import re
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import Request

from app.auth import Caller, Denied, Policy
from app.store.changes import NOTE, ChangeQuery, InboxItem, os_user
from app.web.changes import behind, looked
from tests.browser.hostile import TEXTS
from tests.browser.hostile import captures as hostile
from tests.records import exchange, incoming
from tests.serving import Served
from tests.unit.app.web.conftest import bounded, sign_in
from tests.unit.app.web.samples import NEWER, OLDER, captures


def items(served: Served, **asked: Any) -> list[InboxItem]:
    return served.runtime.store.changes(ChangeQuery(**asked, limit=1000)).items


def item(served: Served, name: str) -> InboxItem:
    (found,) = [one for one in items(served) if one.name == name and one.host == "cdn.cribl.io"]
    return found


def token(text: str) -> str:
    return re.findall(r'name="form_token" value="([^"]+)"', text)[0]


def decide(visitor: httpx.Client, id: int, **given: str) -> httpx.Response:
    text = visitor.get(f"/changes/{id}").text
    (revision,) = re.findall(r'name="revision" value="(\d+)"', text)
    form = {"form_token": token(text), "revision": revision, "state": "accepted", **given}
    return visitor.post(f"/changes/{id}", data=form)


def test_the_inbox_lists_what_is_open(filled: Served, visitor: httpx.Client) -> None:
    text = visitor.get("/changes").text
    for part in ("query.gpu", "body.licence", "telemetry.cribl.cloud", OLDER, NEWER, "captures"):
        assert part in text
    assert "query.gpu" in visitor.get("/changes", params={"version": NEWER}).text
    assert "query.gpu" not in visitor.get("/changes", params={"version": OLDER}).text
    assert "query.os" not in visitor.get("/changes", params={"kind": "host"}).text
    assert "No change fits" in visitor.get("/changes?state=objected").text
    assert "No change fits" in visitor.get("/changes?text=nothing-like-it").text
    for odd in ("state=x", "kind=x", "done=x", "done=99999", "decided=-1", "new=1"):
        assert visitor.get(f"/changes?{odd}").status_code == 200
    assert visitor.get("/changes?cursor=x").status_code == 422


def test_a_decision_with_a_note_and_the_way_back(filled: Served, visitor: httpx.Client) -> None:
    gpu = item(filled, "query.gpu")
    answer = decide(
        visitor, gpu.id, state="objected", note="ask <them>", back="/changes?kind=field"
    )
    assert answer.headers["location"] == f"/changes?kind=field&done={gpu.id}"
    told = visitor.get(answer.headers["location"]).text
    assert "Objected" in told and "Take it back" in told
    found = filled.runtime.store.change(gpu.id)
    assert found and (found.state, found.note, found.who) == ("objected", "ask <them>", os_user())
    shown = visitor.get(f"/changes/{gpu.id}").text
    assert "ask &lt;them&gt;" in shown and "ask <them>" not in shown
    assert decide(visitor, gpu.id, name="ann", back="//evil.test").headers["location"] == (
        f"/?done={gpu.id}"
    )
    after = filled.runtime.store.change(gpu.id)
    assert after and (after.state, after.who) == ("accepted", "ann")


def test_who_comes_late_is_told(filled: Served, visitor: httpx.Client) -> None:
    gpu = item(filled, "query.gpu")
    form = {"form_token": token(visitor.get("/changes").text), "revision": "0"}
    first = form | {"state": "objected", "note": "no", "name": "ann"}
    assert visitor.post(f"/changes/{gpu.id}", data=first).status_code == 303
    late = visitor.post(f"/changes/{gpu.id}", data=form | {"state": "accepted", "note": "mine"})
    assert late.status_code == 409
    assert "ann decided meanwhile: objected (no)." in late.text
    assert 'name="revision" value="1"' in late.text and ">mine</textarea>" in late.text
    found = filled.runtime.store.change(gpu.id)
    assert found and found.state == "objected"


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"state": "gone"}, 422), ({"state": ""}, 422), ({"note": "x" * (NOTE + 1)}, 422),
        ({"form_token": "other"}, 403), ({"form_token": ""}, 403), ({"revision": "x"}, 409),
        ({"revision": ""}, 409), ({"revision": "-1"}, 409),
    ],
)  # fmt: skip
def test_a_form_that_is_wrong_decides_nothing(
    filled: Served, visitor: httpx.Client, given: dict[str, str], status: int
) -> None:
    assert decide(visitor, 1, **given).status_code == status
    assert {one.state for one in items(filled)} == {"open"}


def test_forms_of_other_sites_and_without_a_session(filled: Served, visitor: httpx.Client) -> None:
    form = {"form_token": token(visitor.get("/changes").text), "state": "accepted", "until": "99"}
    for headers in ({"origin": "https://evil.test"}, {"sec-fetch-site": "cross-site"}):
        for path in ("/changes", "/changes/1"):
            assert visitor.post(path, data=form, headers=headers).status_code == 403
    assert filled.bare.post("/changes/1", data=form).headers["location"].startswith("/login")
    assert filled.bare.post("/changes", data=form).headers["location"].startswith("/login")
    assert {one.state for one in items(filled)} == {"open"}


def test_all_that_fit_but_not_what_came_later(filled: Served, visitor: httpx.Client) -> None:
    shown = visitor.get("/changes", params={"version": OLDER}).text
    (until,) = re.findall(r'name="until" value="(\d+)"', shown)
    filled.runtime.store.write(
        incoming(exchange(70, product_version=OLDER, query=[("late", "1")], headers=[]))
    )
    form = {
        "form_token": token(shown), "until": until, "version": OLDER, "state": "accepted",
        "note": "the first version",
    }  # fmt: skip
    answer = visitor.post("/changes", data=form)
    assert answer.headers["location"].startswith("/changes?decided=")
    assert "decided on at once" in visitor.get(answer.headers["location"]).text
    assert [one.name for one in items(filled, state="open", version=OLDER)] == ["query.late"]
    assert {one.note for one in items(filled, state="accepted")} == {"the first version"}
    for wrong in ({"until": "x"}, {"until": ""}):
        visitor.post("/changes", data=form | wrong)
    assert items(filled, state="open", version=OLDER)
    assert visitor.post("/changes", data=form | {"form_token": "x"}).status_code == 403


def test_what_came_since_one_looked(filled: Served, visitor: httpx.Client) -> None:
    assert "since you last looked" not in visitor.get("/").text
    first = visitor.get("/changes")
    assert 'class="fresh"' not in first.text and "HttpOnly" in first.headers["set-cookie"]
    assert "since you last looked" not in visitor.get("/changes").text
    filled.runtime.store.write(incoming(exchange(70, query=[("late", "1")], headers=[])))
    assert "1 of them since you last looked" in visitor.get("/").text
    new = visitor.get("/changes?new=1").text
    assert "query.late" in new and "query.os" not in new
    shown = visitor.get("/changes").text
    assert shown.count('class="fresh"') == 1 and "New since you last looked" in shown
    visitor.cookies.set(f"telemock-{filled.port}-looked", "999999999")  # of another store
    assert "query.late" in visitor.get("/changes?new=1").text


@pytest.mark.parametrize("value", ["", "x", "-1", "²", "9" * 30, "1e3"])
def test_a_cookie_that_is_no_number(value: str) -> None:
    cookie = f"telemock-looked={value}".encode()
    headers = [(b"host", b"h.test"), (b"cookie", cookie)]
    assert looked(Request({"type": "http", "headers": headers})) == 0


def test_who_may_only_read_has_no_forms(filled: Served) -> None:
    with sign_in(filled) as client:
        authority = filled.runtime.authority

        class Reading:
            async def check(self, token: str, policy: Policy, namespace: str = "") -> Caller:
                if policy.verb == "update":
                    raise Denied(403, "ann may not update captures.telemock.io")
                return await authority.check(token, policy, namespace)

        form = {"form_token": token(client.get("/changes").text), "revision": "0", "until": "99"}
        filled.runtime.authority = Reading()
        for path in ("/changes", "/changes/1"):
            assert 'name="state" value="accepted"' not in client.get(path).text
            assert client.post(path, data=form | {"state": "accepted"}).status_code == 403
    assert {one.state for one in items(filled)} == {"open"}


def test_a_viewer_of_a_namespace_sees_its_items_and_decides_nothing(filled: Served) -> None:
    filled.runtime.store.write(
        incoming(exchange(40, namespace="edge", query=[("mine", "1")], headers=[]))
    )
    with sign_in(filled) as client:
        form = {"form_token": token(client.get("/changes").text), "revision": "0", "until": "99"}
        gpu, mine = item(filled, "query.gpu"), item(filled, "query.mine")
        decide(client, mine.id, state="objected", note="they leak", name="ann")
        bounded(filled, "edge")
        text = client.get("/changes?state=all").text
        assert "query.mine" in text and "Objected" in text
        for part in ("query.gpu", "they leak", "ann", NEWER, 'value="accepted"', "came again"):
            assert part not in text
        assert client.get(f"/changes/{gpu.id}").status_code == 404
        one = client.get(f"/changes/{mine.id}?done={gpu.id}").text
        assert "they leak" not in one and "query.gpu" not in one
        assert "query.gpu" not in client.get(f"/changes?done={gpu.id}").text
        for path in ("/changes", f"/changes/{mine.id}"):
            assert client.post(path, data=form | {"state": "accepted"}).status_code == 403
        assert "not reviewed" not in client.get("/").text
    assert item(filled, "query.mine").state == "objected"


def test_in_a_cluster_nobody_is_asked_for_a_name(filled: Served, visitor: httpx.Client) -> None:
    assert f'value="{os_user()}"' in visitor.get("/changes").text
    filled.runtime.settings = replace(filled.runtime.settings, cluster=True)
    assert 'name="name"' not in visitor.get("/changes").text
    assert decide(visitor, 1, name="the boss").status_code == 422
    assert decide(visitor, 1).status_code == 303


def test_an_objection_that_came_again_is_said(filled: Served, visitor: httpx.Client) -> None:
    gpu = item(filled, "query.gpu")
    decide(visitor, gpu.id, state="objected")
    assert "came again" not in visitor.get("/changes").text
    decided = filled.runtime.store.change(gpu.id)
    assert decided is not None
    late = exchange(70, query=[("gpu", "1")], headers=[], time_ns=decided.at_ns + 1)
    filled.runtime.store.write(incoming(late))
    for address in ("/changes", "/"):
        assert "1 thing that somebody objected to came again" in " ".join(
            re.sub(r"<[^>]+>", "", visitor.get(address).text).split()
        )
    assert "1 record since" in visitor.get("/changes?state=objected").text


def test_links_lead_to_captures_that_show_it(filled: Served, visitor: httpx.Client) -> None:
    for one in items(filled):
        if one.kind == "class":
            continue
        shown = visitor.get(behind(one))
        assert shown.status_code == 200 and "data-id=" in shown.text, one


def test_pages(served: Served) -> None:
    query = [(f"n{n:03}", "x") for n in range(120)]
    served.runtime.store.write(incoming(exchange(1, query=query, headers=[])))
    with sign_in(served) as client:
        seen: list[str] = []
        address = "/changes?kind=field"
        while address:
            text = client.get(address).text
            seen += re.findall(r">query\.(n\d+)</bdi></a>", text)
            following = re.findall(r'rel="next" href="([^"]+)"', text)
            address = following[0].replace("&amp;", "&") if following else ""
        assert sorted(seen) == [name for name, _ in query]


def test_hostile_names_and_notes_stay_text(served: Served) -> None:
    served.runtime.store.write(hostile())
    with sign_in(served) as client:
        for text in TEXTS:
            assert decide(client, 1, note=text, name=text[:50]).status_code == 303
        for path in ("/changes?state=all", "/changes/1", "/changes?done=1"):
            shown = client.get(path)
            assert shown.status_code == 200
            assert "<script>window" not in shown.text and "<img src=x" not in shown.text
            assert not {"\x1b", "\x9b", "\u202e"} & set(shown.text)


def test_nothing_yet(newcomer: httpx.Client) -> None:
    assert "The inbox is empty" in newcomer.get("/changes").text
    assert newcomer.get("/changes/1").status_code == 404
    assert newcomer.get("/changes/<b>").status_code == 404


def test_everything_was_looked_at(served: Served) -> None:
    served.runtime.store.write(captures())
    with sign_in(served) as client:
        shown = client.get("/changes").text
        client.post(
            "/changes", data={"form_token": token(shown), "until": "9999", "state": "accepted"}
        )
        assert "No change is open" in client.get("/changes").text


def test_a_class_is_said_on_the_page(filled: Served, visitor: httpx.Client) -> None:
    gpu = item(filled, "query.gpu")
    text = visitor.get(f"/changes/{gpu.id}").text
    assert "Say its class" in text and "says <bdi>" in text
    form = {"form_token": token(text), "class": "licence", "name": "Ada <b>"}
    answer = visitor.post(f"/changes/{gpu.id}/class", data=form)
    assert answer.headers["location"] == f"/changes/{gpu.id}"
    told = visitor.get(f"/changes/{gpu.id}").text
    assert "licence, says <bdi>Ada &lt;b&gt;, 20" in told
    names = ("profile", "host", "method", "route")
    of = {name: getattr(gpu, name) for name in names} | {"field": gpu.name}
    assert "licence, says" in visitor.get("/fields/one", params=of).text
    assert visitor.post(f"/changes/{gpu.id}/class", data=form | {"class": "x"}).status_code == 422
    refused = visitor.post(f"/changes/{gpu.id}/class", data=form | {"form_token": "x"})
    assert refused.status_code == 403
    assert visitor.post("/changes/9999/class", data=form).status_code == 404
    visitor.post(f"/changes/{gpu.id}/class", data=form | {"class": "none"})
    assert "Ada" not in visitor.get(f"/changes/{gpu.id}").text
    host = next(one for one in items(filled) if one.kind == "host")
    assert "Say its class" not in visitor.get(f"/changes/{host.id}").text
    assert visitor.post(f"/changes/{host.id}/class", data=form).status_code == 422
