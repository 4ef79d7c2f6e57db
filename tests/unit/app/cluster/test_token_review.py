"""Who gets in, by the word of a real API server; and what happens when it has none."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.auth import Denied, Pod, Policy
from app.cluster import kube, token_review
from app.cluster.token_review import ClusterAuthority
from tests import accounts
from tests.cluster import cluster, namespace, needs_cluster
from tests.reviewer import PERSON, SIDECAR, reviewer
from tests.waiting import until

SEND, READ, LIST = Policy(None, sidecar=True), Policy("get", sidecar=True), Policy("list")
GET, DELETE = Policy("get"), Policy("delete")


async def refused(authority: ClusterAuthority, token: str, policy: Policy) -> tuple[int, str]:
    with pytest.raises(Denied) as caught:
        await authority.check(token, policy)
    assert "\n\nhint: " in str(caught.value)
    assert not token or token not in str(caught.value)
    return caught.value.status, str(caught.value)


@pytest.fixture(scope="module")
def api() -> Iterator[kube.KubeApi]:
    with cluster() as api:
        yield api


@pytest.fixture(scope="module")
def place(api: kube.KubeApi) -> Iterator[str]:
    with namespace(api, "a1-reviews") as name:
        for account in ("sender", "reader", "stranger"):
            accounts.account(api, name, account)
        yield name


@pytest.fixture
def authority(api: kube.KubeApi) -> Iterator[ClusterAuthority]:
    authority = ClusterAuthority(api, "rel")
    yield authority
    authority.close()


@pytest.fixture(scope="module")
def role(api: kube.KubeApi, place: str) -> Iterator[str]:
    """The right to read captures, given to `reader`."""
    name = f"{place}-viewer"
    user = f"system:serviceaccount:{place}:reader"
    accounts.allow(api, name, user, ["get", "list", "watch"])
    yield name
    accounts.forbid(api, name)


@needs_cluster
async def test_sidecar_speaks_for_its_pod_and_reads_nothing(
    api: kube.KubeApi, place: str, authority: ClusterAuthority
) -> None:
    pod = accounts.unscheduled_pod(api, place, "leader-0", "sender")
    token = accounts.token(api, place, "sender", "telemock", pod)
    for policy in (SEND, READ):
        caller = await authority.check(token, policy)
        assert caller.sidecar
        assert caller.name == f"system:serviceaccount:{place}:sender"
        assert caller.pod == Pod(place, "leader-0", pod["metadata"]["uid"])
    for policy in (GET, LIST, DELETE):
        assert (await refused(authority, token, policy))[0] == 401


@needs_cluster
async def test_sidecars_token_without_a_pod_or_for_others_is_refused(
    api: kube.KubeApi, place: str, authority: ClusterAuthority
) -> None:
    unbound = accounts.token(api, place, "sender", "telemock")
    status, text = await refused(authority, unbound, SEND)
    assert status == 403 and "names no pod" in text
    elsewhere = accounts.token(api, place, "sender", "vault")
    status, text = await refused(authority, elsewhere, SEND)
    assert status == 401 and "only sidecars" in text
    plain = accounts.token(api, place, "sender")
    assert (await refused(authority, plain, SEND))[0] == 401


@needs_cluster
async def test_people_need_the_role(
    api: kube.KubeApi, place: str, role: str, authority: ClusterAuthority
) -> None:
    reader = accounts.token(api, place, "reader")
    for policy in (GET, LIST, READ):
        caller = await authority.check(reader, policy)
        assert (caller.sidecar, caller.pod) == (False, None)
        assert caller.name == f"system:serviceaccount:{place}:reader"
    status, text = await refused(authority, reader, DELETE)
    assert status == 403
    assert f"{place}:reader may not delete captures.telemock.io" in text
    assert "ClusterRole rel-captures-admin" in text
    assert (await refused(authority, reader, SEND))[0] == 401
    stranger = accounts.token(api, place, "stranger")
    status, text = await refused(authority, stranger, LIST)
    assert status == 403
    assert f"{place}:stranger may not list" in text and "ClusterRole rel-captures-viewer" in text


@needs_cluster
@pytest.mark.parametrize("token", ["", "nonsense", "a" * 20_000, "\xff", "a\nb", "a.b.c"])
async def test_no_token_and_no_such_token(token: str, authority: ClusterAuthority) -> None:
    for policy in (SEND, READ, LIST):
        assert (await refused(authority, token, policy))[0] == 401


@needs_cluster
async def test_a_removed_role_is_out_once_the_answer_is_old(
    api: kube.KubeApi, place: str, authority: ClusterAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = accounts.account(api, place, "former")
    accounts.allow(api, f"{place}-former", user, ["list"])
    token = accounts.token(api, place, "former")
    try:
        await authority.check(token, LIST)
    finally:
        accounts.forbid(api, f"{place}-former")
    await authority.check(token, LIST)  # as long as the answer is kept
    assert token_review.KEEP_S <= 60
    monkeypatch.setattr(token_review, "KEEP_S", 0)
    forgetful = ClusterAuthority(api, "rel")
    for _ in range(100):  # the API server's own caches take a moment
        try:
            await forgetful.check(token, LIST)
        except Denied as e:
            assert e.status == 403
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail("the answer is kept for too long")
    forgetful.close()


TOKEN = "an-opaque-token"


async def test_authenticator_that_knows_no_audience_lets_no_sidecar_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reviewer(tmp_path, monkeypatch, PERSON) as (authority, _):
        assert (await refused(authority, TOKEN, SEND))[0] == 401
    other = {**PERSON, "audiences": ["telemock-other"]}
    with reviewer(tmp_path, monkeypatch, other) as (authority, _):
        assert (await refused(authority, TOKEN, SEND))[0] == 401


@pytest.mark.parametrize(
    "user",
    [
        {"username": "eve", "extra": {}},
        {"username": "system:serviceaccount:a:b"},
        {
            "username": "eve",
            "extra": {
                "authentication.kubernetes.io/pod-name": ["p"],
                "authentication.kubernetes.io/pod-uid": ["u"],
            },
        },
    ],
)
async def test_only_an_account_in_a_pod_is_a_sidecar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: dict[str, Any]
) -> None:
    status = {"authenticated": True, "user": user, "audiences": ["telemock"]}
    with reviewer(tmp_path, monkeypatch, status) as (authority, _):
        assert (await refused(authority, TOKEN, SEND))[0] == 403


@pytest.mark.parametrize("status", [None, {}, {"authenticated": True}, {"allowed": "yes"}])
@pytest.mark.parametrize("code", [201, 403, 500])
async def test_whatever_else_the_api_server_says_lets_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: Any, code: int
) -> None:
    with reviewer(tmp_path, monkeypatch, status, code) as (authority, _):
        for policy in (SEND, LIST):
            given, _ = await refused(authority, TOKEN, policy)
            assert given == (401 if code == 201 and status is not None else 503)


@pytest.mark.parametrize(
    "token", ["", "a" * ((16 << 10) + 1), "\xff", "a\nb", "a\x00", "tok\u0435n"], ids=range(6)
)
async def test_what_is_no_token_is_refused_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    anyone = {**PERSON, "allowed": True, "audiences": ["telemock"]}
    with reviewer(tmp_path, monkeypatch, anyone) as (authority, seen):
        for policy in (SEND, READ, LIST, DELETE):
            assert (await refused(authority, token, policy))[0] == 401
        assert seen.asked == []
        await authority.check("a" * (16 << 10), LIST)


async def test_a_sidecar_speaks_for_the_pod_of_its_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = {**SIDECAR, "allowed": True}
    user = SIDECAR["user"]
    with reviewer(tmp_path, monkeypatch, status) as (authority, seen):
        caller = await authority.check(TOKEN, SEND)
        assert caller == (user["username"], True, Pod("shop", "web-0", "u-1"), None)
        assert seen.asked[0]["spec"] == {"token": TOKEN, "audiences": ["telemock"]}
        # As a person the same token is asked for anew, for no audience of ours.
        caller = await authority.check(TOKEN, LIST)
        assert caller == (user["username"], False, None, None)
        assert seen.asked[1]["spec"] == {"token": TOKEN}
        assert seen.asked[2]["spec"]["user"] == user["username"]
        assert seen.asked[2]["spec"]["extra"] == user["extra"]


@pytest.mark.parametrize("allowed", [{"allowed": False}, {"allowed": True, "denied": True}, {}])
async def test_denied_is_denied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: dict[str, bool]
) -> None:
    with reviewer(tmp_path, monkeypatch, {**PERSON, **allowed}) as (authority, _):
        assert (await refused(authority, TOKEN, LIST))[0] == 403
    with reviewer(tmp_path, monkeypatch, {**PERSON, "allowed": True}) as (authority, seen):
        assert (await authority.check(TOKEN, LIST)).name == "eve"
        assert seen.asked[1]["spec"]["resourceAttributes"] == {
            "group": "telemock.io",
            "resource": "captures",
            "verb": "list",
        }


async def test_a_right_just_given_works_soon_and_is_then_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 0 < token_review.KEEP_NO_S <= 5 and token_review.KEEP_NO_S < token_review.KEEP_S <= 60
    monkeypatch.setattr(token_review, "KEEP_NO_S", 0)
    with reviewer(tmp_path, monkeypatch, {"authenticated": False}) as (authority, seen):
        for policy, status in ((LIST, 401), (SEND, 401)):
            for _ in range(2):
                assert (await refused(authority, TOKEN, policy))[0] == status
        assert len(seen.asked) == 4  # each time anew
        seen.status = {**PERSON, "allowed": False}
        for _ in range(2):
            assert (await refused(authority, TOKEN, LIST))[0] == 403
        seen.status = {**PERSON, "allowed": True}
        assert (await authority.check(TOKEN, LIST)).name == "eve"
        seen.status = {"authenticated": False}
        assert (await authority.check(TOKEN, LIST)).name == "eve"
        assert (await refused(authority, TOKEN + "x", LIST))[0] == 401


async def test_a_refusal_is_kept_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks with a wrong token again and again asks the API server once."""
    monkeypatch.setattr(token_review, "KEEP_NO_S", 60)
    with reviewer(tmp_path, monkeypatch, {"authenticated": False}) as (authority, seen):
        for _ in range(5):
            assert (await refused(authority, TOKEN, LIST))[0] == 401
        assert len(seen.asked) == 1


async def test_api_server_away_refuses_everyone_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with reviewer(tmp_path, monkeypatch, {**PERSON, "allowed": True}, 500) as (authority, seen):
        for _ in range(3):
            status, text = await refused(authority, TOKEN, LIST)
            assert status == 503 and "127.0.0.1" not in text
        assert [r.levelname for r in caplog.records] == ["ERROR"]
        seen.code = 201
        await authority.check(TOKEN, LIST)
        assert [r.levelname for r in caplog.records] == ["ERROR", "INFO"]


async def test_the_same_question_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reviewer(tmp_path, monkeypatch, {**PERSON, "allowed": True}) as (authority, seen):
        seen.gate.clear()
        waiting = [asyncio.create_task(authority.check(TOKEN, LIST)) for _ in range(50)]
        await until(lambda: bool(seen.asked))
        waiting[0].cancel()  # who leaves does not take the others along
        seen.gate.set()
        callers = await asyncio.gather(*waiting[1:])
        assert {c.name for c in callers} == {"eve"}
        await authority.check(TOKEN, LIST)
        assert [a["kind"] for a in seen.asked] == ["TokenReview", "SubjectAccessReview"]
        assert all(TOKEN not in key for key in authority._answers._kept)


async def test_a_flood_of_tokens_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_review, "_WAITING_CAP", 8)
    monkeypatch.setattr(token_review, "_CACHE_CAP", 4)
    with reviewer(tmp_path, monkeypatch, {"authenticated": False}) as (authority, seen):
        seen.gate.clear()
        waiting = [asyncio.create_task(authority.check(f"t{n}", LIST)) for n in range(20)]
        await until(lambda: len(seen.asked) == 4)
        seen.gate.set()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        statuses = [o.status for o in outcomes if isinstance(o, Denied)]
        assert sorted(statuses) == [401] * 8 + [503] * 12
        assert len(authority._answers._kept) == 4


BOUNDED, BOUNDED_GET = Policy("list", bounded=True), Policy("get", bounded=True)


@needs_cluster
async def test_a_role_in_a_namespace_bounds_what_is_read(
    api: kube.KubeApi, place: str, authority: ClusterAuthority
) -> None:
    """By a RoleBinding there to a ClusterRole, as the chart makes it; in no other namespace."""
    role, other = f"{place}-bounded", f"{place}-other"
    user = accounts.account(api, place, "local")
    accounts.allow(api, role, user, ["get", "list", "watch"], within=place)
    token = accounts.token(api, place, "local")

    async def known() -> list[str]:
        return [other, place]

    try:
        authority.known = known
        for policy in (BOUNDED, BOUNDED_GET):
            caller = await authority.check(token, policy)
            assert (caller.sidecar, caller.namespaces) == (False, (place,))
        assert (await authority.check(token, BOUNDED, place)).namespaces == (place,)
        with pytest.raises(Denied) as refused_:
            await authority.check(token, BOUNDED, other)
        assert refused_.value.status == 403
        # Nothing else is open to it: neither routes that are not bounded, nor another verb.
        for policy in (LIST, GET, DELETE, Policy("delete", bounded=True)):
            assert (await refused(authority, token, policy))[0] == 403
        assert (await refused(authority, token, SEND))[0] == 401

        async def none() -> list[str]:
            return []

        authority.known = none
        assert (await refused(authority, token, BOUNDED))[0] == 403
    finally:
        accounts.forbid(api, role, within=place)


@needs_cluster
async def test_who_may_read_all_is_not_bound(
    api: kube.KubeApi, place: str, role: str, authority: ClusterAuthority
) -> None:
    caller = await authority.check(accounts.token(api, place, "reader"), BOUNDED)
    assert caller.namespaces is None


async def test_a_user_whom_a_login_proxy_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reviewer(tmp_path, monkeypatch, {"allowed": True}) as (authority, api_server):
        for _ in range(2):  # the second answer is cached
            caller = await authority.check_user("oidc:ann", LIST)
            assert (caller.name, caller.sidecar, caller.pod) == ("oidc:ann", False, None)
        (asked,) = (one["spec"] for one in api_server.asked)
        assert (asked["user"], asked["groups"]) == ("oidc:ann", ["system:authenticated"])
        assert asked["resourceAttributes"]["verb"] == "list" and "token" not in asked
        api_server.status = {"allowed": False}
        with pytest.raises(Denied, match="eve may not list"):
            await authority.check_user("eve", LIST)
        with pytest.raises(Denied):
            await authority.check_user("oidc:ann", SEND)
        # A token that reads as the name is another one.
        api_server.status = {"authenticated": False}
        with pytest.raises(Denied):
            await authority.check("oidc:ann", LIST)


async def test_a_user_of_a_login_proxy_may_be_bound_to_namespaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reviewer(tmp_path, monkeypatch, {"allowed": False}) as (authority, api_server):

        async def known() -> list[str]:
            return ["mine", "theirs"]

        def allowed(self: object, spec: dict[str, Any]) -> Any:
            return {"allowed": spec["resourceAttributes"].get("namespace") == "mine"}

        authority.known = known
        monkeypatch.setattr(api_server, "_status", allowed)
        caller = await authority.check_user("ann", Policy("list", bounded=True))
        assert caller.namespaces == ("mine",)
        with pytest.raises(Denied):
            await authority.check_user("ann", Policy("update"))
