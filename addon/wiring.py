"""Makes the parts of one sidecar, and gives each the parts that it needs.

Used by `addon.process`, and by tests with a shipper of their own.
"""

from mitmproxy import platform

from addon.app_client.profiles import Profiles
from addon.arrive import loopback
from addon.arrive.accept import Gate
from addon.arrive.direct import Direct
from addon.arrive.memory import Memory
from addon.arrive.prefaces import Prefaces
from addon.connections import Connections
from addon.exchange.app_pool import Pool
from addon.exchange.routing import Router
from addon.exchanges import Exchanges
from addon.mitm import layers
from addon.mitm.contexts import Contexts
from addon.mitm.modes import ProxyServer
from addon.options import Options
from addon.record.capture import Capture
from addon.record.ship import Shipper
from addon.sidecar import Sidecar
from addon.target.dns import Destinations
from addon.tls.ca import Held
from app.otel.metrics import Metrics
from app.otel.sampling import Sampler


class Wiring:
    """`authority` is the CA whose certificates clients are shown."""

    def __init__(
        self,
        options: Options,
        profiles: Profiles,
        shipper: Shipper,
        metrics: Metrics,
        authority: Held | None = None,
    ) -> None:
        sampler = Sampler(options.otel) if options.otel.traces else None
        prefaces = Prefaces(options.run) if options.run else None
        if prefaces is not None and options.transparent:
            platform.original_addr = prefaces.original_addr
        capture = Capture(options.workload, options.mode, options.body_cap, prefaces)
        self._pool = Pool(*options.app_address)
        router = Router(self._pool)
        self.exchanges = Exchanges(options, profiles, shipper, capture, sampler, router)
        memory = Memory(options.bounds, metrics)
        dns = Destinations(
            options.resolve, options.stands_for, lambda: self.server.addresses(),
            loopback.of_ports(options.loopback, options.ports),
        )  # fmt: skip
        self.connections = Connections(
            options, profiles, shipper, metrics, capture, sampler, self.exchanges, memory, dns,
            authority, lambda client: self.server.io(client),
        )  # fmt: skip
        self.contexts = Contexts()
        self.direct = Direct(
            self.connections, self.contexts.of, self.contexts.leave, self.exchanges, memory
        )
        self._gate = Gate(self.connections, dns, self.direct, prefaces)
        self.server = ProxyServer(self._gate)
        self.sidecar = Sidecar(
            options, shipper, capture, router, self.exchanges, self.connections, self.server.close
        )
        layers.install(options.bounds, self.connections)

    def end(self) -> None:
        """Records all that is open; called once, when the time to drain is over."""
        self.exchanges.end()
        self._gate.end()
        self.connections.end()
        self._pool.close()
