"""The page judges the chart's alerts by their own expressions."""

import httpx
import pytest

from app.contract.metrics import METRICS
from app.otel.metrics import Metrics
from app.otel.recent import RISING, Recent, values
from app.web import alerts
from charts import alerts as chart
from tests.serving import Served

APP = {  # alerts that the app can tell, and a change of a metric that makes each hold
    "TelemockStoreNearLimit": ("telemock.store.size", (), 95),
    "TelemockStoreFailing": ("telemock.store.failing", (), 1),
    "TelemockProfilesReloadFailed": ("telemock.profiles.reload_failed", (), 1),
    "TelemockExportFailing": ("telemock.otlp.dropped", ("spans", "refused"), 1),
    "TelemockNewField": ("telemock.inventory.new_fields", ("cribl",), 1),
    "TelemockNewSensitiveField": (
        "telemock.inventory.new_sensitive",
        ("cribl", "contact"),
        1,
    ),
    "TelemockNewHost": ("telemock.inventory.new_hosts", ("cribl",), 1),
    "TelemockObjected": ("telemock.inbox.objected", ("cribl",), 1),
    "TelemockCanaryFound": ("telemock.canary.found", ("cribl", "host name"), 1),
    "TelemockSidecarSilent": ("telemock.sidecars", ("silent",), 1),
    "TelemockRecordsStuck": ("telemock.records.waiting", ("silent",), 1),
    "TelemockAppDistrusted": ("telemock.tls.distrusted", (), 1),
    "TelemockRecordsLost": ("telemock.records.lost", ("spool_full",), 1),
}


def state(metrics: Metrics, recent: Recent) -> dict[str, str]:
    judged = alerts.judge(values(metrics.registry, alerts.names()), recent)
    return {one.alert.name: one.state for one in judged}


def test_they_are_the_charts() -> None:
    assert [a.name for a in alerts.alerts()] == [rule["alert"] for rule in chart.rules()]
    assert alerts._FILE.read_text() == chart.document()


def test_which_the_app_can_tell() -> None:
    """An alert in a form that is not read here, or that becomes the app's to tell, fails."""
    assert {a.name for a in alerts.alerts() if alerts.terms(a)} == set(APP)
    rising = {t.metric for a in alerts.alerts() for t in alerts.terms(a) if t.kind == "rises"}
    assert rising <= set(RISING)


@pytest.mark.parametrize("name", APP)
def test_each_holds_when_it_should_and_is_quiet_before(name: str) -> None:
    metrics = Metrics("app")
    metrics.set("telemock.store.limit", 100)
    recent = Recent(metrics.registry, RISING)
    assert state(metrics, recent)[name] == "quiet"
    metric, labels, value = APP[name]
    counter = next(row.kind for row in METRICS if row.name == metric) == "counter"
    (metrics.add if counter else metrics.set)(
        metric, *((labels, value) if counter else (value, labels))
    )
    now = state(metrics, recent)
    assert now.pop(name) == "holds"
    assert "holds" not in now.values()


def test_the_view_names_those_that_hold_with_their_remedy(
    visitor: httpx.Client, filled: Served
) -> None:
    assert (
        "No condition of an alert holds, of those that can be told here"
        in visitor.get("/status").text
    )
    filled.runtime.metrics.add("telemock.inventory.new_fields", ("cribl",))
    text = visitor.get("/status").text
    assert "TelemockNewField" in text.partition("</table></div>\n<details>")[0]
    filled.runtime.profiles.error = "wrong"
    filled.runtime.metrics.set("telemock.profiles.reload_failed", 1)
    text = visitor.get("/status").text
    assert "A profile is refused by" in text and "telemock rules check" in text
    assert "TelemockRedirectNotProven" in text  # Prometheus' to tell
