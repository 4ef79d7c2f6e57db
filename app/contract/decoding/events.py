"""The events of a batch: what one request reports, each as one.

Knows the batches of Segment, RudderStack, PostHog, Amplitude, Mixpanel, Snowplow, GA4, Sentry,
OpenTelemetry, Kinesis and Datadog by their shape; a body that is none of them is one event.
Beacons, which have no body, are known by the query.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from app.contract.decoding.pairs import inside
from app.contract.decoding.read import Content
from app.contract.decoding.tree import Opened, Several, is_attribute
from app.contract.record import CaptureRecord, Pair, text

MOST = 10_000  # of one body
_LISTS = (
    "batch", "events", "records", "Records", "data", "payload", "e", "messages", "items", "logs",
)  # fmt: skip
_TELEMETRY = ("resourceSpans", "resourceLogs", "resourceMetrics")
_WITHIN = ("scopeSpans", "scopeLogs", "scopeMetrics", "spans", "logRecords", "metrics")
_NAMES = (
    "event", "event_name", "eventName", "event_type", "name", "en", "type", "e", "action", "metric",
    "severityText",
)  # fmt: skip
_BEACONS = (("en", "tid"), ("e", "tv"))  # GA4, Snowplow: names that both stand in the query
_INNER = ("data", "Data", "event", "payload", "properties")
NAME = 200  # characters of a name


class SentEvent(NamedTuple):
    """`at` is its place in the body, `name` what its sender calls it, "" for nothing."""

    name: str
    at: str
    value: Any


def events(content: Content) -> list[SentEvent]:
    at = f"body{content.suffix}"
    if content.chain[-1:] == ("envelope",):
        found = _items(content.value, at)
    else:
        found = _of(content.value, at)
    return [SentEvent(_name(value), at, value) for (at, value), _ in zip(found, range(MOST))]  # noqa: B905


def of_record(record: CaptureRecord, content: Content) -> list[SentEvent]:
    """The events that a request reports: in its body, whose content is known, or its query."""
    if record.request is None or content.value is not None:
        return events(content)
    return _beacon(record.request.query)


def _beacon(query: list[Pair]) -> list[SentEvent]:
    given = dict(query)
    if "data" in given and isinstance(found := inside("data", given["data"]), Opened):
        return [SentEvent(_name(value), at, value) for at, value in _of(found, "query.data")]
    if any(name in given and other in given for name, other in _BEACONS):
        return [SentEvent(_name(given), "query", given)]
    return []


def _of(node: Any, at: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Opened):
        if not node.unsure:
            yield from _of(node.value, at + node.suffix)
    elif isinstance(node, Several):
        for one in node:
            yield from _of(one, at)
    elif isinstance(node, list):
        if _are_events(node):
            yield from _each(node, at)
    elif isinstance(node, dict):
        for name in _TELEMETRY:
            if isinstance(node.get(name), list):
                yield from _telemetry(node[name], f"{at}.{name}")
                return
        for name in _LISTS:
            value, suffix = _opened(node.get(name))
            if isinstance(value, list) and _are_events(value):
                yield from _each(value, f"{at}.{name}{suffix}")
                return
            if suffix and isinstance(value, dict) and name in ("data", "e"):
                yield from _of(value, f"{at}.{name}{suffix}")
                return
        yield at, node


def _each(nodes: list[Any], at: str) -> Iterator[tuple[str, Any]]:
    for number, node in enumerate(nodes):
        yield f"{at}[{number}]", node


def _telemetry(nodes: list[Any], at: str) -> Iterator[tuple[str, Any]]:
    for number, node in enumerate(nodes):
        inner = next((n for n in _WITHIN if isinstance(node, dict) and n in node), "")
        if inner and isinstance(node[inner], list):
            yield from _telemetry(node[inner], f"{at}[{number}].{inner}")
        elif not inner and not at.endswith(_TELEMETRY):
            yield f"{at}[{number}]", node


def _items(node: Any, at: str) -> Iterator[tuple[str, Any]]:
    """Of a Sentry envelope, without the headers."""
    envelope = node[0] if isinstance(node, Several) else node
    for name, value in envelope.items():
        if not name.endswith("header"):
            many: Iterable[Any] = value if isinstance(value, Several) else (value,)
            for one in many:
                yield f"{at}.{name}", {"type": name, "item": one}


def _are_events(nodes: list[Any]) -> bool:
    found = [_opened(node)[0] for node in nodes[:MOST]]
    return bool(found) and all(isinstance(n, dict) and not is_attribute(n) for n in found)


def _opened(node: Any) -> tuple[Any, str]:
    if isinstance(node, Several) and len(node) == 1:  # a field of a form
        node = node[0]
    return (node.value, node.suffix) if isinstance(node, Opened) and not node.unsure else (node, "")


def _name(node: Any, depth: int = 3) -> str:
    node, _ = _opened(node)
    if not isinstance(node, dict) or depth == 0:
        return ""
    for name in _NAMES:
        value, _ = _opened(node.get(name))
        if isinstance(value, str) and value:
            return text(value[:NAME])[:NAME]
    return next((found for n in _INNER if (found := _name(node.get(n), depth - 1))), "")
