"""Reads a request's head further: values of its query and headers, the pairs of a User-Agent
(`k/v; k/v`), segments of its path that a rule's route names (`/v1/{version}/{platform}`), and the
path's parameters.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import unquote

from app.contract.decoding.read import opened
from app.contract.decoding.tree import Opened, plain_path, scalars
from app.contract.record import Pair

AGENT = "user-agent"
SHORTEST = 7  # characters of a value that may hold something: {"a":1}
_PAIR = re.compile(r"([^\s/;()=,]+)[/=]([^\s;(),]+)")
_BETWEEN = re.compile(r"\s*;\s*|\s+")
_PAIRS = 100


def inside(name: str, value: str) -> Any:
    """Opens the value of a query parameter or (lower case) header; the text if it holds nothing."""
    if name == AGENT:
        found = agent(value)
        return Opened(value, ("pairs",), found) if found else value
    return opened(value) if len(value) >= SHORTEST else value


def agent(written: str) -> dict[str, str]:
    """The pairs of a User-Agent, {} if it is no list of at least two: `hf_hub/0.20; torch/2.1`."""
    parts = _BETWEEN.split(written.strip(), _PAIRS)
    found = [_PAIR.fullmatch(part) for part in parts if part]
    return {m[1]: m[2] for m in found if m} if all(found) and len(found) > 1 else {}


def agent_with(written: str, change: Callable[[str, str], str]) -> str:
    """The same User-Agent with the values that `change(name, value)` gives for its pairs."""
    if ("/" not in written and "=" not in written) or not agent(written):
        return written
    return _PAIR.sub(lambda m: m[0][: m.start(2) - m.start()] + change(m[1], m[2]), written)


def segments(path: str, route: str) -> list[Pair]:
    """The segments of a raw path that the route's template names."""
    if "{" not in route:
        return []
    steps = path.split("/")
    return [
        (name[1:-1], unquote(steps[at]))
        for at, name in enumerate(route.split("/"))
        if name[:1] == "{" and name[-1:] == "}" and at < len(steps) and steps[at]
    ]


def parameters(path: str) -> list[Pair]:
    """The parameters of a raw path, which no template shows: `/v1;user=x`. Their names begin with
    the semicolon."""
    if ";" not in path:
        return []
    pieces = (part.partition("=") for step in path.split("/") for part in step.split(";")[1:])
    return [(f";{unquote(name)}", unquote(value)) for name, _, value in pieces]


def found_in(pairs: Iterable[Pair], name: str) -> Iterator[str]:
    """The values under the name; behind a dot a path leads into the value: `data.properties.v`."""
    said: Sequence[Pair] = list(pairs)
    yield from (v for n, v in said if n == name)
    name = plain_path(name)
    for n, v in said:
        if name.startswith(f"{n}."):
            yield from scalars(inside(n, v), name[len(n) + 1 :])
