"""Runs mitmproxy as a library, with only the stock addons that are needed, and ours.

Called by `python -m addon`.
"""

import asyncio
import gc
import signal
import sys

import addon.mitm.imports  # noqa: F401 - before any of mitmproxy's addons

# isort: split
from mitmproxy import options as mitmproxy_options
from mitmproxy.addons import core, next_layer
from mitmproxy.master import Master as BaseMaster

from addon.mitm.hooks import Hooks
from addon.options import Options
from addon.process import Process
from addon.supervisor import CANNOT_START
from app.contract.cores import allow_files, no_core_dumps
from app.contract.rules import Bundle
from app.contract.settings import SettingError


class Master(BaseMaster):
    """Keeps no flow, prints nothing, and lacks `block_global`, which would refuse IPv6 clients."""

    def __init__(self, process: Process) -> None:
        super().__init__(mitmproxy_options.Options())
        # It copies every log line into a hook that no addon of ours has.
        self._legacy_log_events.uninstall()
        self.addons = Hooks(self)
        self.process = process
        wiring = process.wiring
        self.server, self.contexts = wiring.server, wiring.contexts
        self.failure = ""
        self.deadline = 0.0  # of the loop's clock, for open exchanges once we are stopped
        self.addons.add(  # type: ignore[no-untyped-call]
            wiring.sidecar,
            core.Core(),
            self.server,
            next_layer.NextLayer(),
            self.contexts,
            self.contexts.tls_config,
        )
        self.options.update(**process.mitmproxy_options())

    async def running(self) -> None:
        """Called once the listeners are up, or have failed."""
        for instance in self.server.servers:
            if (error := instance.last_exception) is not None:
                hint = _PORTS_HINT if isinstance(error, PermissionError) else _HINT
                self.failure = f"{error}\n\nhint: {hint}"
        if not self.failure:
            try:
                await self.process.serve()
            except OSError as e:
                self.failure = str(e)
        if self.failure:
            await self.server.servers.update([])
            self.should_exit.set()
            return
        rules = self.process.profiles.rules
        named = (host.name for p in rules.profiles for host in p.hosts if not host.suffix)
        self.contexts.prepare(named)
        await super().running()
        # Objects made up to here live on: the collector need not scan them again and again.
        gc.collect()
        gc.freeze()

    async def stop(self) -> None:
        """Accepts no new connection, waits for open exchanges, then ends `run`."""
        self.process.stopping()
        await self.server.servers.update([])
        await self.process.drain(lambda: self.deadline)
        self.should_exit.set()


_HINT = "stop the other process, or set MITM_PORT or TELEMOCK_TRANSPARENT to a free port"
_PORTS_HINT = (
    "ports under 1024 need root, or the sysctl net.ipv4.ip_unprivileged_port_start=0 in the pod"
)


async def _run(process: Process) -> int:
    loop = asyncio.get_running_loop()
    master = Master(process)
    stopping: list[asyncio.Task[None]] = []

    def on_signal() -> None:
        # A second signal ends the wait.
        master.deadline = loop.time() + (0 if stopping else process.options.shutdown_seconds)
        if not stopping:
            stopping.append(loop.create_task(master.stop()))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    process.start()
    try:
        await master.run()
    finally:
        left = await asyncio.to_thread(process.stop)
    if master.failure:
        print(f"error: {master.failure}", file=sys.stderr)
        return CANNOT_START
    if left:
        print(f"{left} records stay in the spool for the next start", file=sys.stderr)
    return 0


def run(options: Options, bundle: Bundle | None = None) -> int:
    """Runs the sidecar until SIGTERM or SIGINT; returns its exit code. `bundle` replaces the
    built-in one."""
    no_core_dumps()
    try:
        process = Process(options, bundle)
    except SettingError as e:
        print(f"error: {e}", file=sys.stderr)
        return CANNOT_START
    except OSError as e:
        print(
            f"error: {e.filename or options.data}: {e.strerror or e}\n\n"
            "hint: TELEMOCK_DATA, TELEMOCK_CA_DIR and TELEMOCK_TRUST_DIR must be directories that "
            "can be written",
            file=sys.stderr,
        )
        return CANNOT_START
    allow_files()
    return asyncio.run(_run(process))
