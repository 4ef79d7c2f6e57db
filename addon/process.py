"""Makes all parts of a sidecar process from its options, and starts and stops them in order.

Used by `addon.proxy`.
"""

import asyncio
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from addon.app_client.client import TROUBLES, AppApi
from addon.app_client.profiles import Profiles, built_in, closed
from addon.arrive import loopback
from addon.arrive.proof import QUIC_REFUSED, QuicRefused, unreachables_sent
from addon.arrive.splice import IDLE_SECONDS
from addon.diagnostics import health as health_server
from addon.diagnostics.metrics import Measure
from addon.diagnostics.spans import Spans
from addon.options import Options, version
from addon.record.logs import LogHandler, install
from addon.record.ship import Shipper
from addon.target.dns import is_local
from addon.tls import ca
from addon.tls.constraints import Constraints, constraints, hosts_of
from addon.wiring import Wiring
from app.contract import presence, state
from app.contract.actions import FORWARDED
from app.contract.canary.spec import Spec
from app.contract.dummies import with_ports
from app.contract.faults import FAULTS
from app.contract.files import tighten, write_whole
from app.contract.metrics import METRICS
from app.contract.names import DIR_SPOOL, HEADER_PRESENCE
from app.contract.presence import UNLED, Presence
from app.contract.record import CaptureRecord, bracketed
from app.contract.rules import Bundle, RuleSet
from app.contract.settings import SettingError
from app.otel.export import Exporter
from app.otel.metrics import Metrics

_FIRST_S = 1.0  # for which the first start waits for the app's profiles
EXPORT_S = 2.0  # for the last spans and metrics, after the records

log = logging.getLogger(__name__)

FILE_SIDECAR = "sidecar.json"  # a running sidecar's addresses, in TELEMOCK_DATA


class Process:
    """Raises OSError if a directory or file cannot be made or read, SettingError."""

    def __init__(self, options: Options, bundle: Bundle | None = None) -> None:
        _check_rehearsal(options)
        state.make(options.data)
        tighten(options.data / DIR_SPOOL, ("*",))
        self.options = options
        self._troubles: dict[str, str] = {}  # of the last exchange, by the API's path
        self._began_ns = time.time_ns()
        self.metrics = _metrics(options.redirected)
        api = AppApi(
            options.api_url,
            token_reader(options.token_file),
            options.api_tls,
            self._app_answers_with,
            self._presence,
        )
        bundle = built_in() if bundle is None else bundle
        ca.ensure(options.ca_dir, options.trust_dir, _signed(options, bundle, api))
        self._claim = ca.claim(options.ca_dir)
        self.authority = ca.held(options.ca_dir)
        self.options = options = options.counted_from(ca.born(options.ca_dir))
        self._ipv6 = is_local("::1")
        self.upstream_list = ca.upstream_list(options.ca_dir, options.upstream_ca)
        self.exporter = Exporter(options.otel, self.metrics)
        self.profiles = Profiles(
            api,
            closed(bundle, options.stands_for.values(), options.mode),
            self._profiles_changed,
            options.boot,
            lambda metric, label: self.metrics.add(metric, (label,)),
            options.rehearsed,
        )
        self._measure = Measure(self.metrics, lambda: self.profiles.rules)
        self._measure.begin()
        self.shipper = Shipper(
            directory=options.data / DIR_SPOOL,
            api=api,
            masker=lambda: self.profiles.masker,
            spool_size=options.spool_size,
            stdout=sys.stdout.buffer if sys.stdout else None,
            metrics=self.metrics,
            measure=self._measure,
            spans=Spans(self.exporter, lambda: self.profiles.masker, options.app_url)
            if self.exporter.traces
            else None,
            boot=options.boot,
            search=_search(options.canary, lambda: self.profiles.rules),
        )
        self.wiring = Wiring(options, self.profiles, self.shipper, self.metrics, self.authority)
        self._log_handler: LogHandler | None = None
        self._started = time.monotonic()
        self._health: asyncio.Server | None = None
        self._state = "starting"

    def mitmproxy_options(self) -> dict[str, Any]:
        """mitmproxy's options; each of its defaults that is changed here hurts in a pod."""
        options = self.options
        modes = [
            f"gate@{e.address}:{e.port}"
            for e in options.transparent
            if self._ipv6 or ":" not in e.address
        ]
        modes += [f"loopback@{address}:{port}" for address, port in self._loopback]
        if options.explicit is not None:
            modes.append(f"regular@{options.explicit.address}:{options.explicit.port}")
        return {
            "mode": modes,
            "confdir": str(options.ca_dir),
            "ssl_verify_upstream_trusted_ca": str(self.upstream_list),
            "connection_strategy": "lazy",  # eager calls the real host before the mock answers
            "upstream_cert": False,
            "rawtcp": True,
            "store_streamed_bodies": False,
            "tcp_timeout": IDLE_SECONDS,  # ten minutes would cut other people's idle connections
        }

    @property
    def _loopback(self) -> list[tuple[str, int]]:
        hosts = self.options.loopback
        return loopback.addresses(hosts, self.options.ports, ipv6=self._ipv6) if hosts else []

    def start(self) -> None:
        """From now on every log line is masked, and goes to standard error and to the app."""
        self._log_handler = LogHandler(
            self.shipper,
            lambda: self.profiles.masker,
            self.options.workload,
            self.metrics,
            sys.stderr.buffer if sys.stderr else None,
            self.options.log_format == "json",
        )
        install(self._log_handler, self.options.log_level)
        self._say_restarts()
        self.exporter.start()
        self.shipper.start()
        self.profiles.start()

    def _say_restarts(self) -> None:
        times, why = self.options.restarted
        if times:
            self.metrics.add("telemock.sidecar.restarts", (), times)
            log.warning("started again in this container (%d): the process before %s", times, why)

    async def serve(self) -> None:
        """Serves health and metrics, once the proxy listens; then the sidecar is ready.

        Raises OSError for an address in use, and if connections do not arrive here.
        """
        health = self.options.health
        self._health = await health_server.serve(
            health.address,
            health.port,
            self.metrics,
            self.health,
            self.ready,
            self.options.health_hosts,
        )
        await loopback.prove(self._loopback)
        await self._first_profiles()
        self._state = ""
        proxy = written(self.wiring.server.addresses())
        where = written(s.getsockname()[:2] for s in self._health.sockets)
        said = json.dumps({"pid": os.getpid(), "proxy": proxy, "health": where})
        try:
            write_whole(self.options.data / FILE_SIDECAR, [said.encode() + b"\n"])
        except OSError as e:  # a full disk: no reason not to start
            log.warning("%s cannot be written: %s", FILE_SIDECAR, e.strerror)
        if not self._ipv6 and (self.options.loopback or self.options.transparent):
            log.info("there is no IPv6 here: nothing listens on it")
        self._look_at_authority()
        log.info("proxy on %s, health on %s", ", ".join(proxy), ", ".join(where))

    async def _first_profiles(self) -> None:
        """Waits for those of the hosts that lead here; an app that is down must not delay a pod."""
        until = time.monotonic() + _FIRST_S
        while self.profiles.awaited and time.monotonic() < until:  # noqa: ASYNC110 - once
            await asyncio.sleep(0.02)
        if hosts := self.profiles.awaited:
            forwarded = self.options.mode in FORWARDED
            log.warning(
                "the app has not sent the profile of %s: until then requests are %s",
                ", ".join(hosts),
                "forwarded" if forwarded else "refused",
            )

    def stopping(self) -> None:
        self._state = "stopping"

    async def drain(self, until: Callable[[], float]) -> None:
        """Waits for the open exchanges, at most until `until()` of the loop's clock."""
        loop = asyncio.get_running_loop()
        # Polled, as an event would be used once in a life; and `until` may change.
        while self.wiring.exchanges.in_flight and loop.time() < until():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        self.wiring.end()

    def stop(self) -> int:
        """Sends the spool, for a bounded time; returns the number of records left on disk.

        A failed start waits for nothing.
        """
        if self._health is not None:
            self._health.close()
        self.profiles.stop()
        patience = 0 if self._state == "starting" else self.options.shutdown_seconds
        left = self.shipper.close(patience)
        self.exporter.close(min(patience, EXPORT_S))
        if self._log_handler is not None:
            self._log_handler.close()
        self._claim.close()
        return left

    def health(self) -> dict[str, Any]:
        shipper = self.shipper.stats()
        return {
            "status": self._state or ("degraded" if shipper["spool_error"] else "ok"),
            "uptime_s": round(time.monotonic() - self._started, 3),
            "version": version(),
            "mode": self.options.mode or "",
            "boot": self.shipper.boot,
            "restarts": self.options.restarted.times,
            "proxy": written(self.wiring.server.addresses()),
            "in_flight": self.wiring.exchanges.in_flight,
            "profiles": self.profiles.state(),
            "shipper": shipper,
            "authority": self._authority(),
            "otel": self.exporter.state()
            | {"dropped": int(self.metrics.total("telemock.otlp.dropped"))},
        }

    def _authority(self) -> dict[str, Any]:
        missing = self.authority.missing(hosts_of(self.profiles.rules)) if self._opens_all else []
        return {"until": self.authority.until.isoformat(), "not_covered": missing}

    @property
    def _opens_all(self) -> bool:
        """True if connections may come to any host of the profiles, not only to those named."""
        return self.options.explicit is not None or self.options.all_until is not None

    def _look_at_authority(self) -> None:
        """Now and daily: all clients at once refuse a certificate that has expired."""
        if self.authority.is_near_its_end:
            log.warning(
                "the certificate authority of this sidecar ends on %s; hint: restart the pod, "
                "which makes a new one",
                f"{self.authority.until:%Y-%m-%d}",
            )
        asyncio.get_running_loop().call_later(86_400, self._look_at_authority)

    def _presence(self) -> dict[str, str]:
        options = self.options
        said = Presence(
            form=options.form,
            mode=options.mode or "",
            began_ns=self._began_ns,
            # Of `telemock run` the counter would be the whole machine's.
            quic_refused=unreachables_sent() if options.redirected and not options.run else 0,
            unled=self._unled(),
        )
        return {HEADER_PRESENCE: presence.encode(said)}

    def _unled(self) -> str:
        """Ports of redirected hosts that the profiles name since, for `Presence`."""
        options = self.options
        if options.run or "profiles" not in vars(self):  # which are asked for the first time
            return ""
        rules = self.profiles.rules
        lacking = {
            host: sorted(rules.ports_of(host).difference(options.ports.get(host, ())))
            for host in dict.fromkeys(options.stands_for.values())
        }
        return with_ports(lacking)[:UNLED]

    def ready(self) -> str:
        return self._state

    def _app_answers_with(self, path: str, trouble: str) -> None:
        """The trouble of each path counts: the app may serve profiles, and yet take no records."""
        self._troubles[path] = trouble
        for each in TROUBLES:
            self.metrics.set("telemock.app.trouble", each in self._troubles.values(), (each,))

    def _profiles_changed(self, failed: bool) -> None:
        if not failed and (missing := self._authority()["not_covered"]):
            log.warning(
                "the certificate authority of this sidecar may not sign for %s, which a profile "
                "names since: clients will refuse; hint: restart the pod, or the sidecar and its "
                "clients",
                ", ".join(missing),
            )
        self.metrics.set("telemock.profiles.reload_failed", failed)
        self._measure.begin()


def _signed(options: Options, bundle: Bundle, api: AppApi) -> Constraints:
    """The hosts that the authority may sign for: those whose addresses lead here, and all of the
    app's profiles if others come too."""
    named = set(options.stands_for.values())
    if options.explicit is not None or options.all_until is not None or not named:
        asked = Profiles(api, bundle)
        # Only so that the first start knows them: an app that is down must not delay it.
        thread = threading.Thread(target=asked.try_once, name="first-profiles", daemon=True)
        thread.start()
        thread.join(_FIRST_S)
        named |= hosts_of(bundle.rules) | hosts_of(asked.rules)
    return constraints(named, options.stands_for)


def _search(
    spec: Spec | None, rules: Callable[[], RuleSet]
) -> Callable[[CaptureRecord], None] | None:
    if spec is None:
        return None
    from app.contract.canary.search import Search  # who looks for nothing does not load it

    return Search(spec, rules).record


def _check_rehearsal(options: Options) -> None:
    """Raises SettingError."""
    found = options.rehearsed
    if found and found.fails and not options.redirected:
        raise SettingError(
            f"TELEMOCK_REHEARSE is {found.fault}, which meets connections that a redirect brings, "
            "and there is none\n\n"
            f"hint: set TELEMOCK_TRANSPARENT or TELEMOCK_LOOPBACK, or one of {', '.join(FAULTS)}"
        )


def _metrics(redirected: bool) -> Metrics:
    """Without the redirect's metrics if there is no redirect."""
    if not redirected:
        return Metrics("sidecar", [row.name for row in METRICS if ".redirect." in row.name])
    metrics = Metrics("sidecar", [QUIC_REFUSED.name])
    metrics.registry.register(QuicRefused())
    return metrics


def written(addresses: Iterable[tuple[str, int]]) -> list[str]:
    """Addresses as HOST:PORT, with brackets around IPv6."""
    return [f"{bracketed(host)}:{port}" for host, port in addresses]


def token_reader(path: Path) -> Callable[[], str]:
    """Reads the token anew each time: a cluster replaces it while we run. "" without a token.
    Raises OSError for one that cannot be read."""

    def read() -> str:
        try:
            return path.read_text().strip()
        except FileNotFoundError:  # the app has not made it yet
            return ""

    return read
