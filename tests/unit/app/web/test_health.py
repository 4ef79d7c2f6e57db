import shutil
import time
from collections import namedtuple
from html import unescape

import httpx
import pytest

from app.contract.account import Account
from app.store import Told
from app.web import health
from tests.records import BOOT, exchange, incoming
from tests.serving import Served
from tests.unit.app.web.conftest import bounded, sign_in


def test_all_is_well(visitor: httpx.Client) -> None:
    text = visitor.get("/status").text
    assert "telemock is well." in text
    for part in ("10 records", "free", "Retention", "cribl", "version 0."):
        assert part in text


def test_what_is_not_well_is_said(
    visitor: httpx.Client, filled: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100 << 20, 99 << 20, 1 << 20))
    filled.runtime.profiles.error = "cribl.yaml: rules.0 <b>is wrong</b>"
    text = visitor.get("/status").text
    assert "2 parts need a look." in text
    assert "lower TELEMOCK_RETENTION_SIZE" in text
    assert "&lt;b&gt;is wrong" in text


def test_a_store_that_fails_shows(visitor: httpx.Client, filled: Served) -> None:
    filled.runtime.store.close()
    text = visitor.get("/status").text
    assert "telemock is well." not in text
    assert "Store" in text


def test_what_each_pod_has_not_delivered(filled: Served) -> None:
    account = Account(boot=BOOT, numbered=60, lost={"spool_full": 3})
    filled.runtime.store.write(
        incoming(exchange(60, time_ns=time.time_ns())), [Told(account, "logs", "leader-0")]
    )
    with sign_in(filled) as client:
        text = unescape(client.get("/status").text)
        assert "Records that the store lacks" in text
        row = text.partition("Records that the store lacks")[2]
        assert "logs/leader-0" in row and "the spool reached its size limit" in row
        assert "in the last 1 min" in text and "schema " in text
        bounded(filled, "edge")
        assert "logs/leader-0" not in client.get("/status").text


def test_spans() -> None:
    assert [health._span(s) for s in (59, 3599, 7200, 200_000)] == [
        "0 min", "59 min", "2 h", "2 days",
    ]  # fmt: skip
