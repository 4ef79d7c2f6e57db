"""The profiles that ship, with requests of the shape that each vendor's source or documents give.
What was run for real is in `tests/unit/test_senders.py`.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.contract import body as bodies
from app.contract.decoding.read import for_conditions, read
from app.contract.lines import of_lines
from app.contract.masking.masker import Masker
from app.contract.record import CaptureRecord, Message, Request, decode, encode, first
from app.contract.rules import Seen, decide, product_version
from app.profiles.compile import load
from app.profiles.read import BUILT_IN, built_in
from app.report.documented import carriers, compared
from app.report.papers import Paper, papers_of
from app.store.inventory import observe
from tests.canary import readings
from tests.clients.table import CLIENTS

LOADED = load(built_in())
RULES = LOADED.rules
MASKER = Masker(RULES, b"k" * 32, "k1")
SECRET = "5f0c7b1e-93ad-4a4e-8d7e-6b1f2a3c4d5e"  # an id that must not stay readable
JSON = "application/json"


class Sent(NamedTuple):
    """One request. `version` is what must be found; SECRET stands wherever an id would."""

    profile: str
    rule: str
    url: str
    version: str = ""
    method: str = "POST"
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: Any = None


def usage(product: str, host: str = "stats.grafana.org") -> Sent:
    body = {
        "clusterID": SECRET,
        "version": {"version": "3.2.1", "branch": "k"},
        "metrics": {"a": 1},
    }
    return Sent(product, "usage", f"{host}/{product}-usage-report", "3.2.1", body=body)


def crew_created() -> bytes:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    spans.add(name="Flow Creation").attributes.add(key="flow_name").value.string_value = "Billing"
    span = spans.add(name="Crew Created")
    for key, value in {
        "crewai_version": "1.2.0", "python_version": "3.12", "crew_key": SECRET, "crew_id": SECRET,
        "crew_fingerprint": SECRET, "crew_agents": json.dumps([{"id": SECRET, "goal": "g"}]),
    }.items():  # fmt: skip
        span.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()


type Numbered = dict[int, "Numbered | int | str"]


def protobuf(fields: Numbered) -> bytes:
    """A message of small numbers, short texts and messages, by their fields' numbers."""
    parts = []
    for number, value in fields.items():
        if isinstance(value, int):
            parts.append(bytes([number << 3, value]))
        else:
            data = value.encode() if isinstance(value, str) else protobuf(value)
            parts.append(bytes([number << 3 | 2, len(data)]) + data)
    return b"".join(parts)


DIAGNOSTICS: Numbered = {
    1: {1: 12, 2: 99, 3: 98, 4: 7, 9: 60},
    2: {1: 12, 2: 39, 6: 101, 7: 88},
    6: {1: "kv.rangefeed.enabled", 2: "true"},
    9: {1: "sql.query.count", 2: 100},
    10: {1: 12, 2: 60},
    11: {
        1: {1: {1: "region", 2: "eu-1"}}, 3: {1: "debian", 2: "ubuntu", 3: "22.04"},
        4: {1: "go1.22.5", 2: "v25.3.0"}, 5: "Enterprise", 6: {1: "gcp", 2: "us-east1-b"},
    },
}  # fmt: skip

TABLE = (
    Sent("grafana", "usage", "stats.grafana.org/grafana-usage-report", "12_1_0",
         body={"version": "12_1_0", "os": "linux", "arch": "amd64", "edition": "oss",
               "usageStatsId": SECRET,
               "metrics": {"stats.users.count": 3, "stats.active_users.count": 2}}),
    usage("loki"), usage("tempo"), usage("mimir"),
    Sent("gitlab", "usage", "version.gitlab.com/usage_data", "18.2.0-ee",
         body={"version": "18.2.0-ee", "uuid": SECRET, "counts": {"issues": 1}}),
    Sent("kibana", "send", "telemetry.elastic.co/v3/send/kibana-snapshot", "9.1.0",
         headers={"X-Elastic-Cluster-ID": SECRET, "X-Elastic-Stack-Version": "9.1.0"},
         body=b"\x01\x9f" * 40),
    Sent("hashicorp-checkpoint", "check", "checkpoint-api.hashicorp.com/v1/check/vault", "1.20.1",
         "GET", {"version": "1.20.1", "arch": "amd64", "os": "linux", "signature": SECRET}),
    Sent("traefik", "usage", "collect.traefik.io/9vxmmkcdmalbdi635d4jgc5p5rx0h7h8", "3.5.0",
         body={"version": "3.5.0", "hash": SECRET,
               "configuration": b64encode(b'{"log":{"level":"INFO"}}').decode()}),
    Sent("traefik", "releases", "update.traefik.io/repos/traefik/traefik/releases", "", "GET"),
    Sent("cockroachdb", "updates", "register.cockroachdb.com/api/clusters/updates", "v25.3.0",
         "GET", {"version": "v25.3.0", "uuid": SECRET, "license_id": SECRET, "platform": "linux"}),
    Sent("cockroachdb", "report", "register.cockroachdb.com/api/clusters/report", "v25.3.0",
         query={"version": "v25.3.0", "nodeid": "12", "uuid": SECRET, "logical_uuid": SECRET,
                "organization_id": SECRET, "license_id": SECRET, "licensetype": "Enterprise"},
         body=protobuf(DIAGNOSTICS)),
    Sent("linkerd", "heartbeat", "versioncheck.linkerd.io/version.json", "edge-25.8.1", "GET",
         {"version": "edge-25.8.1", "source": "heartbeat", "uuid": SECRET, "install-time": SECRET,
          "k8s-version": "1.34", "arch": "amd64", "ext-viz": "1", "p99-handle-us": "900"}),
    Sent("calico", "usage", "usage.projectcalico.org/UsageCheck/calicoVersionCheck", "v3.30.2",
         "GET", {"guid": SECRET, "cal_ver": "v3.30.2", "type": "k8s", "size": "7"}),
    Sent("longhorn", "check", "longhorn-upgrade-responder.rancher.io/v1/checkupgrade", "v1.9.1",
         body={"appVersion": "v1.9.1",
               "extraTagInfo": {"kubernetesVersion": "1.34", "hostOsDistro": "sles",
                                "longhornSettingAutoSalvage": "true",
                                "longhornImageRegistry": "registry.example/acme"},
               "extraFieldInfo": {"longhornNamespaceUid": SECRET, "longhornNodeCount": 3,
                                  "longhornNodeDiskSSDCount": 2, "longhornDiskBlockCount": 1,
                                  "longhornVolumeAccessModeRwoCount": 4}}),
    Sent("replicated-sdk", "report", "replicated.app/kots_metrics/license_instance/info", "1.9.0",
         headers={"User-Agent": "Replicated-SDK/1.9.0", "X-Replicated-ClusterID": SECRET,
                  "X-Replicated-InstanceID": SECRET, "X-Replicated-K8sVersion": "v1.34.1",
                  "X-Replicated-DownstreamChannelID": "c1",
                  "Authorization": "Basic " + b64encode(f"{SECRET}:{SECRET}".encode()).decode()},
         body={"instance_id": SECRET, "cluster_id": SECRET, "app_status": "ready"}),
    Sent("datadog-agent", "telemetry",
         "instrumentation-telemetry-intake.datadoghq.eu/api/v2/apmtelemetry", "7.69.0",
         headers={"DD-Api-Key": SECRET, "DD-Telemetry-Product-Version": "7.69.0"},
         body={"api_version": "v2", "request_type": "message-batch", "host": {"hostname": "x"},
               "payload": [{"request_type": "agent-metrics", "payload": {
                   "message": "Agent metrics", "metrics": {
                       "agent_metadata": {"hostid": SECRET, "hostname": SECRET, "os": "linux"},
                       "logs.dropped": {"value": 1, "type": "counter"}}}}]}),
    Sent("datadog-agent", "telemetry",
         "instrumentation-telemetry-intake.datadoghq.eu/api/v2/apmtelemetry", "7.69.0",
         headers={"DD-Api-Key": SECRET, "DD-Agent-Version": "7.69.0"},
         body={"api_version": "v2", "request_type": "app-started", "host": {"hostname": SECRET}}),
    Sent("vllm", "usage", "stats.vllm.ai/", "0.11.0",
         body={"uuid": SECRET, "vllm_version": "0.11.0", "env_var_json": json.dumps({"A": "1"})}),
    Sent("airflow", "scheduler", "apacheairflow.gateway.scarf.sh/scheduler", "3.0.6", "GET",
         {"version": "3.0.6", "python_version": "3.12"}),
    Sent("airflow", "webserver",
         "apacheairflow.gateway.scarf.sh/webserver/2.10.5/3.12/Linux/x86_64/postgresql", "2.10.5",
         "GET"),
    Sent("airflow", "webserver-counts",
         "apacheairflow.gateway.scarf.sh/webserver/2.10.2/3.12/Linux/x86_64/postgresql/13.16/"
         "CeleryExecutor/1-5/1-5/1/1/0/0", "2.10.2", "GET"),
    Sent("n8n", "batch", "telemetry.n8n.io/v1/batch", "1.110.0",
         body={"batch": [{"type": "track", "userId": f"{SECRET}#7", "event": "pulse",
                          "properties": {"instance_id": SECRET, "version_cli": "1.110.0"}}]}),
    Sent("qdrant", "report", "telemetry.qdrant.io/", "1.15.4",
         body={"id": SECRET, "app": {"name": "qdrant", "version": "1.15.4"}}),
    Sent("nginx-gateway-fabric", "traces",
         "oss.edge.df.f5.com/opentelemetry.proto.collector.trace.v1.TraceService/Export", "2.1.0",
         headers={"content-type": JSON},
         body={"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [
             {"key": "ProjectVersion", "value": {"stringValue": "2.1.0"}},
             {"key": "dataType", "value": {"stringValue": "ngf-product-telemetry"}},
             {"key": "ProjectName", "value": {"stringValue": "NGF"}},
             {"key": "GatewayCount", "value": {"intValue": "2"}},
             {"key": "FlagNames", "value": {"arrayValue": {"values": [{"stringValue": "a"}]}}},
             {"key": "ClusterID", "value": {"stringValue": SECRET}}]}]}]}]}),
    Sent("crewai", "traces", "telemetry.crewai.com:4319/v1/traces", "1.2.0",
         headers={"content-type": "application/x-protobuf"}, body=crew_created()),
    Sent("haystack", "batch", "eu.i.posthog.com/batch/", "3.4.1",
         body={"batch": [{"event": "Pipeline run (2.x)", "distinct_id": SECRET,
                          "properties": {"libraries.haystack": "3.4.1", "runs": 1}}]}),
    Sent("dvc", "report", "analytics.dvc.org/", "3.67.1",
         body={"cmd_class": "CmdInit", "user_id": SECRET, "group_id": SECRET,
               "dvc_version": "3.67.1"}),
    Sent("astro", "record", "telemetry.astro.build/api/v1/record", "5.18.2",
         body={"context": {"anonymousId": SECRET, "anonymousProjectId": SECRET},
               "meta": {"astroVersion": "5.18.2", "cpuCount": 8}, "events": [
                   {"eventName": "ASTRO_CLI_SESSION_STARTED", "payload": {
                       "cliCommand": "build", "isAgentic": True, "agentId": "cursor-agent"}}]}),
    Sent("turbo", "events", "telemetry.vercel.com/api/turborepo/v1/events", "2.11.11",
         headers={"User-Agent": "turbo 2.11.11 1.98.0-nightly linux x86_64",
                  "X-Turbo-Telemetry-Id": SECRET, "X-Turbo-Session-Id": SECRET},
         body=[{"generic": {"key": "execution", "value": "ended"}}]),
    Sent("prisma", "check", "checkpoint.prisma.io/v1/check/prisma", "7.10.1", "GET",
         {"version": "7.10.1", "arch": "x64", "os": "linux", "signature": SECRET,
          "project_hash": SECRET, "command": "validate"}),
)  # fmt: skip
each = pytest.mark.parametrize("sent", TABLE, ids=lambda sent: f"{sent.profile}-{sent.rule}")


def record_of(sent: Sent) -> tuple[CaptureRecord, str]:
    """The record, and the version as the profile finds it."""
    host, _, path = sent.url.partition("/")
    host, _, port = host.partition(":")
    headers = list(sent.headers.items())
    body = None
    if sent.body is not None:
        content = sent.body if isinstance(sent.body, bytes) else json.dumps(sent.body).encode()
        body = bodies.whole(content, "")
        if not isinstance(sent.body, bytes):
            headers = [("content-type", JSON), *(h for h in headers if h[0] != "content-type")]
    request = Request(
        method=sent.method, host=host, port=int(port or 443), path=f"/{path}",
        query=list(sent.query.items()), headers=headers, body=body,
    )  # fmt: skip
    seen = Seen(
        method=request.method, host=host, path=request.path, query=request.query, headers=headers,
        json=for_conditions(read(body, first(headers, "content-type"))),
    )  # fmt: skip
    decision = decide(RULES, seen)
    assert decision.profile is not None and decision.rule is not None
    assert (decision.profile.id, decision.rule.id) == (sent.profile, sent.rule)
    record = CaptureRecord(
        boot="0" * 16, seq=1, kind="exchange", time_ns=1, profile=sent.profile, rule=sent.rule,
        request=request, route=decision.rule.route or "",
    )  # fmt: skip
    return record, product_version(decision.profile, seen, decision.rule)


@each
def test_its_rule_takes_it_and_the_version_is_known(sent: Sent) -> None:
    assert record_of(sent)[1] == sent.version


@each
def test_its_ids_are_masked(sent: Sent) -> None:
    record, _ = record_of(sent)

    def shows(of: CaptureRecord) -> bool:
        return any(SECRET.encode() in text for _, text in readings(encode(of)))

    assert shows(record) == (SECRET in repr(sent) or "Basic" in repr(sent))
    assert not shows(MASKER.record(decode(encode(record))))


def test_every_profile_that_ships_has_a_request_that_it_takes() -> None:
    known = {sent.profile for sent in TABLE} | {c.profile for c in CLIENTS}
    assert known >= {*built_in()} - {"cribl", "kong"}


@pytest.mark.parametrize("paper", papers_of(LOADED.written), ids=lambda paper: paper.profile)
def test_a_profile_that_ships_says_where_its_claims_come_from(paper: Paper) -> None:
    assert (BUILT_IN / f"{paper.profile}.yaml").exists()
    assert paper.licence_note and all(claim.source and claim.verified for claim in paper.evidence)


@pytest.mark.parametrize("paper", papers_of(LOADED.written), ids=lambda paper: paper.profile)
def test_a_profile_that_ships_says_all_that_is_asked_of_one_or_that_it_is_unknown(
    paper: Paper,
) -> None:
    assert paper.unknown and paper.sends and bool(paper.documented) != bool(paper.no_list)
    assert all(one.source and one.verified for one in [*paper.documented, *paper.no_list])
    assert paper.opt_out or any("switch" in what for what in paper.unknown)


@pytest.mark.parametrize(
    ("profile", "beside", "never"),
    [
        ("linkerd", {"arch", "ext-viz", "p99-handle-us"}, "meshed-pods"),
        (
            "longhorn",
            {"appVersion", "kubernetesVersion", "longhornImageRegistry"},
            "Kubernetes node provider.",
        ),
        (
            "nginx-gateway-fabric",
            {"dataType", "ProjectName"},
            "Control Plane Pod Count the count of NGINX Gateway Fabric Pods.",
        ),
        (
            "prisma",
            {"project_hash", "command"},
            "node_version: Client's node version (e.g. `v12.12.0`).",
        ),
        (
            "replicated-sdk",
            {"authorization", "cluster_id", "x-replicated-clusterid"}
            | {"x-replicated-downstreamchannelid"},
            "Resource statuses",
        ),
        ("turbo", set(), "Size of application (total number of workspaces)"),
    ],
)
def test_what_is_documented_of_the_documented_shape(
    profile: str, beside: set[str], never: str
) -> None:
    types: dict[str, set[str]] = {}
    for sent in (sent for sent in TABLE if sent.profile == profile):
        fields = observe(record_of(sent)[0], ())
        for field in fields.fields if fields else ():
            types.setdefault(field.path, set()).add(field.type)
    (paper,) = papers_of(load([profile]).written)
    found = compared(paper, types)
    assert {path.rpartition(".")[2] for path in found.undocumented} == beside
    assert len(found.seen) == len(carriers(types)) - len(found.undocumented) > 0
    words = {word for one in found.seen for word in one.words}
    assert never not in words and never in {one.words for one in found.unseen}


KONG = (
    f"<14>version=3.9.1;hostname={SECRET};cores=8;uname=Linux;database=off;signal=ping;"
    f"unique_id={SECRET};cluster_id={SECRET};requests=7\n"
).encode()


def test_kong_s_line_is_taken_read_and_masked() -> None:
    decision = of_lines(RULES, ["kong-hf.konghq.com"], 61833, None)
    assert decision is not None and decision.name == "kong/report" and decision.profile is not None
    body = bodies.whole(KONG)
    seen = Seen(method="", host=decision.host, path="", json=read(body, "", ["pairs"]).value)
    assert product_version(decision.profile, seen, decision.rule) == "3.9.1"
    record = CaptureRecord(
        boot="0" * 16, seq=1, kind="message", time_ns=1, profile="kong", rule="report",
        message=Message(of="", sender="client", body=body, line=True),
    )  # fmt: skip
    fields = observe(record, ("pairs",))
    assert fields is not None
    assert {"body.hostname", "body.signal", "body.requests"} <= {f.path for f in fields.fields}
    masked = MASKER.record(decode(encode(record)))
    assert SECRET.encode() not in encode(masked) and b"version=3.9.1;" in encode(masked)


def test_a_profile_s_own_ports_are_those_of_its_requests() -> None:
    told = {
        (sent.profile, int(port))
        for sent in TABLE if (port := sent.url.partition("/")[0].partition(":")[2])
    }  # fmt: skip
    named = {(p.id, port) for p in RULES.profiles for h in p.hosts for port in h.ports}
    assert named == told | {("kong", 61833)}


def test_gitlab_gets_the_answer_that_it_needs() -> None:
    taken = RULES.rule("gitlab", "usage")
    assert taken is not None
    assert json.loads(taken[1].answer.body)["conv_index"]["usage_data_id"] > 0
