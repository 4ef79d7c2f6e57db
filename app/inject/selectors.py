"""Kubernetes' label selectors: `injector.podSelector` opts pods in that have no label of ours.

`app.inject.gather` reads it from the webhook's entry, `app.inject.census` gets it as a setting.
"""

from collections.abc import Mapping
from typing import Any

from app.contract.names import API_GROUP, LABEL_INJECT

_ENTRY = f"selected.inject.{API_GROUP}"


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """True if the labels meet the selector; one without conditions is met by none."""
    wanted = dict(selector.get("matchLabels") or {})
    expressions = [*(selector.get("matchExpressions") or ())]
    if not wanted and not expressions:
        return False
    if any(labels.get(name) != value for name, value in wanted.items()):
        return False
    return all(_holds(one, labels) for one in expressions)


def as_text(selector: Mapping[str, Any]) -> str:
    """The selector as a list's `labelSelector`; "" for none."""
    parts = [f"{name}={value}" for name, value in (selector.get("matchLabels") or {}).items()]
    for one in selector.get("matchExpressions") or ():
        key, values = one["key"], ",".join(one.get("values") or ())
        form = {"Exists": "{key}", "DoesNotExist": "!{key}", "In": "{key} in ({values})"}
        text = form.get(str(one["operator"]), "{key} notin ({values})")
        parts.append(text.format(key=key, values=values))
    return ",".join(parts)


def selected(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    """The selector of a release's webhook configuration, without what the chart adds; {} without
    one."""
    for webhook in configuration.get("webhooks") or ():
        if webhook.get("name") == _ENTRY:
            found = webhook.get("objectSelector") or {}
            more = [e for e in found.get("matchExpressions") or () if e["key"] != LABEL_INJECT]
            return {**found, "matchExpressions": more}
    return {}


def _holds(one: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    has, value = one["key"] in labels, labels.get(one["key"])
    match one["operator"]:
        case "Exists":
            return has
        case "DoesNotExist":
            return not has
        case "In":
            return has and value in (one.get("values") or ())
        case "NotIn":
            return not has or value not in (one.get("values") or ())
    return False
