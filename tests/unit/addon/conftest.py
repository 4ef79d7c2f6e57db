"""A connection's context, and who is told of what was over a bound."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.proxy.context import Context
from mitmproxy.test import taddons, tflow

from addon.bounds import DEFAULTS
from addon.mitm import layers, overrun


@pytest.fixture
def context() -> Iterator[Context]:
    with taddons.context(Proxyserver()) as master:
        context = Context(tflow.tclient_conn(), master.options)
        context.server = Server(address=("real.example", 443))
        context.server.state = ConnectionState.OPEN
        context.server.timestamp_start = 1.0
        yield context


class Told:
    """Collects the bounds that were exceeded."""

    def __init__(self) -> None:
        self.bounds: list[str] = []

    memory = None

    def exceeded(self, bound: str, client: object) -> None:
        self.bounds.append(bound)


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()
    layers.install(replace(DEFAULTS, response_head=65536, response_fields=50), told)
    yield told
    layers.install()
    overrun.listen(lambda bound, client: None)
