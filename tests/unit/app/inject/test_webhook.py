import asyncio
import base64
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from app.cluster import kube
from app.inject import InjectSettings, patch
from app.inject.bounds import NamespaceBounds
from app.inject.events import Events
from app.inject.namespaces import Namespaces
from app.inject.webhook import ReviewError, Webhook
from app.otel.metrics import Metrics
from app.profiles import load_profiles
from tests.unit.app.cluster.test_kube import ApiServer, api_server, kubeconfig
from tests.unit.app.inject.test_events import owner

SETTINGS = InjectSettings(
    image="telemock-sidecar:1",
    app_url="http://app:8000",
    api_url="https://app:8443",
    rules=load_profiles(["cribl"]),
)
ANSWERS = {
    "/api/v1/namespaces/ns": (200, {"metadata": {"labels": {}}}),
    "/api/v1/namespaces/ns/events": (201, {}),
    "/api/v1/namespaces/ns/limitranges": (200, {"items": []}),
    "/api/v1/namespaces/ns/resourcequotas": (200, {"items": []}),
    "/apis/apps/v1/namespaces/ns/replicasets": (200, {"items": []}),
    "/apis/apps/v1/namespaces/ns/statefulsets": (200, {"items": []}),
    "/apis/apps/v1/namespaces/ns/daemonsets": (200, {"items": []}),
    "/apis/batch/v1/namespaces/ns/jobs": (200, {"items": []}),
}


def pod(**metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "a-", "ownerReferences": [owner()], **metadata},
        "spec": {"containers": [{"name": "a", "image": "a:1"}], "futureField": {"kept": 1}},
    }


def review(given: Any, **request: Any) -> bytes:
    fixed = {"uid": "u1", "operation": "CREATE", "namespace": "ns", "kind": {"kind": "Pod"}}
    return json.dumps(
        {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {**fixed, "object": given, "dryRun": False, **request},
        }
    ).encode()


def applied(before: Any, operations: list[dict[str, Any]]) -> Any:
    """What the API server makes of it, for the operations that `patch` writes."""
    after = json.loads(json.dumps(before))
    for operation in operations:
        *way, last = [p.replace("~1", "/").replace("~0", "~") for p in operation["path"].split("/")]
        at: Any = after
        for step in way[1:]:
            at = at[int(step)] if isinstance(at, list) else at[step]
        if isinstance(at, list):
            if operation["op"] == "add":
                at.insert(int(last), operation["value"])
            else:
                at[int(last)] = operation["value"]
        else:
            at[last] = operation["value"]
    return after


class Answered(NamedTuple):
    response: dict[str, Any]
    pod: dict[str, Any]

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.pod["metadata"]["annotations"]["telemock.io/status"]
        )
        return found


class Running(NamedTuple):
    webhook: Webhook
    metrics: Metrics
    seen: type[ApiServer]

    async def __call__(self, given: Any, **request: Any) -> Answered:
        answer = json.loads(await self.webhook.answer(review(given, **request)))
        assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
        response = answer["response"]
        assert (response["uid"], response["allowed"]) == ("u1", True)
        operations = json.loads(base64.b64decode(response.get("patch", "W10=")))
        return Answered(response, applied(given, operations))

    def count(self, reason: str) -> float | None:
        return self.metrics.registry.get_sample_value(
            "telemock_injector_pods_total", {"telemock_reason": reason}
        )

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for method, _, _, body in self.seen.asked if method == "POST"]


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    @asynccontextmanager
    async def run(settings: Callable[[], Any] = lambda: SETTINGS) -> AsyncIterator[Running]:
        """Events are written when it ends."""
        with api_server(dict(ANSWERS)) as (url, seen):
            monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, url)))
            with contextlib.closing(kube.connect()) as api:
                metrics = Metrics("injector")
                events = Events(api, metrics, "pod-1")
                task = asyncio.create_task(events.running())
                webhook = Webhook(settings, Namespaces(api), NamespaceBounds(api), events, metrics)
                await asyncio.sleep(0)
                yield Running(webhook, metrics, seen)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    return run


async def test_pod_gets_the_sidecar_by_a_patch(running: Any) -> None:
    async with running() as ask:
        found = await ask(pod())
        assert found.response["patchType"] == "JSONPatch"
        assert found.pod["spec"]["initContainers"][0]["name"] == "telemock"
        assert found.pod["spec"]["futureField"] == {"kept": 1}
        assert found.status["injected"] is True
        assert "warnings" not in found.response
        assert ask.count("none") == 1
    (event,) = ask.events()
    assert (event["reason"], event["type"]) == ("TelemockInjected", "Normal")
    assert event["involvedObject"]["uid"] == "u-a"


async def test_pod_that_is_left_says_why_and_is_admitted(running: Any) -> None:
    async with running() as ask:
        found = await ask(pod(annotations={"telemock.io/mode": "x\x1b[31m"}))
        assert "initContainers" not in found.pod["spec"]
        assert found.status["reasons"] == ["mode_value"]
        (warning,) = found.response["warnings"]
        assert warning.startswith("telemock: the annotation telemock.io/mode is")
        assert "\x1b" not in warning
        assert ask.count("mode_value") == 1
    (event,) = ask.events()
    assert (event["reason"], event["type"]) == ("TelemockSkipped", "Warning")
    assert "telemock.io/mode is" in event["message"]


async def test_what_one_should_know_of_an_injected_pod_is_a_warning(running: Any) -> None:
    given = pod(annotations={"telemock.io/redirect": "all"})
    async with running() as ask:
        found = await ask(given)
        assert found.status["injected"] is True
        assert len(found.response["warnings"]) == 1
    (event,) = ask.events()
    assert (event["reason"], event["type"]) == ("TelemockInjected", "Warning")


async def test_warnings_are_few_and_short(running: Any) -> None:
    wrong = {f"telemock.io/{n}": "x" * 3000 for n in ("mode", "redirect", "trust", "profiles")}
    async with running() as ask:
        found = await ask(pod(annotations=wrong))
        assert len(found.response["warnings"]) == 4
        assert max(map(len, found.response["warnings"])) <= 250


async def test_dry_run_is_answered_alike_and_writes_no_event(running: Any) -> None:
    async with running() as ask:
        found = await ask(pod(), dryRun=True)
        assert found.status["injected"] is True
    assert ask.events() == []


async def test_who_opted_out_is_told_nothing(running: Any) -> None:
    given = pod(labels={"telemock.io/inject": "disabled"})
    async with running() as ask:
        found = await ask(given)
        assert found.pod == given
        assert set(found.response) == {"uid", "allowed"}
        assert ask.count("opted_out") == 1
    assert ask.events() == []


async def test_owner_is_told_once_for_all_its_pods(running: Any) -> None:
    async with running() as ask:
        for n in range(5):
            await ask(pod(generateName=f"a{n}-"))
    assert len(ask.events()) == 1


async def test_namespace_decides_on_the_redirect(running: Any) -> None:
    async with running() as ask:
        ask.seen.answers["/api/v1/namespaces/strict"] = (
            200,
            {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
        )
        for kind in ("limitranges", "resourcequotas"):
            ask.seen.answers[f"/api/v1/namespaces/strict/{kind}"] = 200, {"items": []}
        assert (await ask(pod())).status["redirect"] == "hosts"
        assert (await ask(pod(), namespace="strict")).status["redirect"] == "loopback"
        # The API server away, and nothing known of the namespace: it is admitted all the same.
        assert (await ask(pod(), namespace="unknown")).status["redirect"] == "loopback"


@pytest.mark.parametrize(
    "request_", [{"kind": {"kind": "Node"}}, {"operation": "UPDATE"}, {"object": None}]
)
async def test_other_reviews_are_admitted_as_they_are(running: Any, request_: Any) -> None:
    async with running() as ask:
        answer = await ask.webhook.answer(review(pod(), **request_))
        assert json.loads(answer)["response"] == {"uid": "u1", "allowed": True}


async def test_settings_of_the_moment_are_used(running: Any) -> None:
    images = iter(["one:1", "two:2"])
    async with running(lambda: dataclasses.replace(SETTINGS, image=next(images))) as ask:
        for wanted in ("one:1", "two:2"):
            assert (await ask(pod())).pod["spec"]["initContainers"][0]["image"] == wanted


async def test_fault_of_ours_admits_the_pod_and_shows_nothing_of_it(
    running: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> InjectSettings:
        raise RuntimeError("canary-secret")

    async with running(broken) as ask:
        given = pod()
        found = await ask(given)
        assert found.pod == given
        assert found.response["warnings"] == ["telemock failed and left this pod as it is"]
        assert ask.count("failed") == 1
    assert "RuntimeError at" in caplog.text
    assert "canary-secret" not in caplog.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"u"}}',
        b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}',
        b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":7}}',
        b"[" * 100_000,
    ],
)
async def test_what_is_no_review_is_refused(running: Any, body: bytes) -> None:
    async with running() as ask:
        with pytest.raises(ReviewError) as e:
            await ask.webhook.answer(body)
        assert e.value.reason == "not_a_review"


@pytest.mark.parametrize(
    "object_",
    [
        {},
        {"metadata": None, "spec": None},
        {"metadata": [], "spec": 7},
        {"metadata": {"ownerReferences": [None]}, "spec": {"containers": [None, {"env": 3}]}},
        {"metadata": {"annotations": {"telemock.io/mode": 7}}, "spec": {"containers": []}},
    ],
)
async def test_pods_that_are_none_are_admitted(running: Any, object_: Any) -> None:
    """The API server sends valid ones, but any pod of the cluster may call."""
    async with running() as ask:
        answer = json.loads(await ask.webhook.answer(review(object_)))
        assert answer["response"]["allowed"] is True


def test_applied_is_the_inverse_of_patch() -> None:
    before = {"a": [1, 2], "b/c": {"d~": 1}}
    after = {"a": [0, 1, 2], "b/c": {"d~": 2}, "e": 1}
    assert applied(before, patch(before, after)) == after


async def test_a_quota_that_has_no_room_leaves_the_pod_alone(running: Any) -> None:
    async with running() as ask:
        full = {"metadata": {"name": "small"}, "spec": {"hard": {"requests.memory": "80Mi"}}}
        ask.seen.answers["/api/v1/namespaces/ns/resourcequotas"] = 200, {"items": [full]}
        given = pod()
        given["spec"]["containers"][0]["resources"] = {"limits": {"memory": "10Mi"}}
        found = await ask(given)
        assert found.status["reasons"] == ["quota"]
        (warning,) = found.response["warnings"]
        assert "small has 80Mi of requests.memory left" in warning


async def test_pods_at_the_same_time_share_what_a_quota_has_left(running: Any) -> None:
    """The quota shows the first one only later; the second must not be refused for it."""
    async with running() as ask:
        quota = {"metadata": {"name": "small"}, "spec": {"hard": {"requests.memory": "180Mi"}}}
        ask.seen.answers["/api/v1/namespaces/ns/resourcequotas"] = 200, {"items": [quota]}
        given = pod()
        own = {"requests": {"memory": "10Mi"}, "limits": {"memory": "10Mi"}}
        given["spec"]["containers"][0]["resources"] = own
        assert (await ask(given, dryRun=True)).status["injected"] is True
        assert (await ask(given)).status["injected"] is True
        assert (await ask(given)).status["reasons"] == ["quota"]


async def test_bounds_that_cannot_be_read_leave_the_pod_alone(running: Any) -> None:
    async with running() as ask:
        ask.seen.answers["/api/v1/namespaces/ns/limitranges"] = 403, {"message": "may not list"}
        found = await ask(pod())
        assert found.status["reasons"] == ["bounds_unknown"]
        assert "may not list" in found.response["warnings"][0]
