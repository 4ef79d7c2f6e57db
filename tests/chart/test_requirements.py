"""Values that exclude each other are refused with one exact sentence."""

from pathlib import Path

import pytest

from charts.generate import CHART, HelmError
from tests.chart.helm import Object, needs_helm, rendered

pytestmark = needs_helm

CASES: list[tuple[Object, str]] = [
    (
        {"profiles": {"builtin": []}},
        "profiles.builtin and profiles.extra are both empty: telemock would know no telemetry "
        "host; set profiles.builtin={cribl} or add a profile of your own",
    ),
    (
        {"profiles": {"extra": {"cribl": "id: cribl"}}},
        'profiles.builtin and profiles.extra both hold "cribl": a profile has one place; give '
        "yours another name, or leave the built-in one out",
    ),
    (
        {"tls": {"existingSecret": "mine", "certManager": {"enabled": True}}},
        "tls.existingSecret and tls.certManager.enabled are both set: one of them provides the "
        "certificates; unset the other",
    ),
    (
        {"tls": {"certManager": {"enabled": True}}},
        "tls.certManager.enabled needs tls.certManager.issuerRef.name: the Issuer or ClusterIssuer "
        "that signs",
    ),
    (
        {"persistence": {"existingClaim": "mine", "storageClass": "fast"}},
        "persistence.existingClaim and persistence.storageClass are both set: the claim that "
        "exists has its class already; unset persistence.storageClass",
    ),
    (
        {"ingress": {"enabled": True}},
        "ingress.enabled needs ingress.host: without one every host name of the controller would "
        "lead to captures",
    ),
    (
        {"ingress": {"login": {"header": "X-User"}}},
        "ingress.login.header needs ingress.login.secret.name or ingress.login.from: without one "
        "everybody could send it and be anybody",
    ),
    (
        {"ingress": {"login": {"from": ["10.0.0.0/8"]}}},
        "ingress.login needs ingress.login.header: the header in which the login proxy names the "
        "person",
    ),
    (
        {"otel": {"headersSecret": {"name": "collector"}}},
        "otel.headersSecret.name needs otel.endpoint, or the endpoint of a signal: without one "
        "nothing is sent that could carry headers",
    ),
    (
        {"otel": {"logs": {"enabled": True}}},
        "otel.logs.enabled needs otel.endpoint or otel.logs.endpoint: where captures are sent to",
    ),
    (
        {"otel": {"sampler": {"type": "always_on", "argument": 0.5}}},
        "otel.sampler.argument needs otel.sampler.type=traceidratio or parentbased_traceidratio: "
        "no other sampler takes one",
    ),
    (
        {"admissionPolicy": {"enabled": True}, "injector": {"failurePolicy": {"pod": "Ignore"}}},
        "admissionPolicy.enabled and injector.failurePolicy.pod=Ignore contradict each other: the "
        "one refuses pods without a sidecar that the other lets through; unset one of them",
    ),
]


def refusal(values: Object, folder: Path, *more: str) -> str:
    with pytest.raises(HelmError) as refused:
        rendered(values, folder, *more)
    text = str(refused.value)
    assert "telemock/templates/requirements.yaml" in text
    return text


@pytest.mark.parametrize(("values", "sentence"), CASES)
def test_what_excludes_each_other(values: Object, sentence: str, tmp_path: Path) -> None:
    assert f": {sentence}\n" in refusal(values, tmp_path)


def test_a_policy_needs_a_cluster_that_knows_it(tmp_path: Path) -> None:
    text = refusal({"admissionPolicy": {"enabled": True}}, tmp_path, "--kube-version", "1.29.4")
    assert (
        ": admissionPolicy.enabled needs Kubernetes >= 1.30, and this is v1.29.4: unset it, or "
        "upgrade the cluster\n" in text
    )


def test_no_other_template_refuses() -> None:
    refusing = [
        f.name
        for f in (CHART / "templates").rglob("*")
        if f.is_file() and "fail " in f.read_text("utf-8")
    ]
    assert refusing == ["requirements.yaml"]
    sentences = (CHART / "templates/requirements.yaml").read_text("utf-8").count("{{- fail ")
    assert sentences == len(CASES) + 1
