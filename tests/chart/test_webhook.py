"""Which pods the API server asks about: each at most once, with the policy its owner chose."""

from itertools import product
from typing import Any

import pytest

from tests.chart.helm import of_case, one

POD = ("", "enabled", "disabled", "true")
NAMESPACE = ("", "enabled", "disabled", "true")
SELECTED = {"example.com/observe": "yes", "app.kubernetes.io/name": "leader"}


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


def asked(case: str, pod: dict[str, str], namespace: dict[str, str]) -> list[str]:
    (configuration,) = [o for o in of_case(case) if o["kind"] == "MutatingWebhookConfiguration"]
    return [
        w["name"].split(".")[0]
        for w in configuration["webhooks"]
        if matches(w.get("namespaceSelector"), namespace) and matches(w.get("objectSelector"), pod)
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
    assert found == expected


def test_pods_of_kube_system_are_not_selected() -> None:
    assert asked("everything", SELECTED, {"kubernetes.io/metadata.name": "kube-system"}) == []


def test_an_outage_stops_only_who_asked_for_it() -> None:
    webhooks = one(of_case("default"), "MutatingWebhookConfiguration")["webhooks"]
    policies = {w["name"]: w["failurePolicy"] for w in webhooks}
    assert policies == {
        "pod.inject.telemock.io": "Fail",
        "namespace.inject.telemock.io": "Ignore",
    }


@pytest.mark.parametrize("case", ["default", "everything"])
def test_no_authority_is_rendered(case: str) -> None:
    """Or an upgrade would take away the one that the injector put there."""
    name = {"everything": "watch"}.get(case, "telemock")
    webhooks = one(of_case(case), "MutatingWebhookConfiguration")["webhooks"]
    service = one(of_case(case), "Service", f"{name}-injector")
    for webhook in webhooks:
        assert "caBundle" not in webhook["clientConfig"]
        reference = webhook["clientConfig"]["service"]
        assert reference["name"] == service["metadata"]["name"]
        assert reference["port"] == service["spec"]["ports"][0]["port"]
        assert webhook["sideEffects"] == "NoneOnDryRun"
