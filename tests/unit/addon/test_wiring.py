"""addon/wiring.py: every part has what it needs before the first connection."""

import pytest
from mitmproxy import platform
from mitmproxy.test import taddons

from tests.unit.addon.test_connections import Kept
from tests.unit.addon.test_sidecar import flow_of, wired


async def test_what_is_open_is_recorded_at_the_end() -> None:
    sink = Kept()
    wiring = wired(sink)
    with taddons.context(wiring.server):
        await wiring.sidecar.requestheaders(flow_of("/observe"))
        assert wiring.exchanges.in_flight == 1
        wiring.end()
    assert [(x.kind, x.reason) for x in sink.records] == [("failed", "shutdown")]


def test_connections_know_mitmproxys_clients_and_addresses_through_the_server() -> None:
    wiring = wired(Kept())
    client = flow_of("/").client_conn
    with taddons.context(wiring.server):
        assert wiring.server.io(client) is None
        assert list(wiring.server.addresses()) == []
        wiring.server.close(client, flow_of("/").server_conn)  # gone: nothing to close
        assert wiring.connections.unsent(client) > 1 << 40


@pytest.mark.parametrize(("run", "of_the_kernel"), [("0", True), ("4711", False)])
def test_where_a_runs_connections_were_going_is_read_from_them(
    monkeypatch: pytest.MonkeyPatch, run: str, of_the_kernel: bool
) -> None:
    kernels = platform.original_addr
    monkeypatch.setattr(platform, "original_addr", kernels)
    wiring = wired(Kept(), TELEMOCK_RUN=run, TELEMOCK_TRANSPARENT="127.0.0.1:17443")
    assert (platform.original_addr is kernels) is of_the_kernel
    assert (wiring._gate.prefaces is None) is of_the_kernel
    assert wiring.connections.capture.prefaces is wiring._gate.prefaces
