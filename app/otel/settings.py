"""What the OTEL_* variables ask for; they are taken as OpenTelemetry's specification has them.

Every process reads them once at its start. Times are milliseconds, as the specification says
(Python's SDK takes OTEL_EXPORTER_OTLP_TIMEOUT as seconds). An empty variable is an unset one.
No variable of a signal that is not exported is looked at.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import unquote, urlsplit

from app.contract.settings import SettingError

Signal = Literal["traces", "metrics", "logs"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)

DEFAULT_ENDPOINT = "http://localhost:4318"
SAMPLERS = (
    "always_on", "always_off", "traceidratio",
    "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
)  # fmt: skip
_COMPRESSIONS = ("none", "gzip", "deflate")
_TIMEOUT_MIN_MS = 100  # somebody who writes 10 means seconds
_MS_MAX = 24 * 3600 * 1000
_ITEMS_MAX = 1 << 20

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")  # what can stand in a header


@dataclass(frozen=True)
class Target:
    """Where a signal goes. Headers may be secrets: they stay out of the repr."""

    endpoint: str  # whole, with the signal's path
    headers: Mapping[str, str] = field(repr=False)
    timeout_s: float  # of one export with all its retries
    compression: str  # none, gzip or deflate
    certificate: str  # file names, "" for none
    client_certificate: str
    client_key: str

    @property
    def shown(self) -> str:
        """The endpoint as a log or an error may show it."""
        return shown(self.endpoint)


@dataclass(frozen=True)
class Batching:
    delay_s: float
    queue: int  # items that wait at most
    batch: int  # items of one request at most


@dataclass(frozen=True)
class Otel:
    traces: bool
    metrics: bool
    logs: bool
    targets: Mapping[Signal, Target]  # of the signals that are exported
    version: str  # telemock's
    resource: Mapping[str, str]
    sampler: str
    sampler_ratio: float
    spans: Batching
    records: Batching
    metric_interval_s: float


def read(
    environ: Mapping[str, str], *, service: str, version: str, resource: Mapping[str, str]
) -> Otel:
    """`service` names the process where the variables do not; they win over `resource` too.

    Raises SettingError, which names the variable; no value of a header stands in it.
    """
    given = _Given(environ)
    asked = {signal for signal in SIGNALS if given.asked(signal)}
    targets = {signal: given.target(signal) for signal in SIGNALS if signal in asked}
    traces = "traces" in asked
    sampler = given.choice("OTEL_TRACES_SAMPLER", SAMPLERS, "parentbased_always_on", traces)
    return Otel(
        traces=traces,
        metrics="metrics" in asked,
        logs="logs" in asked,
        targets=targets,
        version=version,
        resource=given.resource(service, version, resource) if asked else {},
        sampler=sampler,
        sampler_ratio=given.ratio() if sampler.endswith("traceidratio") else 1.0,
        spans=given.batching("OTEL_BSP", 5000, traces),
        records=given.batching("OTEL_BLRP", 1000, "logs" in asked),
        metric_interval_s=given.ms("OTEL_METRIC_EXPORT_INTERVAL", 60_000, "metrics" in asked),
    )


def shown(endpoint: str) -> str:
    """Without user, password and query, which may be secrets."""
    return re.sub(r"^([a-zA-Z0-9+.-]+://|)[^/?#]*@", r"\1***@", endpoint.partition("?")[0])


class _Given:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def _get(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    def _of(self, signal: Signal, option: str) -> tuple[str, str]:
        """The signal's own variable, else the general one: its name and value."""
        own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_{option}"
        value = self._get(own)
        if value:
            return own, value
        general = f"OTEL_EXPORTER_OTLP_{option}"
        return general, self._get(general)

    def asked(self, signal: Signal) -> bool:
        """Logs are a firehose and want to be asked for by name; the others by an endpoint."""
        if self.choice("OTEL_SDK_DISABLED", ("true", "false"), "false") == "true":
            return False
        name = f"OTEL_{signal.upper()}_EXPORTER"
        exporter = self._get(name).lower()
        if exporter not in ("", "otlp", "none"):
            raise _error(
                name, exporter, "otlp or none",
                "/metrics is always there for Prometheus; everything else goes through a Collector",
            )  # fmt: skip
        if exporter:
            return exporter == "otlp"
        return signal != "logs" and bool(self._of(signal, "ENDPOINT")[1])

    def target(self, signal: Signal) -> Target:
        self._protocol(signal)
        certificate = self._certificate(signal)
        client = self._client_certificate(signal)
        name, compression = self._of(signal, "COMPRESSION")
        if compression.lower() not in ("", *_COMPRESSIONS):
            raise _error(name, compression, " or ".join(_COMPRESSIONS), "leave it out for none")
        return Target(
            endpoint=self._endpoint(signal),
            headers=self._headers(signal),
            timeout_s=self._timeout(signal),
            compression=compression.lower() or "none",
            certificate=certificate,
            client_certificate=client[0],
            client_key=client[1],
        )

    def _protocol(self, signal: Signal) -> None:
        name, value = self._of(signal, "PROTOCOL")
        if value not in ("", "http/protobuf"):
            raise _error(
                name, value, "http/protobuf",
                f"set {name}=http/protobuf and the port for it, which Collectors have on 4318",
            )  # fmt: skip

    def _endpoint(self, signal: Signal) -> str:
        name, value = self._of(signal, "ENDPOINT")
        value = value or DEFAULT_ENDPOINT
        general = name == "OTEL_EXPORTER_OTLP_ENDPOINT"
        wanted = "a URL that starts with http:// or https://" + ", without a query" * general
        hint = f"for example {name}=http://collector.observability:4318"
        try:
            url = urlsplit(value)
            usable = url.scheme in ("http", "https") and url.hostname and url.port != 0
            usable = usable and not (general and (url.query or url.fragment))
        except ValueError:  # a port that is none, a bracket that is left open
            usable = False
        if not usable or not re.fullmatch(r"[\x21-\x7e]+", value):
            raise _error(name, shown(value), wanted, hint)
        if general:
            return f"{value.removesuffix('/')}/v1/{signal}"
        return value

    def _headers(self, signal: Signal) -> dict[str, str]:
        name, value = self._of(signal, "HEADERS")
        headers = {}
        for item in filter(None, (part.strip() for part in value.split(","))):
            key, equals, text = (unquote(part).strip() for part in item.partition("="))
            if not (equals and _TOKEN.fullmatch(key) and _VALUE.fullmatch(text)):
                raise SettingError(
                    f"{name} cannot be read; its value is not shown here, as it may be secret\n\n"
                    "hint: write name=value pairs with commas between, special characters "
                    "percent-encoded, such as authorization=Bearer%20abc"
                )
            headers[key.lower()] = text
        return headers

    def _timeout(self, signal: Signal) -> float:
        name, value = self._of(signal, "TIMEOUT")
        timeout = _number(name, value or "10000", _TIMEOUT_MIN_MS, _MS_MAX, "milliseconds") / 1000
        limit = {
            "traces": "OTEL_BSP_EXPORT_TIMEOUT",
            "metrics": "OTEL_METRIC_EXPORT_TIMEOUT",
            "logs": "OTEL_BLRP_EXPORT_TIMEOUT",
        }[signal]
        return min(timeout, self.ms(limit, 30_000))

    def _certificate(self, signal: Signal) -> str:
        name, value = self._of(signal, "CERTIFICATE")
        if value:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value)
            except OSError as e:  # SSLError is one
                raise _unreadable(name, value, "certificates in PEM", e) from None
        return value

    def _client_certificate(self, signal: Signal) -> tuple[str, str]:
        name, value = self._of(signal, "CLIENT_CERTIFICATE")
        _, key = self._of(signal, "CLIENT_KEY")
        if value:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(value, key or None, "")
            except OSError as e:
                raise _unreadable(name, value, "a certificate in PEM, with its key", e) from None
        return value, key

    def resource(self, service: str, version: str, given: Mapping[str, str]) -> dict[str, str]:
        attributes = {
            **{name: value for name, value in given.items() if value},
            "service.name": service,
            "service.version": version,
        }
        name = "OTEL_RESOURCE_ATTRIBUTES"
        for item in filter(None, (part.strip() for part in self._get(name).split(","))):
            key, equals, value = (unquote(part).strip() for part in item.partition("="))
            if not (key and equals):
                raise _error(
                    name, item, "name=value pairs with commas between",
                    "percent-encode a comma or an equals sign inside a value",
                )  # fmt: skip
            attributes[key] = value
        if self._get("OTEL_SERVICE_NAME"):
            attributes["service.name"] = self._get("OTEL_SERVICE_NAME")
        return attributes

    def ratio(self) -> float:
        name = "OTEL_TRACES_SAMPLER_ARG"
        value = self._get(name) or "1"
        try:
            ratio = float(value)
        except ValueError:
            ratio = -1
        if not 0 <= ratio <= 1:
            raise _error(name, value, "a number from 0 to 1", "0.1 keeps one trace in ten")
        return ratio

    def batching(self, prefix: str, delay_ms: int, checked: bool) -> Batching:
        queue = self._items(f"{prefix}_MAX_QUEUE_SIZE", 2048, checked)
        name = f"{prefix}_MAX_EXPORT_BATCH_SIZE"
        batch = self._items(name, min(512, queue), checked)
        if batch > queue:
            raise _error(name, str(batch), f"at most {prefix}_MAX_QUEUE_SIZE, {queue}", "lower it")
        return Batching(self.ms(f"{prefix}_SCHEDULE_DELAY", delay_ms, checked), queue, batch)

    def choice(
        self, name: str, allowed: tuple[str, ...], default: str, checked: bool = True
    ) -> str:
        value = self._get(name).lower() if checked else ""
        if value not in ("", *allowed):
            raise _error(name, value, " or ".join(allowed), f"leave it out for {default}")
        return value or default

    def ms(self, name: str, default: int, checked: bool = True) -> float:
        """Seconds."""
        value = self._get(name) if checked else ""
        return _number(name, value or str(default), 1, _MS_MAX, "milliseconds") / 1000

    def _items(self, name: str, default: int, checked: bool) -> int:
        value = self._get(name) if checked else ""
        return _number(name, value or str(default), 1, _ITEMS_MAX, "items")


def _number(name: str, value: str, least: int, most: int, unit: str) -> int:
    if not (value.isascii() and value.isdigit() and least <= int(value[:10]) <= most):
        raise _error(
            name, value, f"{unit}, a whole number from {least} to {most}",
            "leave it out for the default",
        )  # fmt: skip
    return int(value)


def _unreadable(name: str, value: str, wanted: str, error: OSError) -> SettingError:
    return _error(name, value, f"a file with {wanted} ({error.strerror or error})", "mount it")


def _error(name: str, value: str, wanted: str, hint: str) -> SettingError:
    return SettingError(f"{name} is {value!r}, expected {wanted}\n\nhint: {hint}")
