"""What every store promises of a boot's numbers: part of its suite."""

from app.contract.account import Account
from app.contract.presence import Presence
from app.store import CaptureQuery, Heard, Store, Told, Written
from tests.records import BOOT, OTHER_BOOT, exchange, incoming


def told(
    boot: str, numbered: int, pod: str = "leader-0", *, ended: bool = False, **lost: int
) -> Told:
    account = Account(boot=boot, numbered=numbered, lost=lost, ended=ended)
    return Told(account, "logs" if pod else "", pod)


class SequenceSuite:
    def test_gaps_say_how_many_are_missing(self, store: Store) -> None:
        def boot() -> tuple[int, int, int]:
            (row,) = store.boots()
            return row.max_seq, row.count, row.missing

        store.write(incoming(exchange(3), exchange(4)))
        assert boot() == (4, 2, 2)
        store.write(incoming(exchange(9), exchange(7)))
        assert boot() == (9, 4, 5)
        store.write(incoming(*(exchange(n) for n in (1, 4, 5, 6, 7))))
        assert boot() == (9, 7, 2)
        store.write(incoming(*(exchange(n) for n in range(1, 10))))
        assert boot() == (9, 9, 0)
        assert store.stats().records == 9

    def test_what_was_numbered_and_never_came_is_missing_once_a_boot_has_ended(
        self, store: Store
    ) -> None:
        def boot() -> tuple[int, int, dict[str, int]]:
            (row,) = store.boots()
            return row.count, row.missing, row.lost

        store.write(incoming(exchange(1), exchange(2)), [told(BOOT, 50)])
        assert boot() == (2, 0, {})  # they may be on their way
        store.write([], [told(BOOT, 60, spool_full=7)])
        assert boot() == (2, 7, {"spool_full": 7})
        written = store.write(incoming(exchange(4)), [told(BOOT, 60, ended=True, spool_full=7)])
        assert written.accounts == {BOOT: 3}
        assert boot() == (3, 57, {"spool_full": 7, "killed": 50})
        # Twice, late, and behind it: numbers only grow.
        store.write([], [told(BOOT, 60, ended=True, spool_full=7), told(BOOT, 50)])
        assert boot() == (3, 57, {"spool_full": 7, "killed": 50})
        store.write(incoming(exchange(5)))
        assert boot() == (4, 56, {"spool_full": 7, "killed": 49})

    def test_a_boot_is_known_by_having_been_heard_of(self, store: Store) -> None:
        said = Presence(form="hosts", mode="observe", began_ns=5, quic_refused=2, unled="a:1")
        store.heard([Heard(BOOT, "logs", "leader-0", 100, False, said)])
        store.write(incoming(exchange(1)))
        (row,) = store.boots()
        assert (row.namespace, row.pod, row.count) == ("logs", "leader-0", 1)
        assert (row.heard_ns, row.left, row.said) == (100, False, said)
        # Late, without a word, and from another pod: numbers only grow, and are its own.
        store.heard([Heard(BOOT, "logs", "leader-0", 90, True, Presence())])
        store.heard([Heard(BOOT, "logs", "other-0", 900, True, Presence(form="all"))])
        (row,) = store.boots()
        assert (row.heard_ns, row.left, row.said) == (100, True, said)
        store.heard([])

    def test_a_boot_of_which_no_record_came_is_known_by_its_account(self, store: Store) -> None:
        written = store.write([], [told(BOOT, 100, ended=True), told(OTHER_BOOT, 3, shutdown=3)])
        assert written.accounts == {BOOT: 0, OTHER_BOOT: 0}
        rows = {row.boot: row for row in store.boots()}
        assert (rows[BOOT].missing, rows[BOOT].lost) == (100, {"killed": 100})
        assert (rows[OTHER_BOOT].missing, rows[OTHER_BOOT].lost) == (3, {"shutdown": 3})
        assert (rows[BOOT].namespace, rows[BOOT].pod) == ("logs", "leader-0")
        store.write(incoming(exchange(1)))
        assert {row.boot: row.missing for row in store.boots()} == {BOOT: 99, OTHER_BOOT: 3}

    def test_nobody_tells_of_another_pods_boot(self, store: Store) -> None:
        store.write(incoming(exchange(1)))
        assert store.write([], [told(BOOT, 9, "leader-1", ended=True)]).accounts == {}
        assert store.boots()[0].missing == 0
        assert store.write([], [told(BOOT, 9, "", ended=True)]).accounts == {BOOT: 1}  # a laptop
        assert store.boots()[0].missing == 8

    def test_more_reasons_than_numbers_are_not_more_than_is_missing(self, store: Store) -> None:
        store.write(incoming(exchange(1)), [told(BOOT, 3, corrupt=50)])
        assert store.boots()[0].missing == 2
        store.write([], [told(BOOT, 3, ended=True, corrupt=50)])
        assert (store.boots()[0].missing, store.boots()[0].lost) == (2, {"corrupt": 50})

    def test_pruned_records_stay_counted_and_are_not_taken_again(self, store: Store) -> None:
        batch = incoming(*(exchange(n) for n in range(1, 11)))
        store.write(batch)
        assert store.prune(max_bytes=1) == (10, False)
        assert (store.stats().records, store.captures(CaptureQuery()).items) == (0, [])
        assert store.write(batch) == Written([], 10, [], [])
        assert store.boots()[0].count == 10
        assert store.endpoints()[0].count == 10
