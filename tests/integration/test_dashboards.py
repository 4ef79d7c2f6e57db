"""Every query of every dashboard has data: from a real Prometheus, fed by a real app, sidecar and
injector under traffic, once by scraping them and once by OTLP through a Collector."""

import contextlib
import json
import math
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cluster import kube
from charts.generate import CHART
from tests.backends import Prometheus, jaeger, prometheus
from tests.peers import Host
from tests.serving import serving
from tests.sidecar import Sidecar, authority, bundle_of, sidecar
from tests.unit.app.cluster.test_kube import api_server, kubeconfig
from tests.unit.app.inject.test_server import Served as Injecting
from tests.unit.app.inject.test_server import serving as injecting
from tests.unit.app.inject.test_webhook import pod, review
from tests.waiting import wait_for

HOST = "t.acme.test"  # of tests/profile.yaml
POD = "web-7c9d8b6f4-x2x4z"
PROFILE = Path(__file__).parents[1] / "profile.yaml"
BOARDS = sorted((CHART / "dashboards").glob("*.json"))


class Lab:
    def __init__(self, sidecar: Sidecar, injector: Injecting, prometheus: Prometheus) -> None:
        self.sidecar = sidecar
        self.injector = injector
        self.prometheus = prometheus

    def traffic(self) -> None:
        """A little of each kind."""
        for path in (f"/page?v=1.2&new=1&id={POD}", "/broken", "/refuse", "/watch", "/passes"):
            self.sidecar.ask(path, host=HOST)
        with contextlib.suppress(OSError), self.sidecar.connect(HOST, tls=False) as connection:
            ssl.create_default_context().wrap_socket(connection, server_hostname=HOST)
        self.injector.client.post("/mutate", content=review(pod()))


@pytest.fixture(scope="module", params=["scraped", "otlp"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp(request.param)
    scraped = request.param == "scraped"
    ca, context = authority(folder, HOST)
    with contextlib.ExitStack() as stack:
        collector = stack.enter_context(jaeger(folder))
        otel = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.otlp,
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
        }
        own = otel | ({"OTEL_METRICS_EXPORTER": "none"} if scraped else {})
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in own.items():  # the sidecar inherits them
            patch.setenv(name, value)
        app = stack.enter_context(serving(folder, TELEMOCK_PROFILES=str(PROFILE)))
        (folder / "token").write_text(app.runtime.token)
        host = Host(context)
        stack.callback(host.close)
        running = stack.enter_context(
            sidecar(
                folder / "sidecar",
                bundle_of(),  # the rules come from the app
                TELEMOCK_APP_URL=app.url,
                TELEMOCK_TOKEN_FILE=str(folder / "token"),
                TELEMOCK_UPSTREAM_CA=str(ca),
                TELEMOCK_RESOLVE=f"{HOST}:443=127.0.0.1:{host.port}",
                TELEMOCK_TRANSPARENT=f"127.0.0.1:{_free()}",  # so that there is a redirect to prove
                POD_NAMESPACE="shop",
                POD_NAME=POD,
                TELEMOCK_CANARY="pod",
            )
        )
        # No cluster is needed for what it counts.
        url, _ = stack.enter_context(api_server({}))
        patch.setenv("KUBECONFIG", str(kubeconfig(folder, url)))
        api = stack.enter_context(contextlib.closing(kube.connect()))
        injector = stack.enter_context(injecting(api, **own))
        targets = {
            "telemock-app": [f"127.0.0.1:{app.port}"],
            "telemock-sidecar": [f"127.0.0.1:{running.health_port}"],
            "telemock-injector": [f"https://127.0.0.1:{injector.port}"],
        }
        store = stack.enter_context(prometheus(folder, targets if scraped else {}, collector))
        wait_for(lambda: running.health()["profiles"]["source"] == "app")
        yield Lab(running, injector, store)


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def queries(board: Path) -> list[str]:
    panels = json.loads(board.read_text("utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def chosen(board: Path, prometheus: Prometheus) -> dict[str, str]:
    """The variables, with "All" chosen, as Grafana would put them into a query."""
    found = {"__rate_interval": "2m", "__range": "5m"}
    for variable in json.loads(board.read_text("utf-8"))["templating"]["list"]:
        if variable["type"] != "query":
            continue
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]).groups()  # type: ignore[union-attr]
        values = {s["metric"].get(label, "") for s in prometheus.series(metric, 30)}
        found[variable["name"]] = variable.get("allValue") or "|".join(values)
    return found


def has_data(answer: list[dict[str, Any]]) -> bool:
    return any(not math.isnan(float(series["value"][1])) for series in answer)


@pytest.mark.parametrize("board", BOARDS, ids=lambda b: b.stem)
def test_every_query_has_data(board: Path, lab: Lab) -> None:
    lab.traffic()
    values = chosen(board, lab.prometheus)
    waiting = [re.sub(r"\$(\w+)", lambda m: values[m[1]], q) for q in queries(board)]
    assert len(waiting) > 10 and not [q for q in waiting if "$" in q]

    def all_have_data() -> bool:
        lab.traffic()
        waiting[:] = [q for q in waiting if not has_data(lab.prometheus.query(q))]
        return not waiting

    with contextlib.suppress(AssertionError, TimeoutError):
        wait_for(all_have_data, 30)
    assert not waiting, "\n".join(waiting)
