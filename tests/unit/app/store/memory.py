"""A second store, in memory: what `app.store` promises and `app.store.facts` takes from records are
enough to write one. Its directories last as long as the process."""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from app import store
from app.contract.classes import about
from app.contract.record import decode
from app.store import facts, filter
from app.store.classes import NO_WORDS, ClassWords, class_of
from app.store.facts import Sender, Sum, Sums, Traffic, add_to
from app.store.values import LOOKED
from tests.unit.app.store.memory_classes import MemoryClasses, class_in
from tests.unit.app.store.memory_directory import Capture, Directory
from tests.unit.app.store.memory_inbox import MemoryInbox
from tests.unit.app.store.memory_sketches import look, rows_of

STEP = 500  # captures that are dropped in a step
CURSOR = re.compile(r"(newest|oldest|arrival)\.(\d{1,18}|[0-8]\d{18}|9[01]\d{17})\.(\d{1,18})")


_directories: dict[Path, Directory] = {}


class MemoryStore(MemoryInbox, MemoryClasses):
    def __init__(self, directory: Path) -> None:
        self._held = _directories.setdefault(directory, Directory())
        self._lock = threading.Lock()
        self._closed = False
        self._profiles = NO_WORDS.profiles

    @contextmanager
    def _open(self) -> Iterator[Directory]:
        with self._lock:
            if self._closed:
                raise store.StoreError("closed")
            yield self._held

    def write(
        self, batch: Sequence[store.Incoming], told: Sequence[store.Told] = ()
    ) -> store.Written:
        facets = [facts.facet(one.record) for one in batch]
        "".join(f.host for f in facets).encode()  # fails before anything is kept
        with self._open() as held:
            stored, sums = [], Sums()
            for index, one in enumerate(batch):
                record, of = one.record, one.record.workload
                boot = held.boot(record.boot, of.namespace, of.pod, of.node)
                if record.seq in boot.numbers:
                    continue
                boot.numbers.add(record.seq)
                boot.last_ns = time.time_ns()
                held.last += 1
                held.captures[held.last] = Capture(
                    record.time_ns, facets[index], record.id, one.line
                )
                sums.add(record, one.facts, index)
                if one.facts.seen and len(stored) < LOOKED:
                    look(held.sketches, one)
                stored.append(index)
            new_hosts, new_fields, turned = self._add(held, sums)
            objected = self._note(held.changes, sums, held.turned)
            known = {}
            for account, namespace, pod in told:
                boot = held.boot(account.boot, namespace, pod, "")
                if namespace in ("", boot.who[0]) and pod in ("", boot.who[1]):
                    boot.account = facts.grown(boot.account, account)
                    known[account.boot] = len(boot.numbers)
        return store.Written(
            stored, len(batch) - len(stored), new_fields, new_hosts, known, objected, tuple(turned)
        )

    def _add(
        self, held: Directory, sums: Sums
    ) -> tuple[list[store.NewHost], list[store.NewField], list[store.NewField]]:
        new_hosts, new_fields, turned = [], [], []
        for traffic, sum in sums.traffic().items():
            add_to(held.traffic, traffic, sum)
            host = store.NewHost(*traffic.endpoint[:2])
            if host.host and held.is_new(*host):
                new_hosts.append(host)
        for sender, sum in sums.senders().items():
            add_to(held.senders, sender, sum)
        for of_note, sum in sums.notes().items():
            add_to(held.notes, of_note, sum)
        for event, sum in sums.events().items():
            add_to(held.events, event, sum)
        for (endpoint, version), observed in sums.observed().items():
            add_to(held.requests, (endpoint, version), observed.sum)
            for name, sum in observed.fields().items():
                add_to(held.fields, (endpoint, version, name), sum)
                of = class_of(*name).id
                field = store.NewField(*endpoint, version, name.path, name.type, of)
                is_new, turns = (
                    held.is_new(endpoint, name.path),
                    held.is_new(*endpoint, name.path, of),
                )
                if is_new:
                    new_fields.append(field)
                elif turns and about(of):
                    held.turned.add((*endpoint, name.path, of))
                    said = held.classes.get((endpoint, name.path))
                    turned += [field] if not (said and said.class_) else []
        return new_hosts, new_fields, turned

    def captures(self, query: store.CaptureQuery) -> store.Page:
        if not 1 <= query.limit <= store.LIMIT:
            raise store.QueryError(f"limit is {query.limit}")
        cursor = query.cursor and CURSOR.fullmatch(query.cursor)
        if query.cursor is not None and not (cursor and cursor[1] == query.order):
            raise store.QueryError(f"cursor is {query.cursor}")
        statuses, words = _statuses(query.status), self.words()
        with self._open() as held:
            found = sorted(
                (0 if query.order == "arrival" else c.time_ns, number)
                for number, c in held.captures.items()
                if _fits(query, c)
                and c.facet.status in statuses
                and filter.matcher(query.terms, words)(c.line)
            )
            if query.order == "newest":
                found.reverse()
            if cursor:
                after = (int(cursor[2]), int(cursor[3]))
                newest = query.order == "newest"
                found = [p for p in found if (p < after if newest else p > after)]
            page = found[: query.limit]
            last = f"{query.order}.{page[-1][0]}.{page[-1][1]}" if page else query.cursor
            more = len(found) > len(page)
            return store.Page(
                [held.captures[n].line for _, n in page],
                last if more else None,
                last,
                [f"{time_ns}.{n}" for time_ns, n in page],
            )

    def capture(self, id: str) -> bytes | None:
        with self._open() as held:
            return next((c.line for c in held.captures.values() if c.id == id), None)

    def traffic(
        self, scope: store.Scope, by: Sequence[store.Dimension], hours: int = 0
    ) -> list[store.TrafficRow]:
        found: dict[tuple[Any, ...], Sum] = {}
        with self._open() as held:
            for key, sum in _within(held.traffic, scope):
                names = dict(zip(("profile", "host", "method", "route"), key.endpoint, strict=True))
                values = key._asdict() | names
                at = key.hour // hours * hours * facts.HOUR if hours else 0
                add_to(found, (at, *(values[name] for name in by)), sum)
        return [
            store.TrafficRow(
                at_ns=at, by=tuple(names), count=s.count, bytes_out=s.out, first_ns=s.first,
                last_ns=s.last,
            )
            for (at, *names), s in sorted(found.items())
        ]  # fmt: skip

    def endpoints(self, scope: store.Scope = store.Scope()) -> list[store.EndpointRow]:  # noqa: B008
        def what(one: tuple[Traffic, Sum]) -> tuple[Any, ...]:
            key = one[0]
            return *key.endpoint, key.rule, key.kind, key.action, key.answered_by, key.reason

        with self._open() as held:
            senders = {(k.endpoint, k.namespace, k.pod) for k, _ in _within(held.senders, scope)}
            rows = []
            for names, group in groupby(sorted(_within(held.traffic, scope), key=what), what):
                whole: dict[None, Sum] = {}
                statuses: dict[int, int] = {}
                for key, sum in group:
                    add_to(whole, None, sum)
                    statuses[key.status] = statuses.get(key.status, 0) + sum.count
                s = whole[None]
                rows.append(store.EndpointRow(
                    **dict(zip(store.EndpointRow.__struct_fields__[:9], names, strict=True)),
                    statuses=statuses, count=s.count, bytes_out=s.out, bytes_in=s.in_,
                    duration_ns=s.duration, first_ns=s.first, last_ns=s.last,
                    workloads=len([1 for endpoint, *_ in senders if endpoint == names[:4]]),
                ))  # fmt: skip
            return rows

    def versions(self, scope: store.Scope = store.Scope()) -> list[store.VersionRow]:  # noqa: B008
        found: dict[tuple[str, str], Sum] = {}
        with self._open() as held:
            for key, sum in _within(held.traffic, scope):
                if key.endpoint[0]:
                    add_to(found, (key.endpoint[0], key.version), sum)
        return [
            store.VersionRow(profile=p, version=v, count=s.count, first_ns=s.first, last_ns=s.last)
            for (p, v), s in sorted(found.items(), key=lambda one: (one[0][0], one[1].first))
        ]

    def senders(self, scope: store.Scope = store.Scope()) -> list[store.SenderRow]:  # noqa: B008
        found: dict[tuple[str, ...], Sum] = {}
        with self._open() as held:
            for key, sum in _within(held.senders, scope):
                who = key.namespace, key.pod, *key.endpoint[:2], key.version, key.outcome
                add_to(found, who, sum)
        return [
            store.SenderRow(
                namespace=namespace, pod=pod, node=s.node, image=s.image, profile=profile,
                host=host, version=version, outcome=outcome, count=s.count, bytes_out=s.out,
                first_ns=s.first, last_ns=s.last,
            )
            for (namespace, pod, profile, host, version, outcome), s in sorted(found.items())
        ]  # fmt: skip

    def fields(self, scope: store.Scope = store.Scope()) -> list[store.FieldRow]:  # noqa: B008
        words = self.words()
        with self._open() as held:
            rows = [
                store.FieldRow(
                    profile=of[0], host=of[1], method=of[2], route=of[3], version=version,
                    path=name.path, type=name.type, shape=name.shape, count=s.count,
                    requests=held.requests[of, version].count, first_ns=s.first, last_ns=s.last,
                    **class_in(held.classes, of, name),
                )
                for (of, version, name), s in sorted(held.fields.items())
                if _overlaps(scope, of[0], s)
            ]  # fmt: skip
        return words.over_rows(rows)

    def sketches(self, profile: str | None = None) -> list[store.SketchRow]:
        with self._open() as held:
            return rows_of(held.sketches, profile)

    def notes(self, scope: store.Scope = store.Scope()) -> list[store.NoteRow]:  # noqa: B008
        with self._open() as held:
            return [
                store.NoteRow(
                    **dict(zip(("profile", "host", "method", "route"), of, strict=True)),
                    part=note.part, why=note.why, count=s.count, first_ns=s.first, last_ns=s.last,
                )
                for (of, note), s in sorted(held.notes.items())
                if _overlaps(scope, of[0], s)
            ]  # fmt: skip

    def events(self, scope: store.Scope = store.Scope()) -> list[store.EventRow]:  # noqa: B008
        found: dict[tuple[str, ...], Sum] = {}
        with self._open() as held:
            for one, s in held.events.items():
                if _overlaps(scope, one.endpoint[0], s):
                    profile, host, method, route = one.endpoint
                    add_to(found, (profile, host, route, method, one.version, one.name), s)
        return [
            store.EventRow(
                profile=profile, host=host, method=method, route=route, version=version, name=name,
                count=s.count, first_ns=s.first, last_ns=s.last,
            )
            for (profile, host, route, method, version, name), s in sorted(found.items())
        ]  # fmt: skip

    def part(self, namespaces: Sequence[str], decoders: store.Decoders) -> "MemoryPart":
        words = self.words()
        with self._open() as held:
            lines = [c.line for c in held.captures.values() if c.facet.namespace in namespaces]
        return MemoryPart(lines, decoders, words)

    def heard(self, boots: Sequence[store.Heard]) -> None:
        with self._open() as held:
            for one in boots:
                boot = held.boot(one.boot, one.namespace, one.pod, "")
                if one.namespace not in ("", boot.who[0]) or one.pod not in ("", boot.who[1]):
                    continue
                boot.heard_ns, boot.left = max(boot.heard_ns, one.at_ns), boot.left or one.left
                if one.said.form:
                    most = max(boot.said.quic_refused, one.said.quic_refused)
                    boot.said = msgspec.structs.replace(one.said, quic_refused=most)

    def boots(self) -> list[store.BootRow]:
        rows = []
        with self._open() as held:
            for name, boot in held.boots.items():
                (namespace, pod, node), most = boot.who, max(boot.numbers, default=0)
                gone, why = facts.missing(boot.account, most, len(boot.numbers))
                rows.append(store.BootRow(
                    boot=name, namespace=namespace, pod=pod, node=node, max_seq=most,
                    count=len(boot.numbers), numbered=boot.account.numbered, missing=gone,
                    lost=why, ended=boot.account.ended, first_ns=boot.first_ns,
                    last_ns=boot.last_ns, heard_ns=boot.heard_ns, left=boot.left, said=boot.said,
                ))  # fmt: skip
        return rows

    def stats(self) -> store.Stats:
        with self._open() as held:
            size = sum(len(c.line) for c in held.captures.values())
            arrival = f"arrival.0.{held.last}"
            return store.Stats(records=len(held.captures), bytes=size, schema=1, arrival=arrival)

    def prune(
        self, *, max_age_s: float | None = None, max_bytes: int | None = None, steps: int = 100
    ) -> store.Pruned:
        oldest = 0 if max_age_s is None else time.time_ns() - int(max_age_s * 1e9)
        with self._open() as held:
            gone = [n for n, c in held.captures.items() if c.time_ns < oldest]
            left = sum(len(c.line) for n, c in held.captures.items() if c.time_ns >= oldest)
            for number, capture in held.captures.items():
                if max_bytes is not None and left > max_bytes and capture.time_ns >= oldest:
                    gone.append(number)
                    left -= len(capture.line)
            for number in gone[: steps * STEP]:
                del held.captures[number]
            held.traffic = {k: s for k, s in held.traffic.items() if k.hour >= oldest // facts.HOUR}
            held.senders = {k: s for k, s in held.senders.items() if k.day >= oldest // facts.DAY}
        return store.Pruned(min(len(gone), steps * STEP), len(gone) > steps * STEP)

    def close(self) -> None:
        with self._lock:
            self._closed = True


class MemoryPart(MemoryStore):
    back_to_ns = 0

    def __init__(self, lines: Sequence[bytes], decoders: store.Decoders, words: ClassWords) -> None:
        self._held, self._lock, self._closed = Directory(), threading.Lock(), False
        self._words = words
        self.read, sums = len(lines), Sums()
        for number, line in enumerate(lines):
            one = decode(line)
            sums.add(one, facts.facts(one, decoders(one.profile, one.rule)), number)
        self._add(self._held, sums)

    def words(self) -> ClassWords:
        return self._words


def _overlaps(scope: store.Scope, profile: str, sum: Sum) -> bool:
    return (
        (scope.since_ns is None or sum.last >= scope.since_ns)
        and (scope.until_ns is None or sum.first < scope.until_ns)
        and scope.profile in (None, profile)
    )


def _within[K: Traffic | Sender](sums: dict[K, Sum], scope: store.Scope) -> list[tuple[K, Sum]]:
    return [(key, s) for key, s in sums.items() if _overlaps(scope, key.endpoint[0], s)]


def _statuses(status: int | str | None) -> range:
    if status is None:
        return range(1_000)
    text = str(status).lower()
    if not re.fullmatch(r"[1-9]xx|[0-9]{1,3}", text):
        raise store.QueryError(f"status is {text}")
    first = int(text.replace("xx", "00"))
    return range(first, first + (100 if "x" in text else 1))


def _fits(query: store.CaptureQuery, capture: Capture) -> bool:
    of = capture.facet
    if not (query.since_ns or 0) <= capture.time_ns < (query.until_ns or 1 << 64):
        return False
    for name in ("kind", "host", "profile", "action", "version", "method"):
        if getattr(query, name) not in (None, getattr(of, name)):
            return False
    namespace, slash, pod = (query.workload or "").rpartition("/")
    if (slash and namespace != of.namespace) or (pod and pod != of.pod):
        return False
    if query.namespaces is not None and of.namespace not in query.namespaces:
        return False
    text = (of.host, of.path, of.route, of.rule, of.version, of.namespace, of.pod, of.reason)
    return any((query.text or "").lower() in part.lower() for part in text)
