import msgspec
import pytest

from app.contract.decoding.bounds import taken
from app.contract.decoding.read import decode
from app.contract.record import REASONS, Body, Endpoint, Message, Response, Searched
from app.ingest.counters import LOSSES, Counting
from app.otel.metrics import LABEL_SETS, Metrics
from app.store import OTHER, NewField, NewHost, StoreError, Written
from tests.records import exchange, incoming, log, spliced

HOW = ("as it is", "SHA-256", "SHA-256, in base64")


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_what_is_stored_is_counted_and_duplicates_are_not() -> None:
    metrics = Metrics("app")
    group = incoming(
        exchange(1, pod="a-6f7c9d5b8-x2v4k", body=Body(size=1000)),
        exchange(2, pod="a-6f7c9d5b8-n8jkl", response=Response(status=503)),
        exchange(3),
        spliced(4, sent=77),
        log(5, "a line"),
    )
    new = NewField("cribl", "cdn.cribl.io", "GET", "/r", "1", "query.a", "string")
    written = Written([0, 1, 3, 4], 1, [new, new], [NewHost("", "other.example")])
    Counting(metrics).stored(group, written)

    def captures(kind: str, action: str, profile: str, rule: str, status: str) -> float | None:
        return value(
            metrics, "telemock_captures_total", telemock_kind=kind, telemock_action=action,
            telemock_profile=profile, telemock_rule=rule, telemock_status_class=status,
        )  # fmt: skip

    assert captures("exchange", "mock", "cribl", "telemetry", "2xx") == 1
    assert captures("exchange", "mock", "cribl", "telemetry", "5xx") == 1
    assert captures("spliced", "pass", "", "", "") == 1
    assert captures("log", "", "", "", "") == 1
    assert value(
        metrics, "telemock_workload_captures_total", telemock_profile="cribl",
        telemock_workload_namespace="logs", telemock_workload="a",
    ) == 2  # fmt: skip
    assert value(
        metrics, "telemock_product_captures_total", telemock_profile="cribl",
        telemock_product_version="4.16.1-20904e45",
    ) == 2  # fmt: skip
    left = {"telemock_profile": "cribl", "server_address": "cdn.cribl.io"}
    sent = value(metrics, "telemock_leaving_size_bytes_total", **left, telemock_action="mock")
    assert sent is not None and 1000 < sent < 1200
    assert value(
        metrics, "telemock_leaving_size_bytes_total", telemock_profile="",
        server_address="other.example", telemock_action="pass",
    ) == 77  # fmt: skip
    assert value(metrics, "telemock_inventory_new_fields_total", telemock_profile="cribl") == 2
    assert value(metrics, "telemock_inventory_new_hosts_total", telemock_profile="") == 1


def test_a_message_leaves_with_its_size() -> None:
    metrics = Metrics("app")
    message = exchange(
        1, kind="message", response=None, destination=Endpoint("192.0.2.1", 443),
        message=Message(of="x-1", sender="client", body=Body(size=50)),
    )  # fmt: skip
    message.request = None
    Counting(metrics).stored(incoming(message), Written([0], 0, []))
    assert value(
        metrics, "telemock_leaving_size_bytes_total", telemock_profile="cribl",
        server_address="192.0.2.1", telemock_action="mock",
    ) == 50  # fmt: skip


def test_what_alerts_look_at_begins_with_0() -> None:
    metrics = Metrics("app")
    counting = Counting(metrics)
    counting.expect(["cribl"])
    for reason in LOSSES:
        assert reason in REASONS
        assert value(metrics, "telemock_capture_dropped_total", telemock_reason=reason) == 0
    for profile in ("", "cribl"):
        for of in ("fields", "hosts"):
            name = f"telemock_inventory_new_{of}_total"
            assert value(metrics, name, telemock_profile=profile) == 0
    assert value(metrics, "telemock_store_failing") == 0


def test_series_are_bounded() -> None:
    metrics = Metrics("app")
    counting = Counting(metrics)
    for start in range(0, 10_000, 500):
        group = incoming(
            *(
                exchange(
                    n, host=f"h{n}.test", path=f"/p/{n}", pod=f"p{n}o-0", namespace=f"n{n}",
                    profile=f"x{n}", rule=f"r{n}", product_version=f"{n}",
                )
                for n in range(start + 1, start + 501)
            )
        )  # fmt: skip
        counting.stored(group, Written(list(range(500)), 0, []))
    series = [line for line in metrics.render().decode().splitlines() if not line.startswith("#")]
    # Five counters by what senders choose, and one series of each for all the others.
    assert len(series) < 4 * (LABEL_SETS + 1) + 100
    assert not any("/p/" in line for line in series)


def test_bounds_of_decoding_are_counted() -> None:
    metrics = Metrics("app")
    counting = Counting(metrics)
    taken()
    decode(b"1 " * 9_000)
    counting.stored([], Written([], 0, []))
    name = "telemock_decoding_bounded_total"
    assert value(metrics, name, telemock_bound="documents") == 1
    assert value(metrics, name, telemock_bound="seconds") == 0


def test_fields_are_counted_by_class_and_those_about_somebody_are_told() -> None:
    metrics = Metrics("app")
    counting = Counting(metrics)
    counting.known({("cribl", "version"): 4, ("cribl", "contact"): 1})
    fields = [
        NewField("cribl", "h", "GET", "/r", "1", f"query.{name}", "string", of)
        for name, of in (("a", "version"), ("b", "contact"), ("c", "secret"), ("d", ""))
    ]
    counting.stored([], Written([], 0, fields))
    assert counting.recount
    counting.expect(["cribl"], lambda profile, path: "licence" if path == "query.b" else "")
    counting.stored([], Written([], 0, fields[1:2]))  # now as a profile says
    counting.known({("cribl", "contact"): 2, ("cribl", "licence"): 1})

    def number(name: str, of: str) -> float | None:
        return value(metrics, name, telemock_profile="cribl", telemock_class=of)

    seen = {of: number("telemock_inventory_fields", of) for of in ("version", "contact", "licence")}
    assert seen == {"version": 0, "contact": 2, "licence": 1}
    # Known ones that are about somebody for the first time; not where the profile says otherwise.
    known = [msgspec.structs.replace(fields[n], class_="network") for n in (0, 1)]
    counting.stored([], Written([], 0, [], turned=known))
    assert number("telemock_inventory_new_sensitive_total", "network") == 1
    new = "telemock_inventory_new_sensitive_total"
    assert [number(new, of) for of in ("version", "contact", "secret", "licence")] == [
        None, 1, 1, None,
    ]  # fmt: skip


def test_values_that_identify_a_pod_are_counted_by_record_and_source() -> None:
    """A sender that makes up sources makes no label of them."""
    metrics = Metrics("app")

    def found(*sources: str) -> Searched:
        return Searched(found=[(source, "query.id", how) for source in sources for how in HOW])

    group = incoming(
        exchange(1, canary=found("host name", "pod UID")),
        exchange(2, canary=found("host name")),
        exchange(3, canary=found("made up", "another", "user (real)")),
        exchange(4, canary=found()),
        exchange(5, canary=found("host name")),
    )
    Counting(metrics).stored(group, Written([0, 1, 2, 3], 1, []))
    name = "telemock_canary_found_total"
    counted = {
        source: value(metrics, name, telemock_profile="cribl", telemock_source=source)
        for source in ("host name", "pod UID", OTHER, "made up")
    }
    assert counted == {"host name": 2, "pod UID": 1, OTHER: 1, "made up": None}


def test_fields_are_counted_anew_where_somebody_spoke_and_else_once_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr("app.ingest.counters.time.monotonic", lambda: now)
    counting, asked = Counting(Metrics("app")), 0

    def fields() -> dict[tuple[str, str], int]:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise StoreError("full")
        return {}

    counting.recounted(fields)
    counting.recounted(fields)
    assert asked == 1
    now += 60
    counting.recounted(fields)
    assert asked == 2
    counting.recount = True
    with pytest.raises(StoreError):
        counting.recounted(fields)
    counting.recounted(fields)  # what failed is asked again
    counting.recounted(fields)
    assert asked == 4
