"""What every store promises of the filter language and of sums by dimension. Part of the suite."""

import msgspec
import pytest

from app.contract.record import CaptureRecord
from app.store import CaptureQuery, Scope, Store, filter
from tests.records import HOUR, SECOND, T0, exchange, incoming, spliced


def ids(items: list[bytes]) -> list[int]:
    return [msgspec.json.decode(item, type=CaptureRecord).seq for item in items]


class FilterSuite:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("host:cdn.cribl.io", {1, 2, 3}),
            ("-host:cdn.cribl.io", {4}),
            ("host:*.cribl.io,other.example", {1, 2, 3, 4}),
            ("host:*.CRIBL.io", set()),
            ("path:/100%_[x]?", {3}),
            ("path:/100%_[x]*", {3}),
            ("path:*[?]*", set()),
            ("version>=4.17", {2}),
            ("version<4.17", {1, 3}),
            ("version<=4.16", set()),
            ("version>4.16", {1, 2, 3}),
            ("-version>=4.17", {1, 3, 4}),
            ("action:mock,pass", {1, 2, 4}),
            ("-action:mock,pass", {3}),
            ("status:4xx", {3}),
            ("-status:2xx", {3, 4}),
            ("status>=403", {3}),
            ("status<=2xx", {1, 2, 4}),
            ("status<2xx", {4}),
            ("status>2xx", {3}),
            ("status:2xx,403", {1, 2, 3}),
            ("method:POST namespace:edge", {2}),
            ("pod:leader-*", {1, 3}),
            ('"EVENTS"', {2}),
            ("-events", {1, 3, 4}),
            ("100%_", {3}),
            ("field:lic", {2}),
            ("field:query.lic", {2}),
            ("-field:lic action:mock", {1}),
            ("field:ic", set()),
            ("outcome:answered", {1, 2}),
            ("outcome:passed", {4}),
            ("outcome:delivered", set()),
            ("outcome:relayed,refused", {3, 4}),
            ("kind:spliced", {4}),
            ("reason:not_named", {4}),
            ("rule:telemetry route:/telemetry/*", {1, 2, 3}),
            ("profile:cribl", {1, 2, 3}),
        ],
    )
    def test_filter_language(self, store: Store, text: str, expected: set[int]) -> None:
        store.write(
            incoming(
                exchange(1),
                exchange(
                    2, method="POST", path="/telemetry/events", pod="worker-1", namespace="edge",
                    product_version="4.17.0", time_ns=T0 + SECOND,
                    query=[("v", "4.17.0"), ("lic", "***")],
                ),
                exchange(
                    3, kind="refused", status=403, action="block", path="/100%_[x]?",
                    time_ns=T0 + SECOND,
                ),
                spliced(4, time_ns=T0 + 2 * SECOND, profile=""),
            )
        )  # fmt: skip
        query = filter.read(text, CaptureQuery(limit=1))
        for order in ("newest", "oldest", "arrival"):
            found, cursor = [], None
            while True:
                page = store.captures(msgspec.structs.replace(query, order=order, cursor=cursor))
                found += ids(page.items)
                if page.next is None:
                    break
                cursor = page.next
            assert sorted(found) == sorted(expected), order

    def test_traffic_by_what_is_asked(self, store: Store) -> None:
        store.write(
            incoming(
                exchange(1),
                exchange(2, time_ns=T0 + 3 * HOUR, action="observe"),
                exchange(3, time_ns=T0 + HOUR // 4, product_version="4.17.0"),
                spliced(4, time_ns=T0),
            )
        )
        rows = store.traffic(Scope(), ("action",))
        assert [(row.at_ns, row.by, row.count) for row in rows] == [
            (0, ("mock",), 2),
            (0, ("observe",), 1),
            (0, ("pass",), 1),
        ]
        rows = store.traffic(Scope(profile="cribl"), ("version", "status"), 2)
        assert [(row.at_ns % (2 * HOUR), row.by, row.count) for row in rows] == [
            (0, ("4.16.1-20904e45", 200), 1),
            (0, ("4.17.0", 200), 1),
            (0, ("4.16.1-20904e45", 200), 1),
        ]
        assert sum(row.count for row in store.traffic(Scope(since_ns=T0 + 2 * HOUR), ())) == 1
