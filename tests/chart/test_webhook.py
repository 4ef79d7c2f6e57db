"""Which pods the API server asks about: each at most once, and again where the half that it asked
first does not answer, with the policy its owner chose."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from app.contract.names import ANNOTATION_STATUS
from tests.chart.helm import needs_helm, of_case, one, rendered

POD = ("", "enabled", "disabled", "true")
NAMESPACE = ("", "enabled", "disabled", "true")
SELECTED = {"example.com/observe": "yes", "app.kubernetes.io/name": "leader"}


ONLY_UNANSWERED = [
    {
        "name": "not-answered",
        "expression": "!has(object.metadata.annotations) || "
        f"!('{ANNOTATION_STATUS}' in object.metadata.annotations)",
    }
]


def matches(selector: dict[str, Any] | None, labels: dict[str, str]) -> bool:
    """As Kubernetes does it."""
    for key, value in ((selector or {}).get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for each in (selector or {}).get("matchExpressions") or ():
        has, value = each["key"] in labels, labels.get(each["key"])
        if not {
            "Exists": has,
            "DoesNotExist": not has,
            "In": value in each.get("values", ()),
            "NotIn": value not in each.get("values", ()),
        }[each["operator"]]:
            return False
    return True


def asked(
    case: str, pod: dict[str, str], namespace: dict[str, str], answered: bool = True
) -> list[str]:
    """The entries that meet a pod; `answered`: the first half answers, so that the pod has our
    annotation when the second is looked at."""
    (configuration,) = [o for o in of_case(case) if o["kind"] == "MutatingWebhookConfiguration"]
    return [
        w["name"].partition(".inject.")[0]
        for w in configuration["webhooks"]
        if not (answered and w.get("matchConditions") == ONLY_UNANSWERED)
        and matches(w.get("namespaceSelector"), namespace)
        and matches(w.get("objectSelector"), pod)
    ]


def label(value: str) -> dict[str, str]:
    return {"telemock.io/inject": value} if value else {}


@pytest.mark.parametrize(("pod", "namespace"), list(product(POD, NAMESPACE)))
@pytest.mark.parametrize("selected", [True, False])
def test_a_pod_is_asked_about_once_at_most(pod: str, namespace: str, selected: bool) -> None:
    labels = label(pod) | (SELECTED if selected else {})
    found = asked("everything", labels, label(namespace) | {"kubernetes.io/metadata.name": "x"})
    # A value that is not known is asked about too: the injector says what is wrong with it.
    if pod:
        expected = [] if pod == "disabled" else ["pod"]
    elif namespace:
        expected = [] if namespace == "disabled" else ["namespace"]
    else:
        expected = ["selected"] if selected else []
    assert found == [f"first.{entry}" for entry in expected]
    again = asked("everything", labels, label(namespace), answered=False)
    assert again == [f"first.{entry}" for entry in expected] + expected


def test_each_half_is_asked_by_its_own_service() -> None:
    found = of_case("everything")
    webhooks = one(found, "MutatingWebhookConfiguration")["webhooks"]
    for name, half in (("watch-injector", "a"), ("watch-injector-b", "b")):
        labels = one(found, "Deployment", name)["spec"]["template"]["metadata"]["labels"]
        selector = one(found, "Service", name)["spec"]["selector"]
        assert selector.items() <= labels.items() and labels["telemock.io/half"] == half
        entries = [w for w in webhooks if w["clientConfig"]["service"]["name"] == name]
        assert len(entries) == 3
        for entry in entries:
            assert entry["name"].startswith("first.") is (half == "a")
            assert ("matchConditions" in entry) is (half == "b")
            assert half == "b" or (entry["failurePolicy"], entry["timeoutSeconds"]) == ("Ignore", 2)


@needs_helm
@pytest.mark.parametrize(("replicas", "halves"), [(1, [1]), (2, [1, 1]), (3, [2, 1]), (5, [3, 2])])
def test_replicas_are_shared_by_the_halves(
    replicas: int, halves: list[int], tmp_path: Path
) -> None:
    found = rendered({"injector": {"replicas": replicas}}, tmp_path)
    made = [o for o in found if o["kind"] == "Deployment" and "-injector" in o["metadata"]["name"]]
    assert [o["spec"]["replicas"] for o in made] == halves
    webhooks = one(found, "MutatingWebhookConfiguration")["webhooks"]
    assert [w["name"] for w in webhooks if not w["name"].startswith("first.")] == [
        "pod.inject.telemock.io",
        "namespace.inject.telemock.io",
    ]
    assert len(webhooks) == 2 * len(halves)


def test_pods_of_kube_system_are_not_selected() -> None:
    assert asked("everything", SELECTED, {"kubernetes.io/metadata.name": "kube-system"}) == []


def test_an_outage_stops_only_who_asked_for_it() -> None:
    webhooks = one(of_case("default"), "MutatingWebhookConfiguration")["webhooks"]
    policies = {w["name"]: w["failurePolicy"] for w in webhooks}
    assert policies == {
        "first.pod.inject.telemock.io": "Ignore",
        "first.namespace.inject.telemock.io": "Ignore",
        "pod.inject.telemock.io": "Fail",
        "namespace.inject.telemock.io": "Ignore",
    }


@pytest.mark.parametrize("case", ["default", "everything"])
def test_no_authority_is_rendered(case: str) -> None:
    """Or an upgrade would take away the one that the injector put there."""
    name = {"everything": "watch"}.get(case, "telemock")
    webhooks = one(of_case(case), "MutatingWebhookConfiguration")["webhooks"]
    for webhook in webhooks:
        assert "caBundle" not in webhook["clientConfig"]
        reference = webhook["clientConfig"]["service"]
        assert reference["name"] in (f"{name}-injector", f"{name}-injector-b")
        service = one(of_case(case), "Service", reference["name"])
        assert reference["port"] == service["spec"]["ports"][0]["port"]
        assert webhook["sideEffects"] == "NoneOnDryRun"
