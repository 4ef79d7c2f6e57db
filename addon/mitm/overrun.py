"""What a layer ended for a bound, told to `addon.connections`: layers that no hook reaches know
nobody to tell it to.

`addon.mitm.layers.install` says who listens.
"""

from collections.abc import Callable

from mitmproxy.connection import Client
from mitmproxy.proxy import layer

Tell = Callable[[str, Client], None]

_listeners: list[Tell] = []


def listen(tell: Tell) -> None:
    """Called from now on, instead of who was before, with a bound and the client's connection."""
    _listeners[:] = [tell]


def exceeded(bound: str, met_by: layer.Layer) -> None:
    """The bound that this layer's connection is over."""
    for tell in _listeners:
        tell(bound, met_by.context.client)
