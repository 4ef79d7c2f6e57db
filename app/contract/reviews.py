"""The kinds of things that the inbox holds, and what people can decide on them.

Read by the store (`app.store.changes`), the API, the page, and the command line's options.
"""

from collections.abc import Mapping
from typing import Literal, get_args

Kind = Literal["host", "endpoint", "field", "class", "version", "certificate", "unlisted"]
State = Literal["open", "accepted", "watched", "objected"]
STATES: tuple[State, ...] = get_args(State)

KINDS: Mapping[Kind, str] = {
    "host": "a host that was never reached before",
    "endpoint": "an endpoint that was never asked before",
    "field": "a field that was never sent before",
    "class": "a known field that now holds a sensitive value",
    "version": "a version of a product",
    "certificate": "a workload that refused the sidecar's certificate",
    "unlisted": "things beyond the inbox's bound, which are only counted",
}
