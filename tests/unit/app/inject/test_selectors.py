"""Selectors as Kubernetes has them."""

from typing import Any

import pytest

from app.inject.selectors import as_text, matches, selected
from tests.chart.helm import of_case, one

LABELS = {"app": "web", "tier": "front"}


@pytest.mark.parametrize(
    ("selector", "text", "met"),
    [
        ({}, "", False),
        ({"matchLabels": {"app": "web"}}, "app=web", True),
        ({"matchLabels": {"app": "web", "tier": "back"}}, "app=web,tier=back", False),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, "app", True),
        ({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}, "!x", True),
        (
            {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "web"]}]},
            "app in (a,web)", True,
        ),
        (
            {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]},
            "app notin (web)", False,
        ),
        (
            {"matchExpressions": [{"key": "x", "operator": "In", "values": ["a"]}]},
            "x in (a)", False,
        ),
        (
            {"matchExpressions": [{"key": "x", "operator": "NotIn", "values": ["a"]}]},
            "x notin (a)", True,
        ),
    ],
)  # fmt: skip
def test_selectors(selector: dict[str, Any], text: str, met: bool) -> None:
    assert as_text(selector) == text
    assert matches(selector, LABELS) is met


def test_of_a_release() -> None:
    found = selected(one(of_case("everything"), "MutatingWebhookConfiguration"))
    assert matches(found, {"example.com/observe": "yes", "app.kubernetes.io/name": "leader"})
    assert not matches(found, {"app.kubernetes.io/name": "leader"})
    assert selected(one(of_case("default"), "MutatingWebhookConfiguration")) == {}
