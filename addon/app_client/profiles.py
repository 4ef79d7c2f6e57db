"""The profiles in use: built in at start, then the app's, polled for changes.

`Profiles` is read by `addon.sidecar` and by the shipper's masker; its thread is the only one that
changes it, by replacing one attribute. A bad answer keeps the last good set.
"""

import contextlib
import http.client
import logging
import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from addon.app_client.client import ANSWER_CAP, AppApi, Backoff
from app import contract
from app.contract.actions import DENIED, FORWARDED, Mode
from app.contract.faults import HostFault, Rehearsed
from app.contract.masking.bounds import Count
from app.contract.masking.masker import Masker
from app.contract.matching import Host
from app.contract.names import HEADER_AGAIN, HEADER_SIDECAR, PATH_PROFILES
from app.contract.rules import Bundle, Profile, Rule, RuleSet, load

log = logging.getLogger(__name__)

NOT_LOADED = "not-loaded"  # the id of a profile that stands for those that are not here yet
PERIOD = 5.0  # seconds between two questions
LONGEST = 60.0  # the longest period that a large fleet's app, or failures, may set


@dataclass(frozen=True)
class Active:
    """One set of rules and the masker that belongs to it."""

    rules: RuleSet
    masker: Masker
    etag: str = ""  # the app's, "" for the built-in set
    rehearsed: RuleSet | None = None  # the rules under a fault


def built_in() -> Bundle:
    """The profiles that this release ships, compiled."""
    return load(Path(contract.__file__).with_name("builtin.json").read_bytes())


def closed(bundle: Bundle, hosts: Iterable[str], mode: Mode | None) -> Bundle:
    """Adds those of the hosts that no profile of the bundle names: what leads here is telemetry,
    by a profile that the app has not sent yet. It is refused until then, or forwarded by a mode;
    nothing of it passes by because the app was away when its pod started."""
    unknown = sorted({host for host in hosts if not bundle.rules.of_host(host)})
    if not unknown:
        return bundle
    rule = Rule("all", mode if mode in FORWARDED else DENIED)
    pending = Profile(
        id=NOT_LOADED,
        title="hosts whose profile the app has not sent yet",
        hosts=tuple(map(Host, unknown)),
        rules=(rule,),
    )
    rules = msgspec.structs.replace(bundle.rules, profiles=(*bundle.rules.profiles, pending))
    return msgspec.structs.replace(bundle, rules=rules)


class Profiles:
    """`rules`, `masker`, `etag` and `error` ("" while all is well) of the set in use."""

    def __init__(
        self,
        api: AppApi,
        bundle: Bundle,
        on_change: Callable[[bool], None] = lambda failed: None,
        boot: str = "",
        count: Count | None = None,
        rehearsed: Rehearsed | None = None,
    ) -> None:
        """`on_change(failed)` is called after every request that changed the set, or failed;
        `boot` names this start to the app, which counts its sidecars; `count` is the masker's;
        until the end of `rehearsed` the rules are under a fault."""
        self._count = count
        self._rehearsed = rehearsed
        self._api = api
        self._boot = boot
        self._on_change = on_change
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="profiles", daemon=True)
        self._period = PERIOD
        self.error = ""
        self.active = self._active(bundle)

    @property
    def rules(self) -> RuleSet:
        active = self.active
        if active.rehearsed is None or self._rehearsed is None or self._rehearsed.is_over:
            return active.rules
        return active.rehearsed

    def failure(self, host: str) -> HostFault | None:
        """The failure that connections to the host meet now; none if no profile names it."""
        found = self._rehearsed.of_host(host) if self._rehearsed else None
        return found if found and self.active.rules.of_host(host) else None

    @property
    def masker(self) -> Masker:
        return self.active.masker

    @property
    def etag(self) -> str:
        return self.active.etag

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=3)

    @property
    def awaited(self) -> list[str]:
        """The hosts that lead here and whose profile the app has not sent."""
        return [h.name for p in self.rules.profiles if p.id == NOT_LOADED for h in p.hosts]

    def state(self) -> dict[str, object]:
        """For /health."""
        active = self.active
        return {
            "etag": active.etag,
            "profiles": [p.id for p in active.rules.profiles],
            "source": "app" if active.etag else "built-in",
            "error": self.error,
        }

    def _run(self) -> None:
        wait, said = 0.0, ""
        backoff = Backoff(PERIOD, LONGEST)
        while not self._stop.wait(wait):
            try:
                changed = self.fetch()
            except (OSError, http.client.HTTPException, ValueError) as e:
                self.error = f"{type(e).__name__}: {e}"[:500]
                if self.error != said:
                    log.warning("profiles of the app not taken, the last good set stays: %s", e)
                wait = backoff.next()
                self._on_change(True)
            else:
                if changed or self.error:
                    log.info("profiles of the app in use, etag %s", self.etag)
                    self._on_change(False)
                self.error = ""
                backoff.reset()
                wait = self._period * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load
            said = self.error

    def try_once(self) -> None:
        """Takes the app's profiles if it answers; a failure is not logged."""
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            self.fetch()

    def fetch(self) -> bool:
        """Asks the app once; True when another set is in use now.

        Raises OSError or HTTPException when the app cannot be asked, ValueError for an answer that
        is no bundle of this schema.
        """
        headers = {}
        if self._boot:
            headers[HEADER_SIDECAR] = self._boot
        if self.etag:
            headers["if-none-match"] = self.etag
        answer = self._api.ask("GET", PATH_PROFILES, headers)
        self._period = min(max(PERIOD, answer.seconds(HEADER_AGAIN)), LONGEST)
        if answer.status == 304:
            return False
        if answer.status != 200:
            raise ValueError(f"the app answered {answer.status}")
        if len(answer.body) >= ANSWER_CAP:
            raise ValueError(f"the answer is larger than {ANSWER_CAP} bytes")
        try:
            bundle = load(answer.body)
        except msgspec.DecodeError as e:
            raise ValueError(f"not a set of profiles of this schema: {e}") from None
        if not bundle.rules.profiles:  # with it, all telemetry would pass
            raise ValueError("the answer holds no profile")
        etag = answer.headers.get("etag", "") or bundle.rules.etag
        self.active = self._active(bundle, etag)
        return True

    def _active(self, bundle: Bundle, etag: str = "") -> Active:
        masker = Masker(bundle.rules, bundle.mask_key, bundle.mask_key_id, self._count)
        under = self._rehearsed.of(bundle.rules) if self._rehearsed else None
        return Active(bundle.rules, masker, etag, under)
