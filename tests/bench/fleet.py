"""Records as the sidecars of many pods send them, made cheaply: for the benches of ingest, store
and reports. Nothing here talks to anybody.

Three products: Cribl's GET with its 47 parameters, and two made-up ones that POST JSON. Each pod
has one product in one version; values change from record to record as counters do. About 1.7 KB a
record.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

from app.contract.record import (
    Body,
    CaptureRecord,
    Endpoint,
    Request,
    Response,
    Tls,
    Workload,
    encode,
)
from app.demo.plan import parameters

T0 = 1_790_000_000 * 10**9  # ns, in 2026
MINUTE = 60 * 10**9
VERSIONS = 4  # of each product

_MARK = "90071992547409"  # stands for a number that changes, with two digits behind it
_HEADERS = [
    ("Host", "cdn.cribl.io"), ("User-Agent", "node"), ("Accept", "*/*"),
    ("Accept-Encoding", "gzip, deflate"), ("Connection", "keep-alive"),
]  # fmt: skip
_STILL = frozenset({"v", "env", "os", "kv", "lic", "licls", "guid", "p", "dm", "it", "et", "lt"})


class Pod(NamedTuple):
    boot: str
    template: bytes  # `%d` for seq, time, duration and each counter, `%x` for the trace
    counters: int
    name: str


class Fleet:
    """`pods` of that many products, Cribl's first; equal seeds make equal fleets."""

    def __init__(self, pods: int, *, products: int = 3, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._products = products
        self.pods = [self._pod(number) for number in range(pods)]
        self._sent = [0] * pods

    def line(self, pod: int, time_ns: int) -> bytes:
        """The pod's next record as a line of JSON, without its end."""
        seq = self._sent[pod] = self._sent[pod] + 1
        _, template, counters, _ = self.pods[pod]
        number = self._random.getrandbits
        values = [number(9 + 2 * (n % 10)) for n in range(counters)]
        trace = number(128) | 1 << 127, number(64) | 1 << 63
        line = template % (seq, time_ns, 300_000 + number(18), *values, *trace)
        # One of a thousand is refused.
        return line if number(10) else line.replace(b'"status":200', b'"status":503')

    def restart(self, pod: int) -> None:
        """From now on its records are those of a new start."""
        old = self.pods[pod]
        boot = f"{self._random.getrandbits(128):032x}"
        template = old.template.replace(old.boot.encode(), boot.encode())
        self.pods[pod] = Pod(boot, template, old.counters, old.name)
        self._sent[pod] = 0

    def minutes(self, start_ns: int = T0) -> Iterator[tuple[int, int]]:
        """Endlessly (pod, time_ns): every pod once a minute, spread over it."""
        apart = MINUTE // len(self.pods)
        while True:
            for pod in range(len(self.pods)):
                yield pod, start_ns + pod * apart
            start_ns += MINUTE

    def _pod(self, number: int) -> Pod:
        pick = self._random
        product = number % self._products
        boot = f"{pick.getrandbits(128):032x}"
        uid = f"{pick.getrandbits(32):08x}-0000-4000-8000-{pick.getrandbits(48):012x}"
        version = f"{4 + product}.{16 + number // self._products % VERSIONS}.1-{product}0904e45"
        base = CaptureRecord(
            boot=boot,
            seq=int(_MARK + "00"),
            kind="exchange",
            time_ns=int(_MARK + "01"),
            duration_ns=int(_MARK + "02"),
            trace_id=_MARK + "03",
            span_id=_MARK + "04",
            workload=Workload(
                namespace=f"team-{number % 20}",
                pod=f"worker-{number % 50}-{pick.getrandbits(36):09x}-{pick.getrandbits(20):05x}",
                uid=uid,
                node=f"node-{number % 100}.cluster.example",
                container="worker",
                image=f"registry.example/vendor/product-{product}:{version}",
            ),
            action="mock",
            answered_by="sidecar",
            client=Endpoint(address=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"),
            destination=Endpoint(address="192.0.2.1", port=443),
            response=Response(
                status=200,
                http_version="HTTP/1.1",
                headers=[("content-type", "text/html"), ("content-length", "29")],
                body=Body(text="cribl /// living the stream!\n", size=29, sha256="5e" * 32),
            ),
            tls=Tls(sni="cdn.cribl.io", version="TLSv1.3", alpn="http/1.1"),
            product_version=version,
        )
        _cribl(base, version) if product == 0 else _posted(base, product)
        line = encode(base).replace(b"%", b"%%")
        for at, form in enumerate((b"%d", b"%d", b"%d", b"%x", b"%x")):
            line = line.replace(b"%s%02d" % (_MARK.encode(), at), form, 1)
        counters = line.count(_MARK.encode())
        template = line.replace(_MARK.encode() + b"99", b"%d")
        return Pod(boot, template, counters, base.workload.pod)


def _cribl(record: CaptureRecord, version: str) -> None:
    record.profile, record.rule, record.route = "cribl", "telemetry", "/telemetry/index.html"
    query = parameters(version, 0) | {"lic": "***", "env": "***", "guid": f"tok_{record.boot[:22]}"}
    record.request = Request(
        method="GET",
        host="cdn.cribl.io",
        path="/telemetry/index.html",
        http_version="HTTP/1.1",
        headers=_HEADERS,
        query=[(n, v if n in _STILL else _MARK + "99") for n, v in query.items()],
    )


def _posted(record: CaptureRecord, product: int) -> None:
    host = f"telemetry.product-{product}.example"
    record.profile, record.rule, record.route = f"product-{product}", "usage", "/v1/usage"
    members = (f'"{part}.{what}":{_MARK}99' for part in _PARTS for what in ("in", "out", "errors"))
    record.request = Request(
        method="POST",
        host=host,
        path="/v1/usage",
        http_version="HTTP/1.1",
        headers=[("Host", host), *_HEADERS[1:], ("Content-Type", "application/json")],
        query=[("v", record.product_version)],
        body=Body(
            text='{"kind":"usage","node":{"os":"linux","cpus":8},"metrics":{'
            + ",".join(members)
            + "}}",
            size=900,
            sha256=record.boot * 2,
        ),
    )
    record.tls = Tls(sni=host, version="TLSv1.3", alpn="http/1.1")


_PARTS = (
    "events", "bytes", "routes", "pipelines", "queues", "sources", "outputs", "lookups", "packs",
    "jobs", "users", "workers",
)  # fmt: skip
