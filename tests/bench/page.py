"""The bench of the page: what browser and server take for its views at 1 and 10 million captures.

`python -m tests.bench.page [--captures 1000000 10000000] [--folder DIR]`. The stores are those of
`tests.bench.reports`; the app serves them on loopback, and chromium visits each view some times.
Server: from the request to the last byte, asked without a browser, and this process's processor
time meanwhile, in which other work on the machine shows least. Paint: the browser's own
first-contentful-paint. Transfer: what the browser fetched for the first visit, with nothing cached.
Then the page in use (`tests.bench.page_use`): interactions, and a live tail for `--tail` seconds,
which leaves its records, of 1,000 more pods, in the store: 0 keeps that as it is.
Prints tables in Markdown. Not run by `make test`.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import httpx
from playwright.sync_api import Page, sync_playwright

from app.contract.names import FILE_STORE
from app.report.tables import markdown_table
from tests.bench.fleet import MINUTE, T0
from tests.bench.page_use import TAIL_HEAD, USE_HEAD, interactions, tail
from tests.bench.reports import fill, multiply
from tests.browser.conftest import CHROMIUM, FLAGS, sign_in
from tests.serving import Served, serving

FILTERS = (
    "host:cdn.cribl.io", "version>=4.16 -status:2xx", "version>=4.18 version<5", "action:mock",
    "field:lic", "field:nobody_sent_it", "class:licence", "class:contact",
    "outcome:failed", "status:503", "pod:worker-42*", "namespace:team-3", '"worker-42"',
    '"nothing like it"', "since:2026-09-22 until:2026-09-23",
)  # fmt: skip
# Name -> address, and the target of the server's time in ms, None without one.
VIEWS = {
    "overview, all time": ("/?since=all", 50),
    "captures": ("/captures", 100),
    **{f"`{q}`": (f"/captures?{urlencode({'q': q})}", 100) for q in FILTERS},
    "captures, six hours in": (f"/captures?cursor=newest.{T0 + 360 * MINUTE}.0", 100),
    "fields": ("/fields", None),
    "versions": ("/versions", None),
    "workloads": ("/workloads?since=all", None),
    "profiles": ("/profiles", None),
    "report": ("/report?since=all", None),
    "health": ("/status", None),
}
_PAINT = """() => new Promise((told) => new PerformanceObserver((list) => {
  const found = list.getEntriesByName("first-contentful-paint")[0];
  if (found) told(found.startTime);
}).observe({ type: "paint", buffered: true }))"""
_FETCHED = (
    "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
    ".reduce((sum, entry) => sum + entry.transferSize, 0)"
)


def measure(served: Served, page: Page, repetitions: int) -> list[Sequence[object]]:
    context = page.context
    browser = context.browser
    if browser is None:
        raise RuntimeError("the page has no browser")
    state = context.storage_state()
    cookies = {cookie["name"]: cookie["value"] for cookie in context.cookies()}
    rows: list[Sequence[object]] = []
    with httpx.Client(base_url=served.url, cookies=cookies, trust_env=False, timeout=120) as client:
        for name, (address, target) in VIEWS.items():
            took, processor, painted = [], [], []
            for _ in range(repetitions):
                begun, used = time.perf_counter(), time.process_time()
                answer = client.get(address)
                took.append((time.perf_counter() - begun) * 1e3)
                processor.append((time.process_time() - used) * 1e3)
                answer.raise_for_status()
                page.goto(served.url + address)
                painted.append(page.evaluate(_PAINT))
            fresh = browser.new_context(storage_state=state)
            first = fresh.new_page()
            first.goto(served.url + address)
            fetched = first.evaluate(_FETCHED)
            fresh.close()
            rows.append((
                name, _range(took), _range(processor), target or "", _range(painted),
                f"{fetched / 1024:.0f}",
            ))  # fmt: skip
    return rows


def _range(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--captures", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--repetitions", type=int, default=11)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--tail", type=float, default=60.0, help="seconds; 600 for the issue's")
    parser.add_argument("--no-views", dest="views", action="store_false")
    options = parser.parse_args(arguments)
    if CHROMIUM is None:
        print("error: there is no browser\n\nhint: apt-get install chromium", file=sys.stderr)
        return 1
    with ExitStack() as opened:
        folder = options.folder or Path(
            opened.enter_context(tempfile.TemporaryDirectory(prefix="telemock-bench-"))
        )
        base = min(options.captures)
        smallest = folder / str(base) / "data" / FILE_STORE
        smallest.parent.mkdir(parents=True, exist_ok=True)
        fill(smallest, base)
        playwright = opened.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened.callback(browser.close)
        for captures in sorted(options.captures):  # before a tail writes into the smallest
            path = folder / str(captures) / "data" / FILE_STORE
            if not path.exists():
                path.parent.mkdir(parents=True)
                shutil.copy(smallest, path)
            multiply(path, base, captures)
        for captures in sorted(options.captures):
            size = {"TELEMOCK_RETENTION_SIZE": "0"}
            with serving(folder / str(captures), **size) as served:
                context = browser.new_context(viewport={"width": 1280, "height": 800})
                page = context.new_page()
                sign_in(page, served)
                rows = measure(served, page, options.repetitions) if options.views else []
                print(
                    f"\n{captures:,} captures, median (least to most) of {options.repetitions}; "
                    f"load average {os.getloadavg()[0]:.1f}\n"
                )
                print(markdown_table(_HEAD, rows))
                print(markdown_table(USE_HEAD, interactions(page, served, options.repetitions)))
                if options.tail:
                    print(markdown_table(TAIL_HEAD, tail(page, served, options.tail)))
                context.close()
    return 0


_HEAD = ("view", "server, ms", "processor, ms", "target, ms", "first paint, ms", "transfer, KiB")

if __name__ == "__main__":
    sys.exit(main())
