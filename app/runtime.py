"""The running app's parts: opened at start, closed at shutdown, kept at `app.state.runtime`.

Made by `app.main`; read by the API, the mock and the dispatcher. `running` is the first to write.
"""

import asyncio
import contextlib
import hashlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from app import auth, retention
from app.contract import presence, state
from app.contract import rules as contract_rules
from app.contract.account import LOST
from app.contract.cores import no_core_dumps
from app.contract.masking import bounds as masking
from app.contract.masking.masker import Masker
from app.contract.names import FILE_STORE, LOG_FILES
from app.contract.presence import Presence
from app.contract.reviews import STATES
from app.contract.rules import Bundle, RuleSet
from app.contract.settings import SettingError
from app.ingest.admission import ENDED, Arriving
from app.ingest.batch import BUDGET, DECODING, Budget
from app.ingest.digest import digest
from app.ingest.foreign import believable, timed
from app.ingest.sidecars import Sidecars
from app.ingest.writer import RecordWriter
from app.logs.disk import lacking
from app.logs.files import LogFiles
from app.logs.masked import masked_logging
from app.mock.mock import Mock
from app.mock.spans import Telemetry
from app.otel.metrics import Metrics
from app.otel.recent import RISING, Recent
from app.otel.settings import Otel
from app.profiles import ProfileSet, template
from app.report import ledger
from app.report.classes import counted
from app.report.coverage import Gap, distrusted, profile_refused
from app.report.heard import CurrentRows
from app.report.inbox import sentence
from app.report.papers import Papers
from app.settings import Settings
from app.store import Heard, Incoming, QueryError, Store, StoreError, Told
from app.store.changes import InboxCounts
from app.store.sqlite.repeated_lines import RepeatedLines
from app.store.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from app.cluster.release import Release

FLUSH_S = 10.0  # time for the mock's last records at shutdown
_NOTE_S = 60.0  # between two notes of who was heard of
_BATCHES = 4  # batches that are decoded at a time
_GAUGES_S = 10.0  # between two updates of exported gauges, at most
_EXPORT_S = 5.0  # time for the OTLP endpoint at shutdown
_TRIALS = 8
_READY_S = 2.0  # time for the store to answer /ready

log = logging.getLogger(__name__)


class Runtime:
    """`boot` identifies this start of the app in the mock's records."""

    def __init__(
        self, settings: Settings, profiles: ProfileSet, metrics: Metrics, otel: Otel, boot: str
    ) -> None:
        self.settings = settings
        self.otel = otel
        self.profiles = profiles
        self._papers = Papers(profiles.known)
        self.metrics = metrics
        self.boot = boot
        self.sidecars = Sidecars()
        self.trials: deque[bytes] = deque(maxlen=_TRIALS)  # records of `helm test`
        self.account = ledger.Outstanding(0, 0, {})
        self.recent = Recent(metrics.registry, RISING)
        self.started = time.monotonic()
        self._began_ns = time.time_ns()
        self.batches = asyncio.Semaphore(_BATCHES)
        for why in ENDED:
            metrics.add("telemock.bodies.ended", (why,), 0)
        masking.begin(lambda metric, label: metrics.add(metric, (label,), 0))
        self.arriving = Arriving(lambda why: metrics.add("telemock.bodies.ended", (why,)))
        self.decoding = Budget(DECODING)
        self.budget = Budget(BUDGET)
        self.token = ""
        self.mask_key: bytes | None = None
        self.mask_key_id = ""
        self.store: Store
        self.files: LogFiles
        self.telemetry: Telemetry
        self.writer: RecordWriter
        self.mock: Mock
        self._masker: tuple[RuleSet, Masker] | None = None
        self.authority: auth.Authority
        self.release: Release | None = None  # in a cluster
        self._bundles: dict[bool, tuple[RuleSet, bytes]] = {}
        self._read = RepeatedLines(lambda line: digest(line, self.decoders, self.masker))

    def is_trial(self, pod: auth.Pod | None) -> bool:
        """True for the pod of `helm test`, by its token."""
        settings = self.settings
        ours = settings.pod_namespace, f"{settings.fullname}-test"
        return settings.cluster and pod is not None and pod[:2] == ours

    @property
    def rules(self) -> RuleSet:
        return self.profiles.rules

    def _count(self, metric: str, label: str) -> None:
        self.metrics.add(metric, (label,))

    def masker(self) -> Masker:
        """The masker for the rules in use now."""
        rules = self.rules
        if self._masker is None or self._masker[0] is not rules:
            self._masker = rules, Masker(rules, self.mask_key, self.mask_key_id, self._count)
        return self._masker[1]

    def bundle(self, *, with_key: bool) -> tuple[str, bytes]:
        """The sidecars' bundle as JSON, and its ETag. Only sidecars get the key: with it one can
        test which value a token stands for."""
        rules = self.rules
        held = self._bundles.get(with_key)
        if held is None or held[0] is not rules:
            bundle = Bundle(rules, self.mask_key, self.mask_key_id) if with_key else Bundle(rules)
            held = self._bundles[with_key] = rules, contract_rules.dump(bundle)
        return f'"{rules.etag}-{self.mask_key_id if with_key else ""}"', held[1]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Opens all, and closes all after the last record. Raises SettingError, StoreError."""
        no_core_dumps()
        settings = self.settings
        self.started = time.monotonic()
        try:
            state.make(settings.data)
            if not settings.cluster:
                self.token = auth.token(settings.data)
            self.mask_key = auth.mask_key(settings.data)
        except OSError as e:
            raise state.unusable(settings.data, e) from None
        except ValueError as e:
            raise SettingError(str(e)) from None
        self.mask_key_id = hashlib.sha256(self.mask_key).hexdigest()[:8]
        self._masker = None
        self._bundles.clear()
        for stream in (*LOG_FILES, "stderr"):
            self.metrics.add("telemock.output.dropped", (stream,), 0)
        self.files = files = LogFiles(
            settings.logs,
            size=settings.logs_size,
            days=settings.logs_days,
            as_json=settings.log_format == "json",
            lost=self._line_lost,
        )
        with (
            contextlib.closing(files),
            masked_logging(
                settings.log_level,
                self.masker,
                [files.handler()],
                as_json=settings.log_format == "json",
                lost=self._line_lost,
            ),
            self._deciding(),
        ):
            self.store = await asyncio.to_thread(
                SqliteStore, settings.data / FILE_STORE, self.mask_key
            )
            if self.release is not None:
                self.release.authority.known = self._namespaces
            self.telemetry = Telemetry(self.otel, self.metrics, self.masker)
            self.writer = RecordWriter(
                self.store,
                self.masker,
                self.decoders,
                files,
                self.metrics,
                self.telemetry.exporter,
                self.boot,
                lambda: lacking(settings.data),
            )
            self.mock = Mock(
                lambda: self.rules,
                self.writer,
                self.telemetry,
                mode=settings.mode,
                max_body=settings.max_body,
                arriving=self.arriving,
            )
            self.metrics.set("telemock.store.limit", settings.retention_size)
            self._expect()
            self.telemetry.start()
            self.writer.start()
            await self.note_presence()
            parts = (
                self._watch(),
                retention.of_store(self.store, settings),
                retention.of_logs(files, settings),
                self._note(),
            )
            tasks = [asyncio.create_task(part) for part in parts]
            if self.otel.metrics:
                tasks.append(asyncio.create_task(self._measuring()))
            if self.release is not None:
                tasks.append(asyncio.create_task(self.release.certificate.kept(self.release.look)))
            log.info(
                "telemock runs: profiles %s, data in %s, logs in %s",
                ", ".join(p.id for p in self.rules.profiles), settings.data, settings.logs,
            )  # fmt: skip
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await asyncio.to_thread(self.writer.close, FLUSH_S)
                await self.note_presence(left=True)
                if self.otel.metrics:
                    await self.measure()
                await asyncio.to_thread(self.telemetry.close, _EXPORT_S)
                await asyncio.to_thread(self.store.close)
                template.close()

    @contextlib.contextmanager
    def _deciding(self) -> Iterator[None]:
        """Sets the authority over callers: the cluster's API server, or the token. Raises
        SettingError."""
        if not self.settings.cluster:
            self.authority = auth.LocalAuthority(self.token)
            yield
            return
        from app.cluster.release import Release  # slow: loads the Kubernetes client

        self.release = Release.join(self.settings)
        self.authority = self.release.authority
        try:
            yield
        finally:
            self.release.close()

    async def _namespaces(self) -> list[str]:
        """The namespaces that records came from."""
        boots = await asyncio.to_thread(self.store.boots)
        return sorted({row.namespace for row in boots} - {""})

    def digest(self, line: bytes) -> Incoming:
        found = self._read(line)
        return found if believable(found.record.time_ns) else self._read(timed(line))

    @property
    def papers(self) -> Papers:
        """Those of the profiles that captures are read by."""
        if self._papers.known is not (known := self.profiles.known):
            self._papers = Papers(known)
        return self._papers

    def decoders(self, profile: str, rule: str) -> Sequence[str]:
        return self.profiles.known.decoders(profile, rule)

    def _word(self, profile: str, path: str) -> str:
        return self.papers.word(profile, path)

    async def _watch(self) -> None:
        self.metrics.set("telemock.profiles.reload_failed", bool(self.profiles.error))
        async for _ in self.profiles.changes():
            self._expect()
            error = self.profiles.error
            self.metrics.set("telemock.profiles.reload_failed", bool(error))
            if error and self.release is not None:
                said = f"A profile is refused: {error}"
                await self.release.warn("TelemockProfileRefused", said)

    async def _measuring(self) -> None:
        """Updates the gauges for export; for a scrape, the scrape does."""
        while True:
            await asyncio.sleep(min(_GAUGES_S, self.otel.metric_interval_s))
            await self.measure()

    async def measure(self) -> None:
        """Updates the gauges, and counts the requests that the mock handed over."""
        await asyncio.to_thread(self.telemetry.settle)
        await asyncio.to_thread(self._count_fields)
        await self.health()  # sets the store's gauges
        for how, number in self.sidecars.counts()._asdict().items():
            self.metrics.set("telemock.sidecars", number, (how,))
        if self.release:
            self.metrics.set("telemock.tls.distrusted", self.release.certificate.distrusted())

    def _count_fields(self) -> None:
        with contextlib.suppress(StoreError, QueryError):  # /ready reports it
            self.writer.counting.recounted(lambda: counted(self.store.fields()))

    async def _note(self) -> None:
        while True:
            await asyncio.sleep(_NOTE_S)
            await self.note_presence()
            self.recent.note()

    async def note_presence(self, *, left: bool = False) -> None:
        """Takes to the store which sidecars were heard of, and that this app was there to hear."""
        heard = self.sidecars.untold()
        told = Told(self.writer.account(ended=left), "", "")
        with contextlib.suppress(StoreError):  # full or broken: the writer and /ready report it
            await asyncio.to_thread(self.store.heard, [*heard, self._here(left=left)])
            self.sidecars.told(heard)
            await asyncio.to_thread(self.store.write, [], [told])
            await self.count_records()

    def _here(self, *, left: bool = False) -> Heard:
        here = Presence(form=presence.APP, mode=self.settings.mode or "", began_ns=self._began_ns)
        return Heard(self.boot, "", "", time.time_ns(), left, here)

    def rows(self) -> CurrentRows:
        """The store's rows, for reports: asking writes nothing."""
        heard = [*self.sidecars.untold(), self._here()]
        return CurrentRows(self.store, heard, self.writer.account(ended=False))

    async def count_records(self) -> None:
        """Updates `account` and its gauges. Raises StoreError."""
        boots = await asyncio.to_thread(self.rows().boots)
        before, self.account = self.account, ledger.account(boots, time.time_ns())
        show, now = self.metrics.set, self.account
        show("telemock.records.waiting", now.underway, ("seen",))
        show("telemock.records.waiting", now.waiting, ("silent",))
        for reason in {*LOST, *before.lost, *now.lost}:
            show("telemock.records.lost", now.lost.get(reason, 0), (reason,))

    def _expect(self) -> None:
        """Tells the store and the counters of the profiles in use."""
        self.store.profiles_say(self._word)
        self.writer.counting.expect((p.id for p in self.rules.profiles), self._word)

    def gaps(self) -> list[Gap]:
        """Returns what a report must say besides what the store knows."""
        gaps = [profile_refused(self.profiles.error)] if self.profiles.error else []
        if self.release and (number := self.release.certificate.distrusted()):
            gaps.append(distrusted(number))
        return gaps

    def _line_lost(self, stream: str) -> None:
        self.metrics.add("telemock.output.dropped", (stream,))

    async def health(self) -> dict[str, Any]:
        """The part of /health on what can fail by itself."""
        store: dict[str, Any]
        items = InboxCounts()
        try:
            async with asyncio.timeout(_READY_S):
                stats = await asyncio.to_thread(self.store.stats)
                items = await asyncio.to_thread(self.store.inbox)
            store = {"ok": not self.writer.problem, "records": stats.records, "bytes": stats.bytes,
                     "schema": stats.schema}  # fmt: skip
            if self.writer.problem:
                store["error"] = self.writer.problem
            self.metrics.set("telemock.store.records", stats.records)
            self.metrics.set("telemock.store.size", stats.bytes)
            for state in STATES:
                self.metrics.set("telemock.inbox.items", getattr(items, state), (state,))
        except (StoreError, TimeoutError) as e:
            store = {"ok": False, "error": str(e) or f"no answer in {_READY_S:g} s"}
        lines = await asyncio.to_thread(self.files.problem)
        return {
            "degraded": [s for s in (store.get("error", "").partition("\n")[0], lines) if s],
            "store": store,
            "queue": self.writer.waiting,
            "inbox": {"open": items.open, "again": items.again, "says": sentence(items)},
            "records": {**self.account._asdict(), "lost": sum(self.account.lost.values())},
            "log_lines_lost": self.files.failed,
            "profiles": {"etag": self.rules.etag, "error": self.profiles.error},
            "otel": self.telemetry.exporter.state()
            | {"dropped": int(self.metrics.total("telemock.otlp.dropped"))},
            **({"tls": self.release.certificate.health()} if self.release else {}),
        }
