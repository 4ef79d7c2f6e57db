"""Data sources of the command line, with one interface: a running app's API, or the store on disk.

`connect` chooses: the server that was named (the one in a cluster too), else the app that runs on
the data directory, else the store in it, opened for reading only.
"""

import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import httpx
import msgspec

from app.client.running import running_app
from app.contract import rules
from app.contract.names import FILE_STORE, FILE_TOKEN, PATH_CAPTURES, PATH_PROFILES
from app.contract.record import decode
from app.contract.settings import SettingError
from app.report import build as reports
from app.report.build import Report
from app.report.compare import Comparison
from app.report.coverage import Gap
from app.report.outgoing import outgoing
from app.report.papers import Papers, known_papers
from app.report.sides import Reading
from app.settings import CLUSTER, Settings
from app.store import LIMIT, CaptureQuery, Decoders, FieldRow, Page, Scope, Store
from app.store.classes import NO_WORDS, ClassWords
from app.store.filter import matcher, write
from app.store.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from app.profiles.known import KnownProfiles

_TIMEOUT_S = 60.0  # a report over many hours takes long
# Our name of a filter -> the API's.
_PARAMETERS = {"since_ns": "since", "until_ns": "until"}


class ClientError(Exception):
    """The app does not answer, or not as it should. The text is meant for people."""


class Source(Protocol):
    """One interface to both. Methods raise ClientError, StoreError, QueryError."""

    def page(self, query: CaptureQuery) -> Page: ...

    def capture(self, id: str) -> bytes | None: ...

    def report(self, scope: Scope) -> Report: ...

    def fields(self, scope: Scope) -> list[FieldRow]: ...

    def diff(self, profile: str | None, one: str, other: str) -> Comparison: ...

    def words(self) -> ClassWords: ...

    def decoders(self) -> Decoders: ...


@contextmanager
def connect(settings: Settings, server: str = "") -> Iterator[Source]:
    """Opens the source. `server` is a URL, `cluster` or `cluster:CONTEXT`; it wins over
    TELEMOCK_SERVER. Raises ClientError, StoreError."""
    url = server or settings.server or running_app(settings.data)
    if url == CLUSTER or url.startswith(f"{CLUSTER}:"):
        with in_cluster(url.partition(":")[2], settings.fullname) as source:
            yield source
        return
    if url:
        with httpx.Client(
            base_url=url.rstrip("/"),
            headers={"authorization": f"Bearer {token_of(settings)}"},
            timeout=_TIMEOUT_S,
            trust_env=False,
            # The default one takes 20 ms, and writes keys to the program's SSLKEYLOGFILE.
            verify=url.startswith("https:") or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        ) as client:
            yield ApiSource(client, LOCAL_HINTS, lambda: "", settings.added)
        return
    store = SqliteStore.open_readonly(settings.data / FILE_STORE)
    try:
        yield StoreSource(store, settings.trace_url, settings.profiles, settings.added)
    finally:
        store.close()


@contextmanager
def in_cluster(context: str, name: str) -> Iterator["ApiSource"]:
    """Connects to the app in a kubeconfig context's cluster ("": current). Raises ClientError."""
    from app.cluster import kube, remote  # slow to load, and not needed on a laptop

    try:
        api = kube.connect(context)
        try:
            with remote.client(api, remote.find(api, name)) as (client, tunnel):
                yield ApiSource(client, _REMOTE, lambda: tunnel.error)
        finally:
            api.close()
    except (kube.KubeError, remote.RemoteError) as e:
        raise ClientError(str(e)) from None


def token_of(settings: Settings) -> str:
    path = settings.data / FILE_TOKEN
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as e:
        why = getattr(e, "strerror", "") or e
        raise ClientError(
            f"the token of the app cannot be read from {path}: {why}\n\n"
            "hint: TELEMOCK_DATA must be the data directory of that app, or hold its token"
        ) from None


def captures(source: Source, query: CaptureQuery, limit: int | None = None) -> Iterator[bytes]:
    """Yields records as JSON, page by page, to the end or to `limit`; see `is_asked`."""
    left = limit
    while left is None or left > 0:
        size = LIMIT if left is None else min(left, LIMIT)
        page = source.page(msgspec.structs.replace(query, limit=size))
        items = [line for line in page.items if is_asked(line, query)]
        yield from items
        if page.next is None:
            return
        if left is not None:
            left -= len(items)
        query = msgspec.structs.replace(query, cursor=page.next)


def end(source: Source) -> str | None:
    """Returns the cursor behind the last arrival, None when there is none."""
    newest = source.page(CaptureQuery(limit=1)).items
    if not newest:
        return None
    # Finds the newest by time, which is fast, then follows the order of arrival from there.
    query = CaptureQuery(since_ns=decode(newest[0]).time_ns, order="arrival", limit=1000)
    while True:
        page = source.page(query)
        if page.next is None:
            return page.last
        query = msgspec.structs.replace(query, cursor=page.next)


class _RecordKind(msgspec.Struct):
    kind: str


def is_asked(line: bytes, query: CaptureQuery) -> bool:
    """False for sidecars' log lines, which are captures too, unless the query names a kind."""
    asked = query.kind is not None or any(term.name == "kind" for term in query.terms)
    return asked or msgspec.json.decode(line, type=_RecordKind).kind != "log"


class StoreSource:
    """Reads the store, without an app. `trace_url` and `profiles` are the settings; the folder
    `added` has those that were added."""

    def __init__(
        self,
        store: Store,
        trace_url: str = "",
        profiles: Sequence[str | Path] = (),
        added: Path | None = None,
    ) -> None:
        self.store = store
        self._trace_url = trace_url
        self._profiles, self._added = profiles, added
        store.profiles_say(lambda profile, path: self._papers[0].word(profile, path))

    @cached_property
    def _papers(self) -> tuple[Papers, Sequence[Gap]]:
        """Read when first asked for: most questions need no class."""
        return known_papers(self._profiles, self._added)

    def page(self, query: CaptureQuery) -> Page:
        page = self.store.captures(query)
        items = [outgoing(item, self._trace_url) for item in page.items]
        return Page(items, page.next, page.last)

    def capture(self, id: str) -> bytes | None:
        found = self.store.capture(id)
        return found and outgoing(found, self._trace_url)

    def report(self, scope: Scope) -> Report:
        papers, gaps = self._papers
        return reports.build(
            self.store,
            since_ns=scope.since_ns,
            until_ns=scope.until_ns,
            profile=scope.profile,
            papers=papers.in_use,
            find=papers.find,
            gaps=gaps,
            inbox=self.store.inbox(scope.profile),
        )

    def fields(self, scope: Scope) -> list[FieldRow]:
        return self.store.fields(scope)

    def diff(self, profile: str | None, one: str, other: str) -> Comparison:
        reading = Reading(self.store, self.store.fields(Scope()), self.decoders())
        return reading.compared(profile or "", one, other)

    def words(self) -> ClassWords:
        return self.store.words()

    def decoders(self) -> Decoders:
        return self._papers[0].known.decoders


class _Page(msgspec.Struct):
    items: list[msgspec.Raw]
    next: str | None
    last: str | None


class _Fields(msgspec.Struct):
    items: list[FieldRow]


class _Health(msgspec.Struct):
    degraded: list[str] = []
    profiles: dict[str, Any] = {}
    inbox: dict[str, Any] = {}
    tls: dict[str, Any] = {}


class _Hints(NamedTuple):
    """Hints for an app that is `away` (no answer) or has `refused` us."""

    away: str
    refused: str


LOCAL_HINTS = _Hints(
    "start one with `telemock serve`, or correct --server; without a server the store in "
    "TELEMOCK_DATA is read",
    "TELEMOCK_DATA must be the data directory of that app: its token is used",
)
_REMOTE = _Hints("kubectl get pods and kubectl logs say how the app is", "")


class ApiSource:
    """Asks a running app. `why` explains a failed connection, "" when it cannot; the folder `added`
    has the profiles that were added to an app on this machine."""

    def __init__(
        self,
        client: httpx.Client,
        hints: _Hints,
        why: Callable[[], str],
        added: Path | None = None,
    ) -> None:
        self._client = client
        self._hints = hints
        self._why = why
        self._added = added
        self._words = NO_WORDS

    def page(self, query: CaptureQuery) -> Page:
        found = decoded(self._get(PATH_CAPTURES, query), _Page)
        items = list(map(bytes, found.items))
        # An app of an earlier version knows no filter, and sends everything.
        fitting = [*filter(matcher(query.terms, self._words), items)]
        if len(fitting) < len(items) and any(term.name == "class" for term in query.terms):
            self._words = self.words()  # or somebody has said something since
            fitting = [*filter(matcher(query.terms, self._words), items)]
        return Page(fitting if query.terms else items, found.next, found.last)

    def capture(self, id: str) -> bytes | None:
        # The id is a segment of the path: it must not smuggle in another path or a query.
        if not id.replace("-", "").isalnum() or not id.isascii():
            return None
        answer = self._ask(f"{PATH_CAPTURES}/{id}", {})
        return None if answer.status_code == 404 else self._checked(answer).content

    def report(self, scope: Scope) -> Report:
        return decoded(self._get("/api/v1/report", scope), Report)

    def fields(self, scope: Scope) -> list[FieldRow]:
        return decoded(self._get("/api/v1/fields", scope), _Fields).items

    def diff(self, profile: str | None, one: str, other: str) -> Comparison:
        given = {"profile": profile or "", "one": one, "other": other}
        asked = {name: value for name, value in given.items() if value}
        return decoded(self._checked(self._ask("/api/v1/diff", asked)).content, Comparison)

    def words(self) -> ClassWords:
        """As far as the inventory shows them."""
        return ClassWords.of_inventory(self.fields(Scope()))

    def profiles(self) -> rules.RuleSet:
        """The profiles that the app gives its sidecars."""
        return decoded(self._checked(self._ask(PATH_PROFILES, {})).content, rules.Bundle).rules

    def decoders(self) -> Decoders:
        of_app = self.profiles()
        in_use = {profile.id for profile in of_app.profiles}

        @cache
        def others() -> "KnownProfiles":
            from app.profiles.known import known  # slow to load, and rarely needed

            return known((), self._added)

        def found(profile: str, rule: str) -> Sequence[str]:
            known = of_app if profile in in_use else others()
            return known.decoders(profile, rule)

        return found

    def get(self, path: str, asked: Mapping[str, Any]) -> bytes:
        given = {name: value for name, value in asked.items() if value is not None}
        return self._checked(self._ask(path, given)).content

    def post(self, path: str, body: msgspec.Struct | None = None) -> bytes:
        return self._checked(self._post(path, body)).content

    def found(self, path: str, body: msgspec.Struct | None = None) -> bytes | None:
        """Gets what is there, or posts to it; None where there is nothing."""
        answer = self._ask(path, {}) if body is None else self._post(path, body)
        return None if answer.status_code == 404 else self._checked(answer).content

    def _post(self, path: str, body: msgspec.Struct | None) -> httpx.Response:
        content = msgspec.json.encode(body) if body is not None else b""
        return self._ask(path, {}, "POST", content)

    def trouble(self) -> list[str]:
        """What /health says is wrong with the app."""
        found = decoded(self._checked(self._ask("/health", {})).content, _Health)
        refused = found.profiles.get("error") or ""
        return [
            *found.degraded,
            *([f"a profile is refused: {refused}"] if refused else []),
            *(f"its certificate: {e}" for e in [found.tls.get("error")] if e),
            *(said for said in [found.inbox.get("says")] if said),
        ]

    def _get(self, path: str, filters: msgspec.Struct) -> bytes:
        given = msgspec.structs.asdict(filters)
        if isinstance(filters, CaptureQuery):
            # The terms alone: an app of an earlier version knows the other filters.
            given["q"] = write(CaptureQuery(terms=given.pop("terms"))) or None
        asked = {_PARAMETERS.get(n, n): v for n, v in given.items() if v is not None}
        return self._checked(self._ask(path, asked)).content

    def _ask(
        self, path: str, parameters: dict[str, Any], method: str = "GET", content: bytes = b""
    ) -> httpx.Response:
        try:
            return self._client.request(method, path, params=parameters, content=content)
        except (httpx.HTTPError, httpx.InvalidURL) as e:
            raise ClientError(
                f"no app answers at {self._client.base_url}: {self._why() or e}\n\n"
                f"hint: {self._hints.away}"
            ) from None

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if answer.status_code == 200:
            return answer
        try:
            said = msgspec.json.decode(answer.content, type=dict[str, str])
        except msgspec.DecodeError:
            said = {}
        error = said.get("error", f"status {answer.status_code}")
        if answer.status_code == 422:
            raise SettingError(
                f"{error}\n\nhint: {said.get('hint', '')}".removesuffix("\n\nhint: ")
            )
        hint = said.get("hint", "is this the address of a telemock app?")
        if answer.status_code == 401:
            hint = self._hints.refused or hint
        raise ClientError(f"{self._client.base_url} says: {error}\n\nhint: {hint}")


def decoded[T](content: bytes, type: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=type)
    except msgspec.DecodeError as e:
        raise ClientError(
            f"the app's answer is not understood: {e}\n\n"
            "hint: is it another version? `telemock version` and GET /health tell"
        ) from None
