"""Computes the difference of two objects as a JSON patch (RFC 6902), for the webhook's answer."""

from typing import Any


def patch(before: Any, after: Any, at: str = "") -> list[dict[str, Any]]:
    """Returns operations that turn `before` into `after`. Compares lists from both ends, so that an
    insertion touches nothing beside it."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = [{"op": "remove", "path": f"{at}/{_key(k)}"} for k in before if k not in after]
        for key, value in after.items():
            path = f"{at}/{_key(key)}"
            if key in before:
                found += patch(before[key], value, path)
            else:
                found.append({"op": "add", "path": path, "value": value})
        return found
    if isinstance(before, list) and isinstance(after, list):
        return _list(before, after, at)
    if before == after and type(before) is type(after):  # in Python, False == 0
        return []
    return [{"op": "replace", "path": at, "value": after}]


def _list(before: list[Any], after: list[Any], at: str) -> list[dict[str, Any]]:
    shorter = min(len(before), len(after))
    head = 0
    while head < shorter and not patch(before[head], after[head]):
        head += 1
    tail = 0
    while tail < shorter - head and not patch(before[-1 - tail], after[-1 - tail]):
        tail += 1
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    if len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True), head)
        return [op for n, (was, now) in pairs for op in patch(was, now, f"{at}/{n}")]
    if old and new:
        return [{"op": "replace", "path": at, "value": after}]
    removed = [{"op": "remove", "path": f"{at}/{head}"} for _ in old]
    added = [
        {"op": "add", "path": f"{at}/{n}", "value": value} for n, value in enumerate(new, head)
    ]
    return removed + added


def _key(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
