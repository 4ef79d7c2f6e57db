"""Reports exceeded bounds from layers to `addon.connections`: no hook reaches these layers, and
they know nobody to report to.

`addon.mitm.layers.install` sets the listener.
"""

from collections.abc import Callable

from mitmproxy.connection import Client
from mitmproxy.proxy import layer

Tell = Callable[[str, Client], None]

_listeners: list[Tell] = []


def listen(tell: Tell) -> None:
    """Replaces the listener; it gets a bound and the client's connection."""
    _listeners[:] = [tell]


def exceeded(bound: str, met_by: layer.Layer) -> None:
    """Reports the bound that this layer's connection exceeds."""
    for tell in _listeners:
        tell(bound, met_by.context.client)
