"""Each alert fires when it should, and is quiet when not: by promtool, with made-up series."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from app.contract.metrics import METRICS
from charts import alerts
from tests.backends import promtool

RULES = {rule["alert"]: rule for rule in alerts.rules()}
ROOT = Path(__file__).parents[2]
RUNBOOK = "docs/operations/alerts.md"


class Case(NamedTuple):
    """Series as promtool writes them, a value a minute; `at` is when they are looked at."""

    alert: str
    firing: dict[str, str]
    quiet: dict[str, str]
    labels: dict[str, str]
    summary: str
    at: str = "20m"


POD = 'job="telemock-sidecar",k8s_namespace_name="logs",k8s_pod_name="leader-0"'
POD_LABELS = {"k8s_namespace_name": "logs", "k8s_pod_name": "leader-0"}
NEW = "telemock_inventory_new_fields_total"
SENSITIVE = "telemock_inventory_new_sensitive_total"
HOSTS = "telemock_inventory_new_hosts_total"
OBJECTED = "telemock_inbox_objected_total"
CANARY = "telemock_canary_found_total"
REJECTED = "telemock_tls_client_rejected_total"
DROPPED = "telemock_capture_dropped_total"
OTLP = "telemock_otlp_dropped_total"
REFUSED = 'apiserver_admission_webhook_rejection_count{name="pod.inject.telemock.io",error_type='
OPEN = 'apiserver_admission_webhook_fail_open_count{name="namespace.inject.telemock.io"}'
APP = 'job="telemock-app"'
LACKING = 'telemock_injector_not_injected{job="telemock-injector"'
APP_LABELS = {"job": "telemock-app"}

CASES = [
    Case(
        "TelemockNewField",
        {f'{NEW}{{{APP},telemock_profile="cribl"}}': "0x15 1x10"},
        {f'{NEW}{{{APP},telemock_profile="cribl"}}': "7x30"},
        {**APP_LABELS, "telemock_profile": "cribl"},
        "A product of the profile cribl sends a field that it never sent before.",
    ),
    Case(  # a counter that begins with its first event
        "TelemockNewField",
        {f'{NEW}{{{APP},telemock_profile="cribl"}}': "_x15 3x10"},
        {f'{NEW}{{{APP},telemock_profile="cribl"}}': "0x3 3x40"},
        {**APP_LABELS, "telemock_profile": "cribl"},
        "A product of the profile cribl sends a field that it never sent before.",
        at="24m",
    ),
    Case(
        "TelemockNewSensitiveField",
        {f'{SENSITIVE}{{{APP},telemock_profile="cribl",telemock_class="contact"}}': "_x15 1x10"},
        {f'{SENSITIVE}{{{APP},telemock_profile="cribl",telemock_class="contact"}}': "7x30"},
        {**APP_LABELS, "telemock_profile": "cribl", "telemock_class": "contact"},
        "A product of the profile cribl sends a field about a person or a secret (contact) "
        "for the first time.",
    ),
    Case(
        "TelemockNewHost",
        {f'{HOSTS}{{{APP},telemock_profile=""}}': "2x15 3x10"},
        {f'{HOSTS}{{{APP},telemock_profile=""}}': "2x30"},
        APP_LABELS,
        "A pod reaches a host that was never seen before.",
    ),
    Case(
        "TelemockObjected",
        {f'{OBJECTED}{{{APP},telemock_profile="cribl"}}': "0x15 4x10"},
        {f'{OBJECTED}{{{APP},telemock_profile="cribl"}}': "4x30"},
        {**APP_LABELS, "telemock_profile": "cribl"},
        "What somebody objected to came again (profile cribl).",
    ),
    Case(
        "TelemockCanaryFound",
        {f'{CANARY}{{{APP},telemock_profile="cribl",telemock_source="host name"}}': "_x15 1x10"},
        {f'{CANARY}{{{APP},telemock_profile="cribl",telemock_source="host name"}}': "4x30"},
        {**APP_LABELS, "telemock_profile": "cribl", "telemock_source": "host name"},
        "What a pod sends (profile cribl) identifies it, by its host name.",
    ),
    Case(
        "TelemockCertificateRefused",
        {f'{REJECTED}{{{POD},server_address="cdn.cribl.io"}}': "_x15 1x10"},
        {f'{REJECTED}{{{POD},server_address="cdn.cribl.io"}}': "0x30"},
        {**POD_LABELS, "server_address": "cdn.cribl.io"},
        "Pod logs/leader-0 refuses the sidecar's certificate for cdn.cribl.io.",
    ),
    Case(
        "TelemockSidecarSilent",
        {f'telemock_sidecars{{{APP},telemock_state="silent"}}': "0x10 2x20"},
        {
            f'telemock_sidecars{{{APP},telemock_state="silent"}}': "0x20",
            f'telemock_sidecars{{{APP},telemock_state="seen"}}': "9x20",
        },
        APP_LABELS,
        "2 of the sidecars that the app knew are no longer heard of.",
    ),
    Case(
        "TelemockAppTakesNothing",
        {f'telemock_app_trouble{{{POD},telemock_outcome="distrusted"}}': "1x30"},
        {
            f'telemock_app_trouble{{{POD},telemock_outcome="distrusted"}}': "0x30",
            f'telemock_app_trouble{{{POD},telemock_outcome="unreachable"}}': "1x12 0x20",
        },
        {"job": "telemock-sidecar", **POD_LABELS, "telemock_outcome": "distrusted"},
        "The app takes nothing from the sidecar of logs/leader-0: distrusted.",
    ),
    Case(
        "TelemockSidecarDying",
        {f"telemock_sidecar_restarts_total{{{POD}}}": "0x10 1 2 3 4 5x20"},
        {f"telemock_sidecar_restarts_total{{{POD}}}": "0x10 1 2x20"},
        {"job": "telemock-sidecar", **POD_LABELS},
        "The sidecar's process of logs/leader-0 dies again and again.",
    ),
    Case(
        "TelemockRedirectNotProven",
        {f"telemock_redirect_proven{{{POD}}}": "0x30"},
        {f"telemock_redirect_proven{{{POD}}}": "0x14 1x20"},
        {"job": "telemock-sidecar", **POD_LABELS},
        "No redirected connection has reached the sidecar of logs/leader-0.",
    ),
    Case(
        "TelemockRecordsLost",
        {f'{DROPPED}{{{POD},telemock_reason="spool_full"}}': "0x15 40x10"},
        {f'{DROPPED}{{{POD},telemock_reason="spool_full"}}': "40x30"},
        {"job": "telemock-sidecar", **POD_LABELS, "telemock_reason": "spool_full"},
        "Records are lost in logs/leader-0: spool_full.",
    ),
    Case(  # by the app's account, where no sidecar is scraped
        "TelemockRecordsLost",
        {f'telemock_records_lost{{{APP},telemock_reason="killed"}}': "3x15 9x10"},
        {f'telemock_records_lost{{{APP},telemock_reason="killed"}}': "9x15 3x30"},
        {**APP_LABELS, "telemock_reason": "killed"},
        "Records are lost in telemock-app: killed.",
    ),
    Case(
        "TelemockRecordsStuck",
        {f'telemock_records_waiting{{{APP},telemock_state="silent"}}': "7x30"},
        {
            f'telemock_records_waiting{{{APP},telemock_state="silent"}}': "0x10 7x5 0x20",
            f'telemock_records_waiting{{{APP},telemock_state="seen"}}': "7x30",
        },
        APP_LABELS,
        "7 records wait in sidecars that the app no longer hears of.",
    ),
    Case(
        "TelemockAppDistrusted",
        {f'telemock_tls_distrusted{{{APP},k8s_pod_name="app-0"}}': "2x30"},
        {f'telemock_tls_distrusted{{{APP},k8s_pod_name="app-0"}}': "0x30"},
        {**APP_LABELS, "k8s_pod_name": "app-0"},
        "Clients do not trust the app's certificate.",
    ),
    Case(
        "TelemockStoreNearLimit",
        {
            f"telemock_store_size_bytes{{{APP}}}": "95x60",
            f"telemock_store_limit_bytes{{{APP}}}": "100x60",
        },
        {  # without a limit
            f"telemock_store_size_bytes{{{APP}}}": "95x60",
            f"telemock_store_limit_bytes{{{APP}}}": "0x60",
        },
        APP_LABELS,
        "The store is at 95% of its limit; there the oldest captures go.",
        at="30m",
    ),
    Case(
        "TelemockStoreFailing",
        {f"telemock_store_failing{{{APP}}}": "0x10 1x20"},
        {f"telemock_store_failing{{{APP}}}": "0x30"},
        APP_LABELS,
        "The app cannot write its store.",
    ),
    Case(
        "TelemockProfilesReloadFailed",
        {f"telemock_profiles_reload_failed{{{APP}}}": "0x10 1x20"},
        {f"telemock_profiles_reload_failed{{{APP}}}": "0x30"},
        APP_LABELS,
        "A profile is refused by telemock-app.",
    ),
    Case(
        "TelemockExportFailing",
        {f'{OTLP}{{{POD},telemock_signal="traces",telemock_reason="queue_full"}}': "_x10 9x20"},
        {f'{OTLP}{{{POD},telemock_signal="traces",telemock_reason="queue_full"}}': "0x30"},
        {
            "job": "telemock-sidecar", "k8s_pod_name": "leader-0", "telemock_signal": "traces",
            "telemock_reason": "queue_full",
        },
        "leader-0 could not export traces by OTLP: queue_full.",
    ),
    Case(
        "TelemockWebhookFailing",
        {f'{REFUSED}"calling_webhook_error"}}': "0x15 1x10"},
        {f'{REFUSED}"no_error"}}': "0x15 1x10", OPEN: "3x30"},
        {"name": "pod.inject.telemock.io"},
        "Pods could not be reviewed (pod.inject.telemock.io).",
    ),
    Case(
        "TelemockWebhookFailing",
        {OPEN: "0x15 1x10"},
        {OPEN.replace("telemock.io", "other.example"): "0x15 1x10"},
        {"name": "namespace.inject.telemock.io"},
        "Pods could not be reviewed (namespace.inject.telemock.io).",
    ),
    Case(
        "TelemockWebhookFailing",
        {'telemock_injector_pods_total{telemock_reason="failed"}': "0x15 1x10"},
        {'telemock_injector_pods_total{telemock_reason="none"}': "0x15 1x10"},
        {"name": "the injector"},
        "Pods could not be reviewed (the injector).",
    ),
    Case(  # the other half was asked
        "TelemockWebhookFailing",
        {OPEN: "0x15 1x10"},
        {OPEN.replace('"namespace', '"first.namespace'): "0x15 1x10"},
        {"name": "namespace.inject.telemock.io"},
        "Pods could not be reviewed (namespace.inject.telemock.io).",
    ),
    Case(
        "TelemockNotInjected",
        {f'{LACKING},telemock_reason="unseen"}}': "3x30"},
        {
            f'{LACKING},telemock_reason="unseen"}}': "3x8 0x12",
            f'{LACKING},telemock_reason="left"}}': "3x30",
        },
        {"job": "telemock-injector"},
        "3 pods opted in and run without a sidecar: no injector saw them.",
    ),
    Case(
        "TelemockWebhookCertificateExpiring",
        {'telemock_certificate_days_left{job="telemock-injector"}': "5.5x90"},
        {'telemock_certificate_days_left{job="telemock-injector"}': "30x90"},
        {"job": "telemock-injector"},
        "The webhook's certificate ends in 5.5 days.",
        at="80m",
    ),
]  # fmt: skip


def unit(case: Case, series: dict[str, str], fires: bool) -> dict[str, Any]:
    rule = RULES[case.alert]
    expected = {
        "exp_labels": {"severity": rule["labels"]["severity"], **case.labels},
        "exp_annotations": {
            "summary": case.summary, "runbook_url": rule["annotations"]["runbook_url"],
        },
    }  # fmt: skip
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"eval_time": case.at, "alertname": case.alert, "exp_alerts": [expected] * fires}
        ],
    }


def test_the_rules_can_be_read() -> None:
    for file in alerts.files():
        assert "SUCCESS" in promtool("check", "rules", "--lint-fatal", file)


def test_each_alert_has_a_case() -> None:
    assert {case.alert for case in CASES} == set(RULES)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.alert)
def test_fires_and_is_quiet(case: Case, tmp_path: Path) -> None:
    """Without the description, which is long and takes its labels as the summary does."""
    told = {k: v for k, v in RULES[case.alert]["annotations"].items() if k != "description"}
    rule = {**RULES[case.alert], "annotations": told}
    written = {
        "rules.yaml": {"groups": [{"name": "one", "rules": [rule]}]},
        "test.yaml": {
            "rule_files": ["rules.yaml"],
            "evaluation_interval": "1m",
            "tests": [unit(case, case.firing, True), unit(case, case.quiet, False)],
        },
    }
    for name, what in written.items():
        (tmp_path / name).write_text(yaml.safe_dump(what), encoding="utf-8")
    assert "SUCCESS" in promtool("test", "rules", tmp_path / "test.yaml")


@pytest.mark.parametrize("alert", RULES)
def test_says_what_to_do(alert: str) -> None:
    annotations = RULES[alert]["annotations"]
    assert RULES[alert]["labels"]["severity"] in ("info", "warning", "critical")
    assert annotations["runbook_url"] == f"{RUNBOOK}#{alert.lower()}"
    assert f"\n## {alert}\n" in (ROOT / RUNBOOK).read_text()
    assert "`" in annotations["description"]  # a command or a value to change


def test_goes_by_metrics_that_there_are() -> None:
    known = {row.prometheus + ("_total" if row.kind == "counter" else "") for row in METRICS}
    for rule in RULES.values():
        without_labels = re.sub(r"\{[^}]*\}|by \([^)]*\)", "", rule["expr"])
        assert set(re.findall(r"telemock_[a-z_]+", without_labels)) <= known, rule["alert"]


def test_the_table_has_every_alert() -> None:
    table = alerts.markdown()
    assert all(f"\n| [`{alert}`](#{alert.lower()}) | " in table for alert in RULES)
    assert "{{" not in table
