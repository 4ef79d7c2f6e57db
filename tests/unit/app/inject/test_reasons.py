"""Every reason of the table is given for a pod, and told in its sentence."""

from collections.abc import Callable
from typing import Any

import pytest

from app.contract import names
from app.contract.dummies import NETWORKS
from app.contract.rules import Host, Profile, RuleSet
from app.inject import Injection, NamespaceFacts, inject
from app.inject.reasons import REASONS, of, reason
from tests.unit.app.inject.test_limits import limit_range, quota
from tests.unit.app.inject.test_pod import extra, pod, settings, with_meta

DISABLED = {names.LABEL_INJECT: names.INJECT_DISABLED}
PROXY = {"name": "HTTPS_PROXY", "value": "http://proxy:3128"}


def annotated(**short: str) -> Callable[[], Injection]:
    given = with_meta(
        annotations={f"telemock.io/{k.replace('_', '-')}": v for k, v in short.items()}
    )
    return lambda: inject(given, settings())


def container(redirect: str = "auto", level: str = "", **fields: Any) -> Callable[[], Injection]:
    given = pod(containers=[{"name": "app", **fields}])
    return lambda: inject(given, settings(redirect=redirect), NamespaceFacts("n", {}, level))


def spec(redirect: str = "auto", level: str = "", **fields: Any) -> Callable[[], Injection]:
    given = pod(**fields)
    return lambda: inject(given, settings(redirect=redirect), NamespaceFacts("n", {}, level))


OWN_CA = {
    "containers": [
        {
            "name": "app",
            "env": [{"name": "SSL_CERT_FILE", "value": "/c/ca.pem"}],
            "volumeMounts": [{"name": "ca", "mountPath": "/c"}],
        }
    ],
    "volumes": [{"name": "ca", "configMap": {"name": "ca"}}],
}


def many_hosts() -> Injection:
    hosts = tuple(Host(f"h{n}.example") for n in range(251))
    return inject(pod(), settings(rules=RuleSet((Profile("many", "", hosts, ()),), "")))


# Reason -> a pod for which it is the first one, and words of its sentence.
GIVEN: dict[str, tuple[Callable[[], Injection], str]] = {
    "opted_out": (lambda: inject(with_meta(labels=DISABLED), settings()), "is disabled"),
    "namespace_opted_out": (
        lambda: inject(pod(), settings(), NamespaceFacts("n", DISABLED)), "the namespace's label"
    ),
    "already_injected": (lambda: inject(inject(pod(), settings()).pod, settings()), "already has"),
    "mirror_pod": (
        lambda: inject(with_meta(annotations={"kubernetes.io/config.mirror": "x"}), settings()),
        "static",
    ),
    "label_value": (
        lambda: inject(with_meta(labels={names.LABEL_INJECT: "yes"}), settings()),
        "telemock.io/inject is 'yes', expected enabled or disabled",
    ),
    "unknown_profile": (annotated(profiles="cribl,nope"), "names 'nope', known are: cribl"),
    "mode_value": (annotated(mode="hold"), "is 'hold', expected mock, observe or block"),
    "redirect_value": (annotated(redirect="x"), "is 'x', expected auto, hosts, loopback or all"),
    "trust_value": (annotated(trust="java"), "names 'java', expected node, deno, python,"),
    "all_until_value": (annotated(all_until="soon"), "is 'soon', expected a time such as"),
    "resources_value": (annotated(resources="2"), "is '2', expected a JSON object with"),
    "unknown_name": (
        annotated(mod="observe"), "telemock.io/mod means nothing; did you mean telemock.io/mode"
    ),
    "limit_range": (
        lambda: inject(
            pod(), settings(), NamespaceFacts(limit_ranges=[limit_range(min={"memory": "40Mi"})])
        ),
        "the LimitRange range wants of a container at least 40Mi of memory, and container",
    ),
    "quota": (
        lambda: inject(pod(), settings(), NamespaceFacts(quotas=[quota(limits_memory="1Mi")])),
        "the ResourceQuota quota wants a memory limit of every container, and container app",
    ),
    "bounds_unknown": (
        lambda: inject(pod(), settings(), NamespaceFacts(unknown="403 from the API")),
        "is not known: 403 from the API",
    ),
    "no_dummy_range": (
        lambda: inject(
            pod(dnsConfig={"nameservers": ["192.0.2.53"]}),
            settings(dummy_ranges=(NETWORKS[0], NETWORKS[-1])),
        ),
        "addresses: 192.0.2.0/24; add one that is free to dummyRanges of the chart",
    ),
    "windows": (spec(os={"name": "windows"}), "Linux only"),
    "host_network": (spec(hostNetwork=True), "hostNetwork"),
    "net_admin_forbidden": (
        spec("all", "baseline"),
        "redirect all needs the capability NET_ADMIN, which the Pod Security level of this "
        "namespace forbids; use telemock.io/redirect: loopback",
    ),
    "name_taken": (
        spec(initContainers=[{"name": "telemock"}], volumes=[{"name": "telemock-ca"}]),
        "the pod has a container telemock and a volume telemock-ca:",
    ),
    "port_taken": (
        container(ports=[{"containerPort": 17443}]), "container app declares port 17443, which"
    ),
    "loopback_port_taken": (
        container("loopback", ports=[{"containerPort": 443}]), "app declares port 443, which"
    ),
    "sysctl_taken": (
        spec("loopback", securityContext={
            "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "1024"}]
        }),
        "ip_unprivileged_port_start to 1024",
    ),
    "uid_taken": (
        container("all", securityContext={"runAsUser": 2931}), "container app runs as user 2931"
    ),
    "no_hosts": (lambda: inject(pod(), settings(rules=RuleSet((), ""))), "no host is left"),
    "own_host_alias": (
        lambda: inject(
            pod(hostAliases=[{"ip": "10.0.0.1", "hostnames": ["cdn.cribl.io"]}]),
            settings(redirect="all"),
        ),
        "name cdn.cribl.io",
    ),
    "own_hosts_file": (
        container(volumeMounts=[{"name": "v", "mountPath": "/etc/hosts"}]),
        "container app mounts another /etc/hosts",
    ),
    "suffix_host": (
        lambda: inject(pod(), settings(rules=extra("stats.example"))), "below stats.example"
    ),
    "suffix_ports": (
        lambda: inject(
            pod(),
            settings(
                redirect="all",
                rules=RuleSet((Profile("p", "", (Host("s.example", True, ports=(1,)),), ()),)),
            ),
        ),
        "below s.example have ports besides 80 and 443",
    ),
    "too_many_hosts": (many_hosts, "not redirected: h250.example"),
    "own_ca": (
        container(env=[{"name": "NODE_EXTRA_CA_CERTS", "value": "/own.pem"}]),
        "container app sets NODE_EXTRA_CA_CERTS, which stays",
    ),
    "rehearse_value": (
        annotated(rehearse="500"), "is '500', expected a fault, then one rule's PROFILE/RULE"
    ),
    "rehearse_only": (
        annotated(rehearse="dropped a.example until 2h"), "is of a.example alone, which no profile"
    ),
    "rehearse_mode": (
        annotated(rehearse="500 until 2h", mode="block"), "needs mode mock, and the mode is block"
    ),
    "canary_value": (annotated(canary="yes"), "is 'yes', expected true or false"),
    "own_ca_value": (annotated(own_ca="yes"), "is 'yes', expected append"),
    "own_ca_appended": (
        lambda: inject(
            pod(**OWN_CA) | {"metadata": {"annotations": {names.ANNOTATION_OWN_CA: "append"}}},
            settings(),
        ),
        "container app sets SSL_CERT_FILE to /c/ca.pem: it gets a copy of that file",
    ),
    "mount_taken": (
        container(volumeMounts=[{"name": "v", "mountPath": names.MOUNT_TRUST}]),
        "container app mounts something else at /etc/telemock/trust",
    ),
    "env_from": (
        container(envFrom=[{"secretRef": {"name": "s"}}]), "container app takes variables from"
    ),
    "trust_replaced": (annotated(trust="python"), "SSL_CERT_FILE, REQUESTS_CA_BUNDLE: this"),
    "proxied": (container(env=[PROXY]), "container app uses a proxy: the telemetry hosts"),
    "proxy_unreadable": (
        container(env=[PROXY, {"name": "NO_PROXY", "valueFrom": {}}]),
        "container app takes a proxy or NO_PROXY from",
    ),
    "all_without_end": (annotated(redirect="all"), "set telemock.io/all-until"),
}  # fmt: skip


@pytest.mark.parametrize("id", REASONS)
def test_reason_is_given_and_told(id: str) -> None:
    give, words = GIVEN[id]
    done = give()
    first = done.reasons[0]
    assert first.id == id
    assert words in first.sentence
    assert "{" not in first.sentence
    assert first.skips is not done.injected


@pytest.mark.parametrize("id", [id for id, row in REASONS.items() if row.skips])
def test_what_is_left_alone_gets_nothing_but_the_annotation(id: str) -> None:
    done = GIVEN[id][0]()
    meta = done.pod["metadata"]
    assert REASONS[id].quiet == done.reasons[0].quiet
    if not REASONS[id].quiet:
        assert names.ANNOTATION_STATUS in meta["annotations"]
        assert all(c["name"] != names.CONTAINER_REDIRECT
                   for c in done.pod["spec"].get("initContainers", []))  # fmt: skip
        assert "hostAliases" not in done.pod["spec"]


def test_reasons_do_not_carry_escapes_to_terminals() -> None:
    evil = "\x1b[2J\nforged: line"
    assert reason("host_network").sentence.isprintable()
    assert reason("label_value", repr(evil)).sentence.isprintable()
    given = pod(containers=[{"name": evil, "envFrom": [{}]}])
    assert all(r.sentence.isprintable() for r in inject(given, settings()).reasons)
    assert len(reason("label_value", "x" * 10_000).sentence) < 1000


def test_containers_are_named_in_a_sentence() -> None:
    assert of(["a"], "set") == "container a sets"
    assert of(["a", "b", "c"], "declare") == "containers a, b and c declare"
