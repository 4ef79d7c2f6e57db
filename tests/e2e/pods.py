"""Pods as the official Cribl charts (v4.19.2) make them, with our stand-in for the image.

Names of containers, the two labels, ports, probes, volumes and environment are the charts'; only
requests are small and probes quick. NODE_TLS_REJECT_UNAUTHORIZED is not set: the charts' 0 would
hide a certificate that the client does not trust.
"""

import copy
import os
from collections.abc import Mapping
from typing import Any

IMAGE = os.environ.get("E2E_IMAGE", "cribl-stand-in:e2e")
LEADER = "app.kubernetes.io/name=leader"
WORKERS = "app.kubernetes.io/name=logstream-workergroup"

Object = dict[str, Any]


def leader(namespace: str, *, env: Mapping[str, str] | None = None) -> list[Object]:
    """Deployment (Recreate), its claim for the configuration, and the Service `leader`."""
    container = {
        "name": "logstream-leader",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "api", "containerPort": 9000}, {"name": "comm", "containerPort": 4200}],
        "env": _env(
            {
                "CRIBL_HOME": "/opt/cribl",
                "CRIBL_DIST_MODE": "leader",
                "CRIBL_DIST_MASTER_URL": "tcp://token@0.0.0.0:4200",
                "CRIBL_DIST_LEADER_URL": "tcp://token@0.0.0.0:4200",
                "CRIBL_VOLUME_DIR": "/opt/cribl/config-volume",
            },
            env,
        ),
        **_probes(9000, "/api/v1/health"),
        "volumeMounts": [{"name": "config-storage", "mountPath": "/opt/cribl/config-volume"}],
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "leader-config-claim", "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    pod = {
        "containers": [container],
        "volumes": [
            {
                "name": "config-storage",
                "persistentVolumeClaim": {"claimName": "leader-config-claim"},
            }
        ],
    }
    deployment = workload("Deployment", "leader", namespace, "leader", pod)
    deployment["spec"]["strategy"] = {"type": "Recreate"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "leader", "namespace": namespace},
        "spec": {
            "selector": _labels("leader"),
            "ports": [{"name": "api", "port": 9000}, {"name": "comm", "port": 4200}],
        },
    }
    return [claim, deployment, service]


def workergroup(
    namespace: str, *, replicas: int = 2, env: Mapping[str, str] | None = None
) -> list[Object]:
    """Deployment; the leader's URL comes from a Secret."""
    container = {
        "name": "logstream-workergroup",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "ports": [
            {"name": name, "containerPort": port}
            for name, port in {
                "tcpjson": 10001, "s2s": 9997, "http": 10080, "https": 10081, "syslog": 5140,
                "metrics": 8125, "elastic": 9200, "splunk-hec": 8088, "criblhttp": 10200,
                "cribltcp": 10300,
            }.items()
        ],
        "env": [
            *_env({"CRIBL_HOME": "/opt/cribl", "CRIBL_DIST_MODE": "worker"}, env),
            {
                "name": "CRIBL_DIST_MASTER_URL",
                "valueFrom": {
                    "secretKeyRef": {"name": "logstream-config-claim", "key": "url-master"}
                },
            },
        ],
        **_probes(9000, "/api/v1/health", "/api/v1/readiness"),
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
    }  # fmt: skip
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "logstream-config-claim", "namespace": namespace},
        "stringData": {"url-master": "tcp://token@leader:4200?group=kubernetes"},
    }
    name = "workers-logstream-workergroup"
    deployment = workload(
        "Deployment", name, namespace, "logstream-workergroup", {"containers": [container]}
    )
    deployment["spec"]["replicas"] = replicas
    return [secret, deployment]


def node(
    name: str,
    namespace: str,
    *,
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    spec: Mapping[str, Any] | None = None,
    container: Mapping[str, Any] | None = None,
) -> Object:
    """One bare pod with one node that sends only when it is told to."""
    main: Object = {
        "name": "cribl",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "env": _env({"CRIBL_DIST_MODE": "worker", "TELEMETRY_SECONDS": "0"}, env),
        **_probes(9000, "/api/v1/health"),
        **(container or {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": name, **(labels or {})},
            "annotations": {f"telemock.io/{k}": v for k, v in (annotations or {}).items()},
        },
        "spec": {"containers": [main], "terminationGracePeriodSeconds": 3, **(spec or {})},
    }


def service(name: str, namespace: str, port: int) -> Object:
    """A Service for the pods that `node` makes with that name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app.kubernetes.io/name": name}, "ports": [{"port": port}]},
    }


def restricted(pod: Object) -> Object:
    """The same pod as a namespace that enforces the `restricted` level takes it."""
    made = copy.deepcopy(pod)
    made["spec"]["securityContext"] = {
        "runAsNonRoot": True,
        "runAsUser": 1001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    made["spec"]["containers"][0]["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    return made


def vendor(namespace: str) -> Object:
    """The vendor's side of the Internet: the pod's address is the DNS server of `resolve_by`."""
    pod = node("vendor", namespace, labels={"telemock.io/inject": "disabled"})
    pod["spec"]["containers"][0] |= {
        "command": ["node", "/opt/cribl/bin/vendor.mjs"],
        "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "readinessProbe": {"httpGet": {"path": "/seen", "port": 80}, "periodSeconds": 1},
    }
    pod["spec"]["containers"][0].pop("livenessProbe")
    return pod


def resolve_by(vendor_pod: Mapping[str, Any], namespace: str) -> Object:
    """Pod spec fields that make `vendor_pod` the resolver, and so the vendor real for this pod."""
    return {
        "dnsPolicy": "None",
        "dnsConfig": {
            "nameservers": [vendor_pod["status"]["podIP"]],
            "searches": [f"{namespace}.svc.cluster.local", "svc.cluster.local", "cluster.local"],
            "options": [{"name": "ndots", "value": "5"}],
        },
    }


def workload(kind: str, name: str, namespace: str, app: str, pod: Mapping[str, Any]) -> Object:
    """Any apps/v1 controller with the charts' two labels."""
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": _labels(app)},
        "spec": {
            "selector": {"matchLabels": _labels(app)},
            "template": {"metadata": {"labels": _labels(app)}, "spec": dict(pod)},
        },
    }


def _labels(app: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": app, "app.kubernetes.io/instance": "e2e"}


def _env(base: Mapping[str, str], more: Mapping[str, str] | None) -> list[Object]:
    return [{"name": k, "value": v} for k, v in {**base, **(more or {})}.items()]


def _probes(port: int, live: str, read: str = "") -> Object:
    def probe(path: str) -> Object:
        return {"httpGet": {"path": path, "port": port}, "periodSeconds": 1, "failureThreshold": 30}

    return {"livenessProbe": probe(live), "readinessProbe": probe(read or live)}
