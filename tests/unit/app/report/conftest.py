"""A store with something of every part of a report."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.contract.record import Tls
from app.store import Store
from app.store.sqlite.store import SqliteStore
from tests.records import HOUR, T0, exchange, incoming, log, spliced


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = SqliteStore(tmp_path / "store.sqlite")
    newer = [("v", "4.17.0"), ("os", "linux"), ("fc.new", "7")]
    store.write(
        incoming(
            exchange(1),
            exchange(2, status=503),
            exchange(4, product_version="4.17.0", query=newer, pod="leader-1", time_ns=T0 + HOUR),
            exchange(5, action="pass", answered_by="upstream", rule="", route="",
                     path="/dl/x.tgz", query=[]),
            spliced(6, "evil\x1b[2J|<img src=x>.example"),
            exchange(7, kind="tls_rejected", request=None, response=None, action="",
                     tls=Tls(sni="cdn.cribl.io"), reason="client_refused_certificate"),
            exchange(8, kind="failed", response=None, reason="upstream_unreachable"),
            exchange(9, kind="refused", action="block", status=403, reason="blocked"),
            log(10, "a line"),
        )
    )  # fmt: skip
    yield store
    store.close()
