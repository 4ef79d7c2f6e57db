"""What every store promises of its roll-ups and inventory: part of its suite."""

import json
from typing import Any

from app.contract.record import Body, CaptureRecord
from app.store import NamespacePart, Scope, Store
from tests.records import HOUR, T0, exchange, incoming, log, spliced


class RollupSuite:
    def test_endpoints_add_up(self, store: Store) -> None:
        for batch in (
            [exchange(1), exchange(2, status=503, pod="leader-1")],
            [exchange(3, time_ns=T0 + HOUR), spliced(4), log(5, "a line")],
        ):
            store.write(incoming(*batch))
        unopened, telemetry = store.endpoints()
        assert (telemetry.host, telemetry.method, telemetry.route, telemetry.rule) == (
            "cdn.cribl.io", "GET", "/telemetry/index.html", "telemetry",
        )  # fmt: skip
        assert (telemetry.count, telemetry.statuses) == (3, {200: 2, 503: 1})
        target = len("/telemetry/index.html") + len("&v=4.16.1-20904e45&os=linux&ib=12")
        assert (telemetry.bytes_out, telemetry.bytes_in) == (3 * target, 3 * 29)
        assert (telemetry.first_ns, telemetry.last_ns) == (T0, T0 + HOUR)
        assert (telemetry.workloads, telemetry.duration_ns) == (2, 7_500_000)
        assert (unopened.host, unopened.kind, unopened.reason) == (
            "other.example", "spliced", "not_named",
        )  # fmt: skip
        assert (unopened.bytes_out, unopened.bytes_in) == (100, 2_000)

    def test_scope(self, store: Store) -> None:
        store.write(
            incoming(
                exchange(1),
                exchange(2, time_ns=T0 + 50 * HOUR, product_version="4.17.0", pod="leader-1"),
                exchange(3, profile="grafana", host="stats.grafana.org"),
            )
        )
        late, cribl = Scope(since_ns=T0 + HOUR), Scope(profile="cribl", until_ns=T0 + HOUR)
        assert [row.version for row in store.versions(late)] == ["4.17.0"]
        assert [row.count for row in store.endpoints(late)] == [1]
        assert [row.pod for row in store.senders(late)] == ["leader-1"]
        assert {row.version for row in store.fields(late)} == {"4.17.0"}
        assert [row.version for row in store.versions(cribl)] == ["4.16.1-20904e45"]
        assert {row.profile for row in store.endpoints(cribl)} == {"cribl"}
        assert [row.pod for row in store.senders(cribl)] == ["leader-0"]
        assert {(r.profile, r.version) for r in store.fields(cribl)} == {
            ("cribl", "4.16.1-20904e45")
        }

    def test_fields_by_version_and_the_new_ones(self, store: Store) -> None:
        first = store.write(incoming(exchange(1), exchange(2)))
        assert {field.path for field in first.new_fields} == {
            "query.v", "query.os", "query.ib", "header.host", "header.user-agent",
        }  # fmt: skip
        newer = exchange(3, product_version="4.17.0", query=[("v", "4.17.0"), ("fc.x", "")])
        assert [(f.path, f.version, f.type) for f in store.write(incoming(newer)).new_fields] == [
            ("query.fc.x", "4.17.0", "empty")
        ]
        assert store.write(incoming(exchange(4))).new_fields == []
        found = {
            (row.version, row.path): (row.type, row.shape, row.count, row.requests)
            for row in store.fields()
        }
        assert found["4.16.1-20904e45", "query.v"] == ("string", "version", 3, 3)
        assert found["4.16.1-20904e45", "query.ib"] == ("integer", "", 3, 3)
        assert found["4.17.0", "query.fc.x"] == ("empty", "", 1, 1)
        assert ("4.17.0", "query.os") not in found

    def test_senders(self, store: Store) -> None:
        laptop = exchange(3, namespace="", pod="")
        store.write(incoming(exchange(1), exchange(2), laptop))
        assert [(row.namespace, row.pod, row.count) for row in store.senders()] == [
            ("", "10.1.2.3", 1), ("logs", "leader-0", 2),
        ]  # fmt: skip

    def test_senders_by_what_became_of_it(self, store: Store) -> None:
        records = (
            exchange(1),
            exchange(2, action="observe", answered_by="upstream"),
            exchange(3, kind="failed", action="observe", answered_by="", reason="upstream_failed"),
            exchange(4),
        )
        store.write(incoming(*records))
        assert {(row.outcome, row.count) for row in store.senders()} == {
            ("answered", 2), ("delivered", 1), ("unanswered", 1),
        }  # fmt: skip
        assert store.senders(Scope(since_ns=T0 - HOUR)) == store.senders()

    def test_events_by_name_and_version(self, store: Store) -> None:
        def batch(seq: int, *names: str, **more: Any) -> CaptureRecord:
            text = json.dumps({"batch": [{"event": name, "x": seq} for name in names]})
            body = Body(size=len(text), text=text)
            return exchange(seq, body=body, method="POST", **more)

        records = (
            batch(1, "start", "stop", "start"),
            batch(2, "start"),
            batch(3, "start", time_ns=T0 + 72 * HOUR, product_version="4.17.0"),
            exchange(4),
            batch(5, "passed", action="pass"),
        )
        store.write(incoming(*records))
        store.write(incoming(*records))  # duplicates
        found = {(row.method, row.version, row.name): row.count for row in store.events()}
        first = records[0].product_version
        assert found == {
            ("POST", first, "start"): 3, ("POST", first, "stop"): 1, ("POST", "4.17.0", "start"): 1,
        }  # fmt: skip
        late = store.events(Scope(since_ns=T0 + 48 * HOUR))
        assert [(row.version, row.count, row.first_ns) for row in late] == [
            ("4.17.0", 1, T0 + 72 * HOUR)
        ]
        assert store.events(Scope(profile="other")) == []
        store.prune(max_bytes=1)  # captures alone
        assert sum(row.count for row in store.events()) == 5

    def test_different_values_are_counted_and_none_is_kept(self, store: Store) -> None:
        for n in range(12):
            query = [("v", "4.16"), ("user", f"somebody-{n % 5}"), ("lic", "***")]
            store.write(incoming(exchange(n + 1, query=query, product_version="4.16")))
        found = {row.path: row for row in store.sketches()}
        assert (found["query.user"].distinct, found["query.user"].looked) == (5, 12)
        assert (found["query.v"].distinct, found["query.lic"].distinct) == (1, 1)
        assert all(row.is_exact for row in found.values())
        assert found.keys() <= {row.path for row in store.fields()}
        several = [("user", "a"), ("user", "b"), ("user", "a")]
        store.write(incoming(exchange(90, query=several, host="other.test", product_version="1")))
        (other,) = [r for r in store.sketches() if (r.host, r.path) == ("other.test", "query.user")]
        assert (other.distinct, other.looked) == (2, 3)
        assert {row.path for row in store.sketches("cribl")} == set(found)
        assert store.sketches("other") == []
        for seq in range(13, 16):
            query = [("v", "4.16"), ("user", "somebody-3"), ("lic", "***")]
            store.write(incoming(exchange(seq, query=query, product_version="4.16")))
        again = {row.path: row for row in store.sketches() if row.host == "cdn.cribl.io"}
        assert (again["query.user"].distinct, again["query.user"].looked) == (5, 15)

    def test_notes_of_what_was_not_kept_whole(self, store: Store) -> None:
        withheld = Body(size=9, withheld="encoding")
        records = (
            exchange(1, body=withheld, method="POST"),
            exchange(2, body=withheld, method="POST"),
            exchange(3, body=Body(size=9, text="x", truncated=True), method="POST"),
            exchange(4),
            exchange(5, request=None, response=None, reason="unmaskable"),
        )
        store.write(incoming(*records))
        found = {(row.method, row.part, row.why): row.count for row in store.notes()}
        assert found == {
            ("POST", "request", "encoding"): 2, ("POST", "request", "cut"): 1,
            ("", "record", "unmaskable"): 1,
        }  # fmt: skip
        assert store.notes(Scope(profile="other")) == []
        store.prune(max_bytes=1)
        assert len(store.notes()) == 3

    def test_the_part_of_some_namespaces_is_as_if_there_were_no_others(self, store: Store) -> None:
        def lists(of: Any) -> list[Any]:
            scopes = (
                Scope(),
                Scope(since_ns=T0 + HOUR),
                Scope(until_ns=T0 + HOUR, profile="cribl"),
            )
            names = ("endpoints", "versions", "senders", "fields", "notes", "events")
            return [getattr(of, name)(scope) for name in names for scope in scopes]

        def of_mine() -> NamespacePart:
            return store.part(["mine", "also-mine"], lambda *_: ())

        text = json.dumps({"batch": [{"event": "start"}, {"event": "stop"}]})
        body = Body(size=len(text), text=text)
        cut = Body(size=len(text), text=text[:9], truncated=True)
        store.write(
            incoming(
                exchange(1, namespace="mine"),
                exchange(2, namespace="also-mine", time_ns=T0 + 2 * HOUR, product_version="4.17.0"),
                exchange(3, namespace="mine", method="POST", body=body),
                exchange(4, namespace="mine", method="POST", body=cut, status=503),
                exchange(5, namespace="mine", profile="grafana", host="stats.grafana.org"),
            )
        )
        mine = of_mine()
        assert (mine.back_to_ns, mine.read) == (0, 5)
        assert lists(mine) == lists(store)
        before = lists(mine)
        theirs = exchange(6, namespace="theirs", product_version="9.9.9", query=[("theirs", "1")])
        store.write(incoming(theirs))
        assert lists(of_mine()) == before
        assert "theirs" not in str(before)
        store.write(incoming(exchange(7, namespace="mine"), exchange(8, namespace="theirs")))
        after = of_mine()
        assert after.read == 6
        assert sum(row.count for row in after.endpoints(Scope())) == 6
        assert store.part([], lambda *_: ()).endpoints(Scope()) == []
