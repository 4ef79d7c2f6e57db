"""What Prometheus Operator and Grafana's sidecar find leads to where the metrics are."""

import json
from pathlib import Path

from app.cluster.certificates import host_names
from app.contract import names
from app.contract.metrics import METRICS
from charts import alerts
from charts.generate import CHART, NAMESPACE
from tests.chart.helm import Object, needs_helm, of_case, one, rendered

FOUND = of_case("everything")


def pod_template(name: str) -> Object:
    found: Object = one(FOUND, "Deployment", name)["spec"]["template"]
    return found


def test_monitors_name_a_service_a_port_and_whom_to_trust() -> None:
    for name, port, job in (
        ("watch", "https", "telemock-app"),
        ("watch-injector", "https", "telemock-injector"),
    ):
        monitor = one(FOUND, "ServiceMonitor", name)
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        service = one(FOUND, "Service", name)
        selector = monitor["spec"]["selector"]["matchLabels"]
        assert selector.items() <= service["metadata"]["labels"].items()
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["port"] == port and port in {p["name"] for p in service["spec"]["ports"]}
        assert endpoint["relabelings"][0] == {"targetLabel": "job", "replacement": job}
    certificate = one(FOUND, "Certificate")["spec"]
    served = [n for each in host_names("watch", NAMESPACE).values() for n in each]
    for name in ("watch", "watch-injector"):
        tls = one(FOUND, "ServiceMonitor", name)["spec"]["endpoints"][0]["tlsConfig"]
        assert tls["ca"]["secret"] == {"name": certificate["secretName"], "key": "ca.crt"}
        assert tls["serverName"] in served and tls["serverName"] in certificate["dnsNames"]


@needs_helm
def test_the_app_is_scraped_with_a_token_where_there_is_one(tmp_path: Path) -> None:
    (endpoint,) = one(FOUND, "ServiceMonitor", "watch")["spec"]["endpoints"]
    assert endpoint["authorization"] == {"credentials": {"name": "metrics-reader", "key": "bearer"}}
    found = rendered({"monitoring": {"serviceMonitor": {"enabled": True}}}, tmp_path)
    (endpoint,) = one(found, "ServiceMonitor", "telemock")["spec"]["endpoints"]
    assert (endpoint["port"], "authorization" in endpoint) == ("http", False)


def test_every_pod_with_a_sidecar_is_scraped() -> None:
    spec = one(FOUND, "PodMonitor")["spec"]
    assert spec["namespaceSelector"] == {"any": True}
    assert spec["selector"] == {"matchLabels": {names.LABEL_INJECTED: "true"}}
    (endpoint,) = spec["podMetricsEndpoints"]
    assert endpoint["port"] == names.PORT_NAME_SIDECAR
    assert endpoint["interval"] == "15s"


def test_monitors_name_pods_as_otlp_does() -> None:
    """Dashboards and alerts know these names only; none is a label of a metric of ours."""
    given = {"k8s_namespace_name", "k8s_pod_name"}
    for kind, endpoints in (("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")):
        for monitor in (o for o in FOUND if o["kind"] == kind):
            (endpoint,) = monitor["spec"][endpoints]
            assert {r["targetLabel"] for r in endpoint["relabelings"]} == given | {"job"}
    assert not given & {label for row in METRICS for label in row.prometheus_labels}


def test_the_rules_arrive_as_they_are() -> None:
    """What Prometheus is to fill in is not filled in by helm."""
    groups = one(FOUND, "PrometheusRule")["spec"]["groups"]
    found = [rule for group in groups for rule in group["rules"]]
    wanted = alerts.rules()
    for rule in wanted:
        link = rule["annotations"]["runbook_url"]
        rule["annotations"]["runbook_url"] = f"https://git.example/telemock/{link}"
    assert found == wanted
    assert any("{{ $labels." in rule["annotations"]["summary"] for rule in found)


def test_each_dashboard_is_a_config_map() -> None:
    maps = [
        o for o in FOUND if o["kind"] == "ConfigMap" and o["metadata"]["namespace"] == "grafana"
    ]
    assert len(maps) == len(list((CHART / "dashboards").iterdir())) == 3
    for found in maps:
        assert found["metadata"]["labels"]["grafana_dashboard"] == "yes"
        assert found["metadata"]["annotations"] == {"grafana_folder": "Vendors"}
        ((name, text),) = found["data"].items()
        assert json.loads(text) == json.loads((CHART / "dashboards" / name).read_text("utf-8"))
    assert not [o for o in of_case("default") if o["apiVersion"].startswith("monitoring")]
