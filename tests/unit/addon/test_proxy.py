"""addon/proxy.py: which of mitmproxy's addons run, and how a start that cannot succeed ends."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from addon import options
from addon.process import Process
from addon.proxy import Master, run
from addon.supervisor import CANNOT_START
from tests.sidecar import bundle_of, rule

RULES = bundle_of(rule("index", "/telemetry/index.html"))


def chosen(tmp_path: Path, **environ: str) -> options.Options:
    base = {
        "TELEMOCK_DATA": str(tmp_path / "data"),
        "MITM_PORT": "0",
        "TELEMOCK_HEALTH_PORT": "0",
        "TELEMOCK_APP_URL": "http://127.0.0.1:9",
        "TELEMOCK_SHUTDOWN_SECONDS": "0",
    }
    return options.load(base | environ)


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Puts back what the sidecar does to the process' logging."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


async def test_only_the_stock_addons_that_are_needed_run(tmp_path: Path) -> None:
    process = Process(chosen(tmp_path), RULES)
    master = Master(process)
    names = set(master.addons.lookup)
    assert names == {
        "sidecar", "connections", "outbound", "exchanges", "contexts", "core", "proxyserver",
        "nextlayer", "tlsconfig",
    }  # fmt: skip
    # Without the addon `block` there is no block_global, which would refuse IPv6 clients.
    assert "block_global" not in master.options
    assert master.options.connection_strategy == "lazy"
    assert master.options.upstream_cert is False
    assert master.options.validate_inbound_headers is True
    assert master.options.ssl_insecure is False
    await asyncio.to_thread(process.stop)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("MITM_PORT", "set MITM_PORT"), ("TELEMOCK_HEALTH_PORT", "set TELEMOCK_HEALTH_PORT")],
)
@pytest.mark.usefixtures("own_logging")
def test_a_port_in_use_cannot_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, remedy: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert run(chosen(tmp_path, **{name: port}), RULES) == CANNOT_START
    said = capsys.readouterr().err
    assert said.count("error: ") == 1
    assert port in said and remedy in said
