"""Settings of the injector's process, read from its environment: one table.

Read by `telemock injector`.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from app.contract import dummies
from app.contract.actions import MODES, MODES_WANTED
from app.contract.names import ANNOTATION_TRUST, PORT_APP, PORT_APP_TLS, PORT_INJECTOR
from app.contract.record import Workload
from app.contract.rules import RuleSet
from app.contract.settings import (
    LOG_FORMATS,
    LOG_LEVEL,
    Setting,
    SettingError,
    listed,
    one_of,
    port,
    read,
    some,
)
from app.inject import resources
from app.inject.annotations import wishes
from app.inject.selectors import as_text
from app.inject.settings import (
    REDIRECT_RESOURCES,
    REDIRECTS,
    RESOURCES,
    InjectSettings,
    SecretKey,
)
from app.otel.settings import Otel, resource_of
from app.otel.settings import read as read_otel
from app.settings import TLS_SECRET
from app.version import VERSION


def _trust(value: str) -> tuple[str, ...]:
    anything = InjectSettings(image="", app_url="", rules=RuleSet())
    if isinstance(wishes({ANNOTATION_TRUST: value}, anything), list):
        raise ValueError
    return listed(value)


def _object(value: str) -> dict[str, Any]:
    found = json.loads(value)
    if not isinstance(found, dict):
        raise ValueError
    return found


def _resources(container: str) -> Callable[[str], dict[str, Any]]:
    def parse(value: str) -> dict[str, Any]:
        try:
            return resources.parse(value, container)
        except ValueError as e:
            raise ValueError(f"resources of a container, as a JSON object: {e}") from None

    return parse


def _selector(value: str) -> str:
    try:
        return as_text(_object(value))
    except (KeyError, TypeError, AttributeError):
        raise ValueError from None


def _texts(value: str) -> dict[str, str]:
    found = _object(value)
    if not all(isinstance(v, str) for v in found.values()):
        raise ValueError
    return found


def _secret_key(value: str) -> SecretKey | None:
    name, _, key = value.partition("/")
    if value and not (name and key and "/" not in key):
        raise ValueError
    return SecretKey(name, key) if value else None


def _url(*schemes: str) -> Any:
    def parse(value: str) -> str:
        if value and not value.startswith(tuple(f"{s}://" for s in schemes)):
            raise ValueError
        return value.rstrip("/")

    return parse


SETTINGS = (
    Setting(
        "TELEMOCK_SIDECAR_IMAGE", "", str,
        "Image of the sidecar that pods get. Needed; the chart sets it.",
    ),
    Setting(
        "POD_NAMESPACE", "", str,
        "Namespace of the release. Needed; the chart sets it to the pod's own.",
    ),
    Setting(
        "POD_NAME", "", str,
        "Name of the injector's own pod, for Events and for what OpenTelemetry gets.",
    ),
    Setting("POD_UID", "", str, "Uid of the injector's own pod, for what OpenTelemetry gets."),
    Setting("NODE_NAME", "", str, "Node of the injector's own pod, for the same."),
    Setting(
        "TELEMOCK_FULLNAME", "telemock", str,
        "Name of the release's Service and, with endings, of its other objects.",
    ),
    Setting(
        "TELEMOCK_INJECTOR_PORT", str(PORT_INJECTOR), port,
        "Port of the webhook; 0 takes a free one.", "a port from 0 to 65535",
    ),
    LOG_LEVEL,
    Setting(
        "LOG_FORMAT", "text", one_of(*LOG_FORMATS),
        "How lines are written: text, or json with one object a line.", "text or json",
    ),
    TLS_SECRET,
    Setting(
        "TELEMOCK_PROFILES", "cribl", some,
        "Profiles that pods may get, comma separated: names of built-in ones, files or folders.",
        "at least one name",
    ),
    Setting(
        "TELEMOCK_APP_URL", "", _url("http"),
        "Where sidecars ask for answers; empty is the release's Service.", "an http:// URL",
    ),
    Setting(
        "TELEMOCK_API_URL", "", _url("https"),
        "Where sidecars get profiles and send captures; empty is the release's Service.",
        "an https:// URL",
    ),
    Setting(
        "TELEMOCK_MODE", "", one_of("", *MODES),
        "Replaces the action of every mock rule, unless the pod's annotation says otherwise; empty "
        "leaves the rules as they are.",
        MODES_WANTED,
    ),
    Setting(
        "TELEMOCK_INJECT_REDIRECT", "auto", one_of(*REDIRECTS),
        "How connections reach the sidecar, unless the pod's annotation says otherwise.",
        ", ".join(REDIRECTS),
    ),
    Setting(
        "TELEMOCK_INJECT_DUMMY_RANGES", dummies.DEFAULT, dummies.parse,
        "Ranges that pods get addresses for telemetry hosts from, as networks, comma separated: "
        "the first one of each family that no address in the pod's own specification lies in. They "
        "must not be in use in a pod's network.",
    ),
    Setting(
        "TELEMOCK_INJECT_TRUST", "", _trust,
        "Variables, or runtimes, that are set besides NODE_EXTRA_CA_CERTS, comma separated, unless "
        "the pod's annotation says otherwise.",
        "names of variables such as SSL_CERT_FILE, or of runtimes such as python",
    ),
    Setting(
        "TELEMOCK_INJECT_EGRESS_PROXY", "", str,
        "Proxy for the sidecars' connections to real hosts, http://[USER:PASSWORD@]HOST:PORT.",
    ),
    Setting(
        "TELEMOCK_INJECT_POD_SELECTOR", "{}", _selector,
        "Label selector, as a JSON object, of pods that opt in without a label of ours: to count "
        "those without a sidecar; the webhook has it too.",
        "a JSON object with matchLabels or matchExpressions",
    ),
    Setting(
        "TELEMOCK_INJECT_PULL_POLICY", "", one_of("", "Always", "IfNotPresent", "Never"),
        "When a node asks the registry for the sidecar's image; empty leaves it to Kubernetes.",
        "Always, IfNotPresent, Never or nothing",
    ),
    Setting(
        "TELEMOCK_INJECT_RESOURCES", json.dumps(RESOURCES), _resources("sidecar"),
        "CPU and memory of the sidecar, as in a container, unless the pod's annotation says "
        "otherwise.",
    ),
    Setting(
        "TELEMOCK_INJECT_REDIRECT_RESOURCES", json.dumps(REDIRECT_RESOURCES),
        _resources("redirect"), "The same of the init container telemock-redirect.",
    ),
    Setting(
        "TELEMOCK_INJECT_ENV", "{}", _texts,
        "More environment of the sidecar, such as OTEL_EXPORTER_OTLP_ENDPOINT, as a JSON object.",
        "a JSON object of texts",
    ),
    Setting(
        "TELEMOCK_INJECT_OTEL_HEADERS", "", _secret_key,
        "Entry of a Secret that sidecars take OTEL_EXPORTER_OTLP_HEADERS from, as NAME/KEY: of "
        "their pod's own namespace, and without it they send none.",
        "NAME/KEY or nothing",
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The injector's settings. `inject` lacks what changes at run time: the rules and the CA."""

    port: int
    log_level: str
    log_format: str
    fullname: str
    pod_namespace: str
    pod_name: str
    tls_secret: str
    profiles: tuple[str, ...]
    pod_selector: str  # of a list, "" for none
    otel: Otel
    inject: InjectSettings


def load(environ: Mapping[str, str] | None = None) -> Environment:
    """Reads `environ`; None means the process's environment. Raises SettingError."""
    environ = os.environ if environ is None else environ
    values = read(SETTINGS, environ)
    for name in ("TELEMOCK_SIDECAR_IMAGE", "POD_NAMESPACE"):
        if not values[name]:
            raise SettingError(
                f"{name} is empty\n\nhint: the injector runs in a cluster, where the chart sets it"
            )
    proxy = values["TELEMOCK_INJECT_EGRESS_PROXY"]
    if proxy and not _is_proxy(proxy):  # not shown: it may hold a password
        raise SettingError(
            "TELEMOCK_INJECT_EGRESS_PROXY is no proxy's URL\n\n"
            "hint: write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"
        )
    service = f"{values['TELEMOCK_FULLNAME']}.{values['POD_NAMESPACE']}.svc"
    pod_name = values["POD_NAME"] or "telemock-injector"
    pod = Workload(values["POD_NAMESPACE"], pod_name, values["POD_UID"], values["NODE_NAME"])
    return Environment(
        port=values["TELEMOCK_INJECTOR_PORT"],
        log_level=values["LOG_LEVEL"],
        log_format=values["LOG_FORMAT"],
        fullname=values["TELEMOCK_FULLNAME"],
        pod_namespace=values["POD_NAMESPACE"],
        pod_name=pod_name,
        tls_secret=values["TELEMOCK_TLS_SECRET"],
        profiles=values["TELEMOCK_PROFILES"],
        pod_selector=values["TELEMOCK_INJECT_POD_SELECTOR"],
        otel=read_otel(
            environ,
            service="telemock-injector",
            version=VERSION,
            resource=resource_of(pod, "injector", ""),
        ),
        inject=InjectSettings(
            image=values["TELEMOCK_SIDECAR_IMAGE"],
            pull_policy=values["TELEMOCK_INJECT_PULL_POLICY"],
            app_url=values["TELEMOCK_APP_URL"] or f"http://{service}:{PORT_APP}",
            api_url=values["TELEMOCK_API_URL"] or f"https://{service}:{PORT_APP_TLS}",
            rules=RuleSet(),
            mode=values["TELEMOCK_MODE"],
            redirect=values["TELEMOCK_INJECT_REDIRECT"],
            trust=values["TELEMOCK_INJECT_TRUST"],
            dummy_ranges=values["TELEMOCK_INJECT_DUMMY_RANGES"],
            egress_proxy=proxy,
            resources=values["TELEMOCK_INJECT_RESOURCES"],
            redirect_resources=values["TELEMOCK_INJECT_REDIRECT_RESOURCES"],
            env=values["TELEMOCK_INJECT_ENV"],
            otel_headers=values["TELEMOCK_INJECT_OTEL_HEADERS"],
        ),
    )


def _is_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.scheme == "http" and parts.hostname and parts.port)
    except ValueError:
        return False
