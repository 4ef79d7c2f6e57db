"""Finds what a namespace's LimitRanges and ResourceQuotas refuse of a pod with a sidecar.

The API server checks them after every webhook: a pod that we made larger would not start. So they
are checked here as it does, and such a pod is left alone. Called by `app.inject.pod`.
"""

import copy
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from app.contract import names
from app.inject.reasons import Reason, reason
from app.inject.resources import problems, quantity
from app.inject.settings import NamespaceFacts

Object = Mapping[str, Any]
Amounts = dict[str, Decimal]

_OURS = dict.fromkeys(names.OUR_CONTAINERS, "redirect") | {names.CONTAINER_SIDECAR: "sidecar"}
_PLAIN = ("cpu", "memory", "ephemeral-storage")  # in a quota they mean requests
# A quota of one of these refuses a container that does not say what it takes.
_EXPLICIT = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")


def refusals(spec: Object, namespace: NamespaceFacts, controller: str = "") -> list[Reason]:
    """The reasons not to inject: `spec` is the pod's with the sidecar in it, `controller` the uid
    of who makes it."""
    if namespace.unknown:
        return [reason("bounds_unknown", namespace.unknown)]
    if not namespace.limit_ranges and not namespace.quotas:
        return []
    try:
        filled = _defaulted(spec, namespace)
        ranges = list(_of_ranges(filled, namespace))
        return [reason("limit_range", text) for text in ranges[:1]] or [
            reason("quota", text) for text in list(_of_quotas(filled, namespace, controller))[:1]
        ]
    except (ValueError, TypeError, AttributeError) as e:
        return [reason("bounds_unknown", f"they hold what is not understood: {e}")]


def usage(spec: Object) -> Amounts:
    """Sums up a pod, by the names that quotas give to resources."""
    found: Amounts = {}
    for part in ("requests", "limits"):
        for kind, amount in _pod_sum(spec, part).items():
            found[f"{part}.{kind}"] = amount
    return found


def counted(quota: Object, spec: Object) -> Amounts:
    """Sums up what this pod takes of the quota, by the names of its `hard`."""
    if not _in_scope(quota, spec):
        return {}
    sums = usage(spec)
    hard = (quota.get("spec") or {}).get("hard") or {}
    full = {name: f"requests.{name}" if name in _PLAIN else name for name in hard}
    return {name: sums[key] for name, key in full.items() if key in sums}


def _of_ranges(spec: Object, namespace: NamespaceFacts) -> Iterator[str]:
    for found, item in _items(namespace):
        who = f"the LimitRange {found['metadata']['name']}"
        if item.get("type") == "Container":
            for name, container in _ours(spec):
                for text in _bounds(item, *_pair(container)):
                    yield f"{who} wants of a container {text.format(who=f'container {name}')}"
        elif item.get("type") == "Pod":
            sums = _pod_sum(spec, "requests"), _pod_sum(spec, "limits")
            for text in _bounds(item, *sums):
                yield f"{who} wants of a pod {text.format(who='this one with a sidecar')}"
    for name, container in _ours(spec):
        for problem in problems(_OURS[name], container.get("resources") or {}):
            yield f"with the defaults of this namespace's LimitRange {problem}"


def _bounds(item: Object, requests: Amounts, limits: Amounts) -> Iterator[str]:
    """As the admission plugin LimitRanger compares; `{who}` is whom it is about."""
    for kind, text in (item.get("min") or {}).items():
        least = quantity(text)
        for word, given in (("requests", requests), ("has a limit of", limits)):
            if kind in given and given[kind] < least:
                yield f"at least {text} of {kind}, and {{who}} {word} {_text(given[kind], kind)}"
        if kind not in requests:
            yield f"at least {text} of {kind}, and {{who}} requests none"
    for kind, text in (item.get("max") or {}).items():
        most = quantity(text)
        for word, given in (("requests", requests), ("has a limit of", limits)):
            if kind in given and given[kind] > most:
                yield f"at most {text} of {kind}, and {{who}} {word} {_text(given[kind], kind)}"
        if kind not in limits:
            yield f"at most {text} of {kind}, and {{who}} has no limit"
    for kind, text in (item.get("maxLimitRequestRatio") or {}).items():
        asked, limit = requests.get(kind), limits.get(kind)
        if not asked or not limit:
            yield f"a limit of {kind} at most {text} times its request, and {{who}} lacks one"
        elif limit / asked > quantity(text):
            share = f"{limit / asked:.3g}"
            yield f"a limit of {kind} at most {text} times its request, and {{who}} has {share}"


def _of_quotas(spec: Object, namespace: NamespaceFacts, controller: str) -> Iterator[str]:
    for quota in namespace.quotas:
        if not _in_scope(quota, spec):
            continue
        who = f"the ResourceQuota {quota['metadata']['name']}"
        hard = (quota.get("spec") or {}).get("hard") or {}
        used = (quota.get("status") or {}).get("used") or {}
        for name in (n for n in hard if n in _EXPLICIT):
            part, kind = name.split(".") if "." in name else ("requests", name)
            if kind in ((spec.get("resources") or {}).get(part) or {}):  # of the pod as a whole
                continue
            for container in _containers(spec):
                if kind not in _pair(container)[part == "limits"]:
                    wanted = f"a {kind} {part.removesuffix('s')} of every container"
                    yield f"{who} wants {wanted}, and container {container.get('name')} has none"
        others = _waiting(quota, namespace, controller)
        for name, amount in counted(quota, spec).items():
            left = max(quantity(hard[name]) - quantity(used.get(name, 0)), Decimal(0))
            more = others.get(name, Decimal(0))
            if amount + more > left:
                kind = name.rpartition(".")[2]
                wanted = f", and pods that are due {_text(more, kind)}" if more else ""
                yield (
                    f"{who} has {_text(left, kind)} of {name} left, and this pod with a sidecar "
                    f"takes {_text(amount, kind)}{wanted}"
                )


def _waiting(quota: Object, namespace: NamespaceFacts, controller: str) -> Amounts:
    """Sums up what pods that are due take of the quota, without sidecars: ours must not take their
    place. The one that is being made is among its controller's."""
    found: Amounts = {}
    for due in namespace.waiting:
        count = due.number - (due.uid == controller)
        each = counted(quota, _defaulted(due.spec, namespace))
        found = _sum(found, {name: amount * max(count, 0) for name, amount in each.items()})
    return found


def _in_scope(quota: Object, spec: Object) -> bool:
    asked = quota.get("spec") or {}
    scopes = [{"scopeName": name, "operator": "Exists"} for name in asked.get("scopes") or ()]
    scopes += (asked.get("scopeSelector") or {}).get("matchExpressions") or ()
    return all(_matches(scope, spec) for scope in scopes)


def _matches(scope: Object, spec: Object) -> bool:
    match scope.get("scopeName"):
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return False  # what has a sidecar has requests
        case "PriorityClass":
            name, values = spec.get("priorityClassName") or "", scope.get("values") or ()
            wanted = {"In": name in values, "NotIn": name not in values, "DoesNotExist": not name}
            return wanted.get(str(scope.get("operator")), bool(name))
    return True  # NotBestEffort; and what is not known counts


def _defaulted(spec: Object, namespace: NamespaceFacts) -> Object:
    """The pod as the API server completes it: a limit is a request too, then the LimitRanges'."""
    filled = copy.deepcopy(dict(spec))
    for container in _containers(filled):
        own = container["resources"] = dict(container.get("resources") or {})
        limits = own["limits"] = dict(own.get("limits") or {})
        requests = own["requests"] = limits | dict(own.get("requests") or {})
        for _, item in _items(namespace):
            if item.get("type") == "Container":
                own["limits"] = limits = dict(item.get("default") or {}) | limits
                own["requests"] = requests = dict(item.get("defaultRequest") or {}) | requests
    return filled


def _items(namespace: NamespaceFacts) -> Iterator[tuple[Object, Object]]:
    for found in namespace.limit_ranges:
        for item in (found.get("spec") or {}).get("limits") or ():
            yield found, item


def _pod_sum(spec: Object, part: str) -> Amounts:
    """As Kubernetes counts: containers and sidecars together, and more where an init container
    needs more than all of them."""
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = _pair(container)[part == "limits"]
        if container.get("restartPolicy") == "Always":
            sidecars = _sum(sidecars, own)
            own = sidecars
        else:
            own = _sum(sidecars, own)
        peak = {k: max(own.get(k, Decimal(0)), peak.get(k, Decimal(0))) for k in own | peak}
    running = sidecars
    for container in spec.get("containers") or ():
        running = _sum(running, _pair(container)[part == "limits"])
    whole = {k: max(running.get(k, Decimal(0)), peak.get(k, Decimal(0))) for k in running | peak}
    pod_level = (spec.get("resources") or {}).get(part) or {}
    return whole | {k: quantity(v) for k, v in pod_level.items()}


def _sum(a: Amounts, b: Amounts) -> Amounts:
    return {k: a.get(k, Decimal(0)) + b.get(k, Decimal(0)) for k in a | b}


def _pair(container: Object) -> tuple[Amounts, Amounts]:
    own = container.get("resources") or {}
    requests, limits = (
        {k: quantity(v) for k, v in (own.get(part) or {}).items()}
        for part in ("requests", "limits")
    )
    return requests, limits


def _containers(spec: Object) -> list[dict[str, Any]]:
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _ours(spec: Object) -> Iterator[tuple[str, Object]]:
    for container in spec.get("initContainers") or ():
        if container.get("name") in _OURS:
            yield container["name"], container


def _text(amount: Decimal, kind: str) -> str:
    """As people write it: 150m of cpu, 96Mi of memory."""
    if kind == "cpu":
        return f"{amount * 1000:.0f}m"
    return f"{amount / (1 << 20):.4g}Mi"
