"""The ledger out of the store's rows: who saw what, and when nobody was there."""

import msgspec

from app.contract.account import Account
from app.contract.presence import Presence
from app.report.coverage import judge
from app.report.ledger import DIRECT, SILENT_NS, modes, outstanding, witnesses
from app.store import OTHER, BootRow, Heard, SenderRow, Store, Told
from app.store.facts import HERE
from tests.records import BOOT, OTHER_BOOT, SECOND

MINUTE = 60 * SECOND
NOW = 60 * MINUTE
HOSTS = Presence(form="hosts", mode="observe", began_ns=MINUTE)


def boot(**given: object) -> BootRow:
    facts: dict[str, object] = {
        "boot": BOOT, "namespace": "logs", "pod": "leader-0", "node": "", "max_seq": 5, "count": 5,
        "numbered": 5, "missing": 0, "lost": {}, "ended": False, "first_ns": MINUTE,
        "last_ns": 2 * MINUTE, "heard_ns": 3 * MINUTE, "left": False, "said": HOSTS,
    }  # fmt: skip
    return BootRow(**facts | given)  # type: ignore[arg-type]


def sender(outcome: str, **given: object) -> SenderRow:
    facts: dict[str, object] = {
        "namespace": "", "pod": "127.0.0.1", "node": "", "image": "", "profile": "cribl",
        "host": "cdn.cribl.io", "version": "", "outcome": outcome, "count": 1, "bytes_out": 1,
        "first_ns": 0, "last_ns": 0,
    }  # fmt: skip
    return SenderRow(**facts | given)  # type: ignore[arg-type]


def app(until: int) -> BootRow:
    return boot(boot="ef" * 16, namespace="", pod="", said=Presence(form="app"), heard_ns=until)


def test_stored_and_waiting_and_lost_are_what_was_made() -> None:
    rows = [
        boot(numbered=10, count=6, lost={"spool_full": 1}),  # runs: three may still come
        boot(numbered=10, count=6, lost={"spool_full": 1, "killed": 3}, ended=True),
        boot(numbered=0, max_seq=9, count=6, left=True),  # no account
    ]
    assert [outstanding(row) for row in rows] == [
        (3, {"spool_full": 1}), (0, {"spool_full": 1, "killed": 3}), (0, {"unknown": 3}),
    ]  # fmt: skip
    (one,) = witnesses(rows, [], bool, NOW)
    assert (one.stored, one.waiting, one.lost) == (
        18, 3, {"spool_full": 2, "killed": 3, "unknown": 3},
    )  # fmt: skip
    assert one.stored + one.waiting + sum(one.lost.values()) == 29


def test_what_a_live_sidecar_delivers_is_on_its_way() -> None:
    def waits(at: int, app_left: bool = False, **given: object) -> tuple[int, int]:
        live = app(NOW - MINUTE)
        live.left = app_left
        (one,) = witnesses([boot(numbered=9, last_ns=at, **given), live], [], bool, NOW)
        return one.underway, one.waiting

    assert waits(NOW - 2 * MINUTE) == (4, 0)
    assert waits(NOW - 2 * MINUTE, app_left=True) == (0, 4)  # nobody takes them now
    assert waits(NOW - SILENT_NS) == (0, 4)
    assert waits(NOW - 2 * MINUTE, left=True)[0] == 0


def test_times_without_a_sidecar_of_a_pod() -> None:
    later = Presence(form="hosts", began_ns=9 * MINUTE)
    second = boot(boot=OTHER_BOOT, said=later, first_ns=10 * MINUTE, heard_ns=11 * MINUTE)
    first = boot(last_ns=10 * MINUTE)  # the second delivered what it had left
    (one,) = witnesses([first, second], [], bool, NOW)
    (away,) = one.away
    assert (away.since, away.until) == ("1970-01-01T00:03:00Z", "1970-01-01T00:09:00Z")
    assert not judge([one]).complete


def test_a_clock_that_is_ahead_makes_no_gap() -> None:
    ahead = Presence(form="hosts", began_ns=99 * MINUTE)
    second = boot(boot=OTHER_BOOT, said=ahead, first_ns=3 * MINUTE, heard_ns=11 * MINUTE)
    (one,) = witnesses([boot(), second], [], bool, NOW)
    assert (one.away, one.first_seen) == ([], "1970-01-01T00:01:00Z")


def test_a_silent_sidecar_is_away_if_an_app_was_there_to_hear() -> None:
    def away(watched_until: int, **given: object) -> list[str]:
        found = witnesses([boot(**given), app(watched_until)], [], bool, NOW)
        return [a.since + a.until for one in found for a in one.away]

    assert away(3 * MINUTE + SILENT_NS) == []
    assert away(4 * MINUTE + SILENT_NS) == ["1970-01-01T00:03:00Z"]
    assert away(4 * MINUTE + SILENT_NS, left=True) == []
    assert away(0) == []  # no app was there since
    assert away(4 * MINUTE + SILENT_NS, heard_ns=0) == []  # of a version that was not noted
    assert away(4 * MINUTE + SILENT_NS, namespace="", pod="") == []  # a run on a laptop


def test_of_the_store(store: Store) -> None:
    """Hosts of profiles by name, the rest together."""
    store.heard([Heard(BOOT, "logs", "leader-0", MINUTE, False, HOSTS)])
    store.write([], [Told(Account(boot=BOOT, numbered=12), "logs", "leader-0")])
    found = {
        w.who: w for w in witnesses(store.boots(), store.senders(), "cdn.cribl.io".__eq__, NOW)
    }
    assert found["logs/leader-0"].connections == {
        "cdn.cribl.io": {
            "answered": 2, "passed": 1, "certificate_refused": 1, "not_delivered": 1, "refused": 1,
        }
    }  # fmt: skip
    assert found["logs/leader-0"].waiting == 3
    assert found[HERE].connections == {OTHER: {"relayed": 1}}
    assert "own_dns" in found["logs/leader-0"].blind
    (mode,) = modes(store.boots())
    assert (mode.mode, mode.form, mode.sidecars) == ("observe", "hosts", 1)


def test_hosts_that_no_profile_names_are_no_gap() -> None:
    rows = [sender("unread", host="ssh.example", profile="")]
    here = [boot(namespace="", pod="")]
    assert not judge(witnesses(here, rows, lambda host: True, NOW)).complete
    assert judge(witnesses(here, rows, lambda host: False, NOW)).complete


def test_an_app_that_nobody_asked_directly_is_no_witness(store: Store) -> None:
    assert witnesses([app(MINUTE)], [], bool, NOW) == []
    assert not judge(witnesses([app(MINUTE)], [], bool, NOW)).complete
    (one,) = witnesses([app(MINUTE)], [sender("answered")], bool, NOW)
    assert (one.who, one.connections) == (DIRECT, {"cdn.cribl.io": {"answered": 1}})


def test_ports_that_a_redirect_lacks_are_a_gap() -> None:
    boot = BootRow(
        boot="a" * 32, namespace="n", pod="p", node="", max_seq=0, count=0, numbered=0, missing=0,
        lost={}, ended=False, first_ns=1, last_ns=2, heard_ns=2,
        said=Presence(form="hosts", began_ns=1, unled="kong.example:61833"),
    )  # fmt: skip
    (one,) = witnesses([boot], [], lambda host: False, 3)
    assert "unled_ports" in one.blind
    found = judge([one])
    (gap,) = [gap for gap in found.gaps if gap.id == "unled_ports"]
    assert not found.complete and gap.who == [one.who] and "restart the pod" in gap.remedy
    led = msgspec.structs.replace(boot, said=Presence(form="hosts", began_ns=1))
    assert "unled_ports" not in witnesses([led], [], lambda host: False, 3)[0].blind
