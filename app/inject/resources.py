"""CPU and memory of the two injected containers: the release's, changed by a pod's annotation.

`app.inject.annotations` reads the annotation; `app.inject.limits` compares with a namespace's
bounds.
"""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

Object = dict[str, Any]

PARTS = ("requests", "limits")
KINDS = ("cpu", "memory", "ephemeral-storage")
# Below these limits a container may not get ready, and the pod would not start: an end-to-end test
# starts one with these. A sidecar takes a second of processor time to start, and has 60 s for it.
LEAST: Mapping[str, Mapping[str, str]] = {
    "sidecar": {"cpu": "50m", "memory": "96Mi"},
    "redirect": {"cpu": "50m", "memory": "48Mi"},
}


class Resources(NamedTuple):
    """`resources` of each container, as Kubernetes has them."""

    sidecar: Object
    redirect: Object


def quantity(text: object) -> Decimal:
    """Parses Kubernetes' quantities, such as 20m and 64Mi. Raises ValueError."""
    # Slow to import, and a pod without bounds or annotation needs it not.
    from kubernetes.utils.quantity import parse_quantity

    if isinstance(text, bool) or not isinstance(text, str | int | float) or " " in str(text):
        raise ValueError(f"{text!r} is no quantity")
    found = Decimal(parse_quantity(text))
    if not found.is_finite() or found < 0:
        raise ValueError(f"{text!r} is no quantity")
    return found


def changed(text: str, release: Resources) -> Resources:
    """Lays the annotation `text` over the release's choice. Raises ValueError with a sentence."""
    wanted = "a JSON object with requests, limits or both, as in a container"
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{text!r}, expected {wanted}") from None
    if not isinstance(given, dict) or not given:
        raise ValueError(f"{text!r}, expected {wanted}")
    if unknown := given.keys() - {*PARTS, *Resources._fields}:
        known = "requests, limits, sidecar or redirect"
        raise ValueError(f"{text!r}: {sorted(unknown)[0]!r} is not {known}")
    both = {part: given[part] for part in PARTS if part in given}
    made = Resources(
        *(
            _merged(_merged(own, both), given.get(name) or {})
            for name, own in release._asdict().items()
        )
    )
    for name, own in made._asdict().items():
        if problem := next(problems(name, own), ""):
            raise ValueError(f"{text!r}: {problem}")
    return made


def problems(container: str, resources: Mapping[str, Any]) -> Iterator[str]:
    """Yields what Kubernetes would refuse, and limits that `container` (a field of Resources)
    cannot work within. Raises ValueError for what is not built as resources are."""
    requests, limits = (resources.get(part) or {} for part in PARTS)
    for kind, limit in limits.items():
        if kind in requests and quantity(requests[kind]) > quantity(limit):
            asked = requests[kind]
            yield f"the {container} requests {asked} of {kind}, more than its limit {limit}"
        least = LEAST[container].get(kind)
        if least and quantity(limit) < quantity(least):
            yield f"the {container} needs a {kind} limit of {least} or more, not {limit}"


def parse(text: str, container: str) -> Object:
    """Parses a setting: the whole `resources` of a container, as JSON. Raises ValueError."""
    found = _merged({}, json.loads(text))
    if problem := next(problems(container, found), ""):
        raise ValueError(problem)
    return found


def _merged(base: Mapping[str, Any], change: object) -> Object:
    """Lays `change` over `base`; null takes an entry away. Raises ValueError."""
    if not isinstance(change, dict):
        raise ValueError(f"{change!r} is no JSON object")
    if unknown := change.keys() - set(PARTS):
        raise ValueError(f"{sorted(unknown)[0]!r} is not requests or limits")
    made = {part: dict(base.get(part) or {}) for part in PARTS}
    for part, kinds in change.items():
        if not isinstance(kinds, dict) or (wrong := kinds.keys() - set(KINDS)):
            about = sorted(wrong)[0] if isinstance(kinds, dict) else kinds
            raise ValueError(f"{part} holds {about!r}, expected {', '.join(KINDS)}")
        for kind, value in kinds.items():
            if value is None:
                made[part].pop(kind, None)
            else:
                quantity(value)
                made[part][kind] = value
    return {part: kinds for part, kinds in made.items() if kinds}
