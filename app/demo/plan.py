"""The calls of the demo's stand-in node, one by one, and the expected answers.

The telemetry request has the 47 parameters that are documented for product version 4.16.1; every
value is made up.
"""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

from app.demo.host import CA_NAME, CDN, DOWNLOAD, OTHER, download

VERSIONS = ("4.16.1-20904e45", "4.16.2-7c1d9b02")
ROUNDS = 3  # telemetry requests of each version
ADDED = {"fc.Wq4": "2", "ai.req": "17", "wpm": "1"}  # fields that only the newer version sends
MOCKED = len(VERSIONS) * (ROUNDS + 3)
SPANS = 3  # spans of one answer by the app
PASSED = len(VERSIONS) * 2  # requests passed through: the download and the other host
CAPTURES = MOCKED + PASSED
LINE = "cribl /// living the stream!\n"
LICENCE = base64.b64encode(b'{"id":"made-up-licence-0000"}').decode()
GUID = "2f1c9a52-6d0e-4b7a-9c61-0d5f3a7be810"


class Call(NamedTuple):
    """One request of the node. `expect` are parts of the answer that the node reports; `ours` says
    whether the certificate must be telemock's or the real host's."""

    method: str
    url: str
    expect: dict[str, Any]
    ours: bool = True
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed
    body: str = ""

    def problem(self, got: dict[str, Any]) -> str:
        """Describes the first difference of the node's answer from the plan, "" without one."""
        what = f"{self.method} {self.url.partition('?')[0]}"
        if "error" in got:
            return f"{what} failed: {got['error']}"
        for name, wanted in self.expect.items():
            if got.get(name) != wanted:
                return f"{what} got {name} {got.get(name)!r}, expected {wanted!r}"
        if (got["issuer"] == CA_NAME) == self.ours:
            return f"{what} was shown a certificate of {got['issuer']!r}"
        return ""


def calls(version: str) -> Iterator[Call]:
    """The calls of one run of the node at this product version."""
    base = f"https://{CDN}"
    for number in range(ROUNDS):
        query = urlencode(parameters(version, number))
        url = f"{base}/telemetry/index.html?{query}"
        yield Call("GET", url, {"status": 200, "start": LINE})
    yield Call("GET", f"{base}/telemetry/cribl.js?v={version}", {"status": 200})
    yield Call(
        "POST",
        f"{base}/telemetry/events",
        {"status": 200},
        headers={"content-type": "application/json"},
        body=f'{{"version":"{version}","guid":"{GUID}","events":[{{"name":"pipeline.saved"}}]}}',
    )
    yield Call("GET", f"{base}/telemetry/config?v={version}", {"status": 200})
    file = download()
    yield Call(
        "GET",
        base + DOWNLOAD,
        {"status": 200, "size": len(file), "sha256": hashlib.sha256(file).hexdigest()},
    )
    yield Call(
        "POST",
        f"https://{OTHER}/ingest",
        {"status": 200, "start": '{"accepted":3}\n'},
        ours=False,
        headers={"content-type": "application/json"},
        body='[{"event":1},{"event":2},{"event":3}]',
    )


def parameters(version: str, number: int) -> dict[str, str]:
    """The query of the `number`-th telemetry request of a node of this version."""
    first = {
        "v": version, "env": "onprem", "os": "ubuntu-24.04", "kv": "6.8.0-31-generic",
        "lic": LICENCE, "licls": "free", "guid": GUID, "p": "stream", "dm": "single", "it": "tgz",
    }  # fmt: skip
    counters = (
        "fc.giv fc.h7h fc.EYq fc.qiD fc.uOA fc.rTA fc.GZs fc.ffg fc.nUz lk.max lk.csv pp pp.ie "
        "pp.ib pp.ce pp.cb pp.oe pp.ob mc ib ob ie oe im pc dc ic qc oc sc prc rc wpc tpp fs.r"
    )
    times = {"et": str(1770000000 + 60 * number), "lt": str(1770000060 + 60 * number)}
    counted = {name: str((7 * i + number) % 100) for i, name in enumerate(counters.split())}
    return {**first, **counted, **times, **(ADDED if version == VERSIONS[1] else {})}
