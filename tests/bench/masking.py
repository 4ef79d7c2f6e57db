"""The processor time of masking and inventory, of this tree beside another one: `python -m
tests.bench.masking OTHER_TREE`. Rounds of both are interleaved, so that a busy machine slows both
alike.

Each tree is measured in a process of its own, which answers one line per round.
"""

import statistics
import subprocess
import sys
from pathlib import Path

ROUNDS, RECORDS = 61, 400

CHILD = r"""
import copy, json, random, sys, time
from app.contract.masking.masker import Masker
from app.contract.record import Body, CaptureRecord, Request, Response
from app.profiles import load_profiles
from app.store.inventory import observe

masker = Masker(load_profiles(["cribl"]), b"k" * 32, "k1")
HEADERS = [("Host", "cdn.cribl.io"), ("User-Agent", "node"), ("Accept", "*/*"),
           ("Accept-Encoding", "gzip, deflate"), ("Connection", "keep-alive")]
KINDS = json.loads(sys.argv[1])
NUMBERS = random.Random(1)


def record(query, text):
    body = None if text is None else Body(text=text, size=len(text))
    headers = HEADERS if text is None else [*HEADERS, ("Content-Type", "application/json")]
    return CaptureRecord(
        boot="0" * 16, seq=1, kind="exchange", time_ns=1, profile="cribl", rule="telemetry",
        route="/telemetry/index.html", product_version="4.16.1",
        request=Request(method="GET", host="cdn.cribl.io", path="/telemetry/index.html",
                        query=[(n, v.replace("#", str(NUMBERS.getrandbits(30)))) for n, v in query],
                        headers=list(headers), body=body),
        response=Response(status=200, headers=[("content-type", "text/html")],
                          body=Body(text="<html></html>", size=13)))


for line in sys.stdin:
    what, _, kind = line.strip().partition(" ")
    query, text = KINDS[kind]
    do = {"masking": masker.record, "inventory": observe}[what]
    records = [record(query, text and text.replace("#", str(NUMBERS.getrandbits(30))))
               for _ in range(int(sys.argv[2]))]
    start = time.process_time()
    for one in records:
        do(one)
    print((time.process_time() - start) / len(records) * 1e6, flush=True)
"""


def kinds() -> dict[str, tuple[list[tuple[str, str]], str | None]]:
    """A query and a body of each kind; `#` is a number that changes."""
    from app.demo.plan import parameters

    still = ("v", "env", "os", "kv", "lic", "licls", "guid", "p", "dm", "it", "et", "lt")
    query = [(n, v if n in still else "#") for n, v in parameters("4.16.1", 0).items()]
    members = ",".join(f'"part{i}.in":#,"part{i}.name":"worker-{i}"' for i in range(24))
    plain = f'{{"kind":"usage","node":{{"os":"linux","cpus":8}},"metrics":{{{members}}}}}'
    masked = plain.replace('"kind"', '"lic":"Lc9-canary-Zq7","kind"')
    item = '{"name":"part-#","host":"worker-#.example.org","path":"/opt/x/#","msg":"up in # ms"}'
    texts = f'{{"kind":"usage","at":"2026-11-29T19:00:00.#Z","items":[{",".join([item] * 15)}]}}'
    return {
        "Cribl's query": (query, None),
        "JSON, nothing masked": ([("v", "1")], plain),
        "JSON, a licence masked": ([("v", "1")], masked),
        "JSON, new texts": ([("v", "1")], texts),
    }


def main(other: str) -> None:
    import json

    said = kinds()
    trees = {"this": Path.cwd(), "other": Path(other)}
    children = {
        name: subprocess.Popen(
            [sys.executable, "-c", CHILD, json.dumps(said), str(RECORDS)],
            cwd=tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name, tree in trees.items()
    }  # fmt: skip

    def took(name: str, kind: str) -> float:
        child = children[name]
        if child.stdin is None or child.stdout is None:
            raise RuntimeError(name)
        child.stdin.write(kind + "\n")
        child.stdin.flush()
        return float(child.stdout.readline())

    for kind in (f"{what} {kind}" for what in ("masking", "inventory") for kind in said):
        rounds = [{name: took(name, kind) for name in children} for _ in range(ROUNDS)]
        this, base = (statistics.median(r[name] for r in rounds) for name in ("this", "other"))
        ratio = statistics.median(r["this"] / r["other"] for r in rounds)
        print(f"{kind}: {this:.1f} µs, {base:.1f} µs there, x{ratio:.2f}")
    for child in children.values():
        child.communicate()


if __name__ == "__main__":
    main(sys.argv[1])
