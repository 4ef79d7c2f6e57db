"""`telemock injector`: runs the injector in uvicorn, over TLS, on every address of its pod."""

import contextlib
import errno
import math
import signal
import socket
import time
from types import FrameType

import typer
import uvicorn

from app.cli.server import Server, config
from app.cluster.kube import connect
from app.contract.cores import no_core_dumps
from app.contract.settings import SettingError
from app.inject.process_settings import Environment
from app.inject.server import Injector

_BACKLOG = 512
_DRAIN_S = 5.0  # time for the cluster to stop sending new requests here
# Longer than the 90 s after which the API server closes an idle connection: it must close first,
# because it does not retry a request that meets our close.
_IDLE_S = 120


def serve(environment: Environment) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit code.

    Raises SettingError, ProfileError, KubeError.
    """
    no_core_dumps()
    with contextlib.closing(connect()) as api:
        injector = Injector(environment, api)
        with contextlib.closing(_listener(environment.port)) as listener:
            context = injector.certificate.context
            settled = config(
                injector.app(),
                ssl_context_factory=lambda *_: context,
                timeout_keep_alive=_IDLE_S,
            )
            server = _DrainingServer(settled, injector)
            typer.echo(f"the webhook is on port {listener.getsockname()[1]}, over TLS")
            server.run(sockets=[listener])
    return 0 if server.started else 1


class _DrainingServer(Server):
    """Drains on SIGTERM: stops once the cluster has had time to call other replicas. A second
    SIGTERM, or SIGINT, stops it at once. The exit code is 0 then."""

    def __init__(self, config: uvicorn.Config, injector: Injector) -> None:
        super().__init__(config)
        self._injector = injector
        self._exit_at = math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGINT or self._injector.draining:
            self.should_exit = True
            return
        self._exit_at = time.monotonic() + _DRAIN_S
        self._injector.draining = True

    async def on_tick(self, counter: int) -> bool:
        """Checks the drain's deadline; uvicorn calls it ten times a second."""
        self.should_exit = self.should_exit or time.monotonic() > self._exit_at
        return await super().on_tick(counter)


def _listener(port: int) -> socket.socket:
    """Listens on every address, for both families where the pod has both."""
    try:
        try:
            return socket.create_server(
                ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
            )
        except OSError as e:
            if e.errno == errno.EADDRINUSE:
                raise
            return socket.create_server(("", port), backlog=_BACKLOG)
    except OSError as e:
        raise SettingError(
            f"TELEMOCK_INJECTOR_PORT is {port}, where this pod cannot listen: {e.strerror or e}\n\n"
            "hint: choose a free port above 1023"
        ) from None
