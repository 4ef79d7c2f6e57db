"""Checks the OTEL_* variables at the start, and determines which signals they ask for.

OpenTelemetry's SDK reads the variables itself (`app.otel.sdk`); but for a value that it cannot use
it logs a line, takes a default or raises in the middle of its set-up. Here such a value stops the
start with a sentence. Where the SDK departs from the specification, `Otel.environ` holds the
variables in the SDK's form: times are milliseconds, an empty variable is an unset one, and a small
queue means small batches.

Variables of a signal that is not exported are ignored.
"""

import importlib.util
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import unquote, urlsplit

from app.contract.record import Workload
from app.contract.settings import SettingError

Signal = Literal["traces", "metrics", "logs"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)

DEFAULT_ENDPOINT = "http://localhost:4318"
GRPC = "opentelemetry-exporter-otlp-proto-grpc"
SAMPLERS = (
    "always_on", "always_off", "traceidratio",
    "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
)  # fmt: skip
_COMPRESSIONS = ("none", "gzip", "deflate")
_PREFIXES = {"traces": "OTEL_BSP", "metrics": "OTEL_METRIC", "logs": "OTEL_BLRP"}
_TIMEOUT_MIN_MS = 100  # somebody who writes 10 means seconds
_MS_MAX = 24 * 3600 * 1000
_ITEMS_MAX = 1 << 20

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")  # characters that a header may hold


@dataclass(frozen=True)
class Otel:
    """The checked settings. `environ` may hold secrets: it stays out of the repr."""

    endpoints: Mapping[Signal, str]  # URLs of the exported signals, without secrets
    grpc: frozenset[Signal]  # signals that are exported by gRPC
    queues: Mapping[Signal, int]  # most items that wait
    metric_interval_s: float
    resource: Mapping[str, str]  # attributes; the variables win over them
    version: str  # telemock's
    environ: Mapping[str, str] = field(repr=False)

    @property
    def traces(self) -> bool:
        return "traces" in self.endpoints

    @property
    def metrics(self) -> bool:
        return "metrics" in self.endpoints

    @property
    def logs(self) -> bool:
        return "logs" in self.endpoints


def read(
    environ: Mapping[str, str], *, service: str, version: str, resource: Mapping[str, str]
) -> Otel:
    """Checks the variables. `service` is the default name of the process.

    Raises SettingError, which names the variable but quotes no header's value.
    """
    given = _Given(environ)
    asked = [signal for signal in SIGNALS if given.asked(signal)]
    resource = {"service.name": service, "service.version": version, **resource}
    if asked:
        given.check_resource_and_limits()
    if "traces" in asked:
        given.check_sampler()
    return Otel(
        endpoints={signal: shown(given.checked(signal)) for signal in asked},
        grpc=frozenset(signal for signal in asked if given.is_grpc(signal)),
        queues={signal: given.queue(signal) for signal in asked if signal != "metrics"},
        metric_interval_s=given.interval_s("metrics" in asked),
        resource={name: value for name, value in resource.items() if value},
        version=version,
        environ=given.environ,
    )


def resource_of(pod: Workload, container: str, boot: str) -> dict[str, str]:
    """This process in OpenTelemetry's names: its pod and container, on a laptop its start."""
    if not pod.namespace or not pod.pod:
        return {"service.instance.id": boot}
    return {
        "k8s.namespace.name": pod.namespace,
        "k8s.pod.name": pod.pod,
        "k8s.pod.uid": pod.uid,
        "k8s.node.name": pod.node,
        "k8s.container.name": container,
        "service.instance.id": f"{pod.namespace}.{pod.pod}.{container}",
    }


def shown(endpoint: str) -> str:
    """Removes user, password and query, which may be secrets."""
    return re.sub(r"^([a-zA-Z0-9+.-]+://|)[^/?#]*@", r"\1***@", endpoint.partition("?")[0])


class _Given:
    """`environ` starts as the variables that are set, and becomes what the SDK accepts."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        stripped = ((name, value.strip()) for name, value in environ.items())
        self.environ = {n: value for n, value in stripped if n.startswith("OTEL_") and value}

    def _get(self, name: str) -> str:
        return self.environ.get(name, "")

    def _of(self, signal: Signal, option: str) -> tuple[str, str]:
        """Name and value of the signal's own variable, else of the general one."""
        own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_{option}"
        name = own if own in self.environ else f"OTEL_EXPORTER_OTLP_{option}"
        return name, self._get(name)

    def asked(self, signal: Signal) -> bool:
        """True if it is on: logs are a firehose and need their variable, others an endpoint."""
        if self._choice("OTEL_SDK_DISABLED", ("true", "false"), "false") == "true":
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

    def checked(self, signal: Signal) -> str:
        """Checks the signal's endpoint and returns its whole URL."""
        self._check_protocol(signal)
        self._check_headers(signal)
        self._check_certificates(signal)
        name, compression = self._of(signal, "COMPRESSION")
        if compression.lower() not in ("", *_COMPRESSIONS):
            raise _error(name, compression, " or ".join(_COMPRESSIONS), "leave it out for none")
        name, timeout = self._of(signal, "TIMEOUT")
        ms = _number(name, timeout or "10000", _TIMEOUT_MIN_MS, _MS_MAX, "milliseconds")
        ms = min(ms, self._ms(f"{_PREFIXES[signal]}_EXPORT_TIMEOUT", 30_000))
        self.environ[f"OTEL_EXPORTER_OTLP_{signal.upper()}_TIMEOUT"] = f"{ms / 1000}"
        return self._endpoint(signal)

    def is_grpc(self, signal: Signal) -> bool:
        return self._of(signal, "PROTOCOL")[1] == "grpc"

    def _check_protocol(self, signal: Signal) -> None:
        name, value = self._of(signal, "PROTOCOL")
        hint = f"set {name}=http/protobuf and the port for it, which Collectors have on 4318"
        if value not in ("", "http/protobuf", "grpc"):
            raise _error(name, value, "http/protobuf", hint)
        if value == "grpc" and not _has_grpc():
            wanted = f"http/protobuf, as {GRPC} is not installed"
            raise _error(name, value, wanted, f"{hint}, or install it")

    def _endpoint(self, signal: Signal) -> str:
        name, value = self._of(signal, "ENDPOINT")
        value = value or DEFAULT_ENDPOINT
        general = name == "OTEL_EXPORTER_OTLP_ENDPOINT"
        usable = False
        with suppress(ValueError):  # an invalid port, an open bracket
            url = urlsplit(value)
            usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
            usable = usable and not (general and (url.query or url.fragment))
        if not usable or not re.fullmatch(r"[\x21-\x7e]+", value):
            wanted = "a URL that starts with http:// or https://" + ", without a query" * general
            hint = f"for example {name}=http://collector.observability:4318"
            raise _error(name, shown(value), wanted, hint)
        if general and not self.is_grpc(signal):
            return f"{value.removesuffix('/')}/v1/{signal}"
        return value

    def _check_headers(self, signal: Signal) -> None:
        name, value = self._of(signal, "HEADERS")
        for key, equals, text in _pairs(value):
            key, text = unquote(key).strip(), unquote(text).strip()
            if not (equals and _TOKEN.fullmatch(key) and _VALUE.fullmatch(text)):
                raise SettingError(
                    f"{name} cannot be read; its value is not shown here, as it may be secret\n\n"
                    "hint: write name=value pairs with commas between, special characters "
                    "percent-encoded, such as authorization=Bearer%20abc"
                )

    def _check_certificates(self, signal: Signal) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        name, value = self._of(signal, "CERTIFICATE")
        wanted = "certificates in PEM"
        try:
            if value:
                context.load_verify_locations(value)
            name, value = self._of(signal, "CLIENT_CERTIFICATE")
            wanted = "a certificate in PEM, with its key"
            if value:
                context.load_cert_chain(value, self._of(signal, "CLIENT_KEY")[1] or None, "")
        except OSError as e:  # SSLError is one
            wanted = f"a file with {wanted} ({e.strerror or e})"
            raise _error(name, value, wanted, "mount it") from None

    def check_resource_and_limits(self) -> None:
        name = "OTEL_RESOURCE_ATTRIBUTES"
        for key, equals, value in _pairs(self._get(name)):
            if not (key.strip() and equals):
                raise _error(
                    name, f"{key}{equals}{value}", "name=value pairs with commas between",
                    "percent-encode a comma or an equals sign inside a value",
                )  # fmt: skip
        for name, value in self.environ.items():
            if name.endswith("_LIMIT"):
                _number(name, value, 0, _ITEMS_MAX, "items")

    def check_sampler(self) -> None:
        sampler = self._choice("OTEL_TRACES_SAMPLER", SAMPLERS, "parentbased_always_on")
        if sampler.endswith("traceidratio"):
            name = "OTEL_TRACES_SAMPLER_ARG"
            value = self._get(name) or "1"
            ratio = -1.0
            with suppress(ValueError):
                ratio = float(value)
            if not 0 <= ratio <= 1:
                raise _error(name, value, "a number from 0 to 1", "0.1 keeps one trace in ten")

    def queue(self, signal: Signal) -> int:
        prefix = _PREFIXES[signal]
        self._ms(f"{prefix}_SCHEDULE_DELAY", 5000)
        queue = self._items(f"{prefix}_MAX_QUEUE_SIZE", 2048)
        name = f"{prefix}_MAX_EXPORT_BATCH_SIZE"
        batch = self._items(name, min(512, queue))
        if batch > queue:
            raise _error(name, str(batch), f"at most {prefix}_MAX_QUEUE_SIZE, {queue}", "lower it")
        self.environ[name] = str(batch)
        return queue

    def interval_s(self, checked: bool) -> float:
        default = 60_000
        return (self._ms("OTEL_METRIC_EXPORT_INTERVAL", default) if checked else default) / 1000

    def _choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self._get(name).lower()
        if value not in ("", *allowed):
            raise _error(name, value, " or ".join(allowed), f"leave it out for {default}")
        return value or default

    def _ms(self, name: str, default: int) -> int:
        return _number(name, self._get(name) or str(default), 1, _MS_MAX, "milliseconds")

    def _items(self, name: str, default: int) -> int:
        return _number(name, self._get(name) or str(default), 1, _ITEMS_MAX, "items")


def _pairs(value: str) -> Iterator[tuple[str, str, str]]:
    """Splits at commas into name, equals sign and value."""
    return (item.partition("=") for item in value.split(",") if item.strip())


def _has_grpc() -> bool:
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.grpc") is not None
    except ModuleNotFoundError:  # the package around it is missing too
        return False


def _number(name: str, value: str, least: int, most: int, unit: str) -> int:
    if not (value.isascii() and value.isdigit() and least <= int(value[:10]) <= most):
        raise _error(
            name, value, f"{unit}, a whole number from {least} to {most}",
            "leave it out for the default",
        )  # fmt: skip
    return int(value)


def _error(name: str, value: str, wanted: str, hint: str) -> SettingError:
    return SettingError(f"{name} is {value!r}, expected {wanted}\n\nhint: {hint}")
