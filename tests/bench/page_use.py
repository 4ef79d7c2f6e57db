"""Measures the page in use, for `tests.bench.page`: how soon the browser shows what was asked, and
what a live tail of many records a second does to frames and heap.

Interaction: from the event to the first frame that shows its result. Tail: records are stored by a
thread of the app's process; frames are those of requestAnimationFrame, and a row that is read is
looked at in each of them.
"""

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page

from app.ingest.digest import digest
from app.store.sqlite.repeated_lines import RepeatedLines
from tests.bench.fleet import Fleet
from tests.serving import Served

RATE = 1_000  # records a second
_TARGET_MS = 100
_KEY = "(key) => (document.activeElement ?? document.body).dispatchEvent(" \
    "new KeyboardEvent('keydown', { key, bubbles: true }))"  # fmt: skip
# Name -> what is done, and what shows that it is done; `was` is the id of the first row before.
ACTS = {
    "key j": (
        f"() => ({_KEY})('j')",
        "(was, row) => document.activeElement.closest('tr') !== row",
    ),
    "the slider to another place": (
        "() => { const place = document.getElementById('place');"
        " place.value = Math.floor(Math.random() * place.max);"
        " place.dispatchEvent(new Event('input')) }",
        "(was) => document.querySelector('#list tbody tr').dataset.id !== was",
    ),
    "a capture beside the list": (
        "() => { document.querySelector('#detail').replaceChildren();"
        " document.querySelector('#list tbody a').click() }",
        "() => document.querySelector('#d-title') !== null",
    ),
    "values for the filter": (
        "() => { const q = document.getElementById('q'); q.focus(); q.value = 'host:';"
        " document.getElementById('q-offers').hidden = true; q.setSelectionRange(5, 5);"
        " q.dispatchEvent(new Event('input')) }",
        "() => !document.getElementById('q-offers').hidden",
    ),
    "another filter": (
        "() => { window.list = document.getElementById('list');"
        " const q = document.getElementById('q');"
        " q.value = q.value.includes('host') ? 'action:mock status:200' : 'host:cdn.cribl.io';"
        " q.form.requestSubmit() }",
        "() => ![null, window.list].includes(document.getElementById('list'))",
    ),
}


def interactions(page: Page, served: Served, repetitions: int) -> list[Sequence[object]]:
    page.goto(served.url + "/captures")
    rows: list[Sequence[object]] = []
    for name, (act, shown) in ACTS.items():
        script = f"""() => new Promise((told) => {{
          const was = document.querySelector('#list tbody tr').dataset.id;
          const row = document.activeElement.closest('tr');
          const began = performance.now();
          const look = () => requestAnimationFrame(() => {{
            if (({shown})(was, row)) told(performance.now() - began); else look();
          }});
          ({act})();
          look();
        }})"""
        took = []
        for _ in range(repetitions):
            took.append(page.evaluate(script))
            page.wait_for_timeout(150)  # what is fetched ahead has come
        rows.append((name, _range(took), _TARGET_MS))
    return rows


_WATCH = """() => {
  const seen = window.seen = { frames: 0, longest: 0, long: 0, moved: 0 };
  const box = document.getElementById('list');
  const row = box.scrollTop ? [...box.querySelectorAll('tbody tr')][20] : null;
  const top = row?.getBoundingClientRect().top;
  let last = performance.now();
  const look = (now) => {
    seen.frames += 1;
    seen.longest = Math.max(seen.longest, now - last);
    if (now - last > 50) seen.long += 1;
    if (row && row.getBoundingClientRect().top !== top) seen.moved += 1;
    last = now;
    if (window.seen === seen) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


def tail(page: Page, served: Served, seconds: float) -> list[Sequence[object]]:
    """Half of the time one reads, the other half the list follows; without records before."""
    cdp = page.context.new_cdp_session(page)

    def heap() -> float:
        cdp.send("HeapProfiler.collectGarbage")
        used: float = cdp.send("Runtime.getHeapUsage")["usedSize"]
        return used / (1 << 20)

    rows: list[Sequence[object]] = []
    for name, scroll, rate in (
        ("nothing arrives", 400, 0), ("reading", 400, RATE), ("following", 0, RATE),
    ):  # fmt: skip
        page.goto(served.url + "/captures?tail=1")
        page.mouse.move(1, 1)
        page.evaluate("(to) => { document.getElementById('list').scrollTop = to }", scroll)
        with arriving(served, rate) as stored:
            page.wait_for_timeout(2_000)
            before, began = heap(), time.monotonic()
            page.evaluate(_WATCH)
            length = seconds / 2 if rate else min(10.0, seconds / 2)
            while time.monotonic() - began < length:
                page.wait_for_timeout(200)
            seen = page.evaluate("() => { const of = window.seen; window.seen = null; return of }")
            took = time.monotonic() - began
            after = heap()
            said = (
                page.locator("#live-said").inner_text() + " " + page.locator("#fresh").inner_text()
            )
            count = page.evaluate("document.querySelectorAll('#list tbody tr').length")
        rows.append((
            f"{name}, {took:.0f} s", f"{stored[0] / (took + 2):.0f}",
            f"{seen['frames'] / took:.0f}", f"{seen['longest']:.0f}", seen["long"], seen["moved"],
            count, f"{before:.1f} to {after:.1f}", said.strip(),
        ))  # fmt: skip
    return rows


TAIL_HEAD = (
    "tail", "stored/s", "frames/s", "longest frame, ms", "over 50 ms",
    "frames in which the row that is read moved", "rows in the document", "heap, MiB",
    "the page says",
)  # fmt: skip
USE_HEAD = ("interaction", "to the frame that shows it, ms", "target, ms")


@contextmanager
def arriving(served: Served, rate: int) -> Iterator[list[int]]:
    """Stores so many records a second meanwhile; yields a list of one number, those stored."""
    stored, ended = [0], threading.Event()
    read = RepeatedLines(lambda line: digest(line, lambda profile, rule: ()))
    fleet = Fleet(1_000, seed=time.time_ns())

    def run() -> None:
        turn, due = 0, time.monotonic()
        while not ended.is_set():
            batch: list[Any] = []
            for _ in range(rate // 10):
                batch.append(read(fleet.line(turn % 1_000, time.time_ns())))
                turn += 1
            served.runtime.store.write(batch)
            stored[0] += len(batch)
            due += 0.1
            ended.wait(max(0.0, due - time.monotonic()))

    thread = threading.Thread(target=run)
    if rate:
        thread.start()
    try:
        yield stored
    finally:
        ended.set()
        if rate:
            thread.join()


def _range(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"
