"""Captures of one product at two versions, of the last hours, for what shows them."""

import time

from app.contract.record import Body
from app.store import Incoming
from tests.records import BOOT, HOUR, SECOND, exchange, incoming, spliced

OLDER, NEWER = "4.16.1-20904e45", "4.17.0-1f2e3d4c"
TOKEN = "tok_0123456789abcdef01234567"


def captures(now_ns: int = 0) -> list[Incoming]:
    """1 to 4 of the older version, 5 to 8 of the newer, then connections."""
    now = now_ns or time.time_ns()
    older = [("v", OLDER), ("os", "linux"), ("lic", "***"), ("gone", "1")]
    newer = [("v", NEWER), ("os", "linux"), ("lic", "***"), ("gpu", "none")]
    body = Body(text=f'{{"a":[1,{{"b":"x"}}],"licence":"{TOKEN}","none":null}}', size=60)
    json = [("Content-Type", "application/json"), ("Host", "cdn.cribl.io")]
    return incoming(
        *(
            exchange(n, time_ns=now - 5 * HOUR + n * SECOND, product_version=OLDER, query=older)
            for n in range(1, 5)
        ),
        exchange(5, time_ns=now - HOUR, product_version=NEWER, query=newer, pod="worker-1"),
        exchange(
            6, time_ns=now - 40 * SECOND, product_version=NEWER, query=newer, method="POST",
            body=body, headers=json, action="observe", answered_by="upstream", pod="worker-1",
            host="telemetry.cribl.cloud",
        ),
        exchange(
            7, time_ns=now - 30 * SECOND, product_version=NEWER, query=newer, kind="refused",
            action="block", answered_by="", status=403, reason="blocked",
        ),
        exchange(
            8, time_ns=now - 20 * SECOND, product_version=NEWER, query=newer, kind="failed",
            action="observe", answered_by="", reason="upstream_unreachable",
        ),
        spliced(9, time_ns=now - 10 * SECOND),
        spliced(
            10, host="cdn.cribl.io", time_ns=now - 5 * SECOND, kind="tls_rejected", action="",
            profile="cribl", reason="client_refused_certificate",
        ),
    )  # fmt: skip


def id_of(seq: int) -> str:
    return f"{BOOT}-{seq}"
