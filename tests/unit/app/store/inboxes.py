"""What every store promises of its inbox: part of its suite."""

from pathlib import Path
from typing import Any

import pytest

from app.contract.record import Workload
from app.contract.reviews import State
from app.store import QueryError, SaidClass, Store, StoreError
from app.store.changes import ChangeQuery, InboxCounts, InboxItem, NewReview, Stale, Thing
from tests.records import HOUR, T0, decoded, exchange, incoming, spliced

SETTLED = T0 + HOUR  # when decisions are taken
ENDPOINT = ("cribl", "cdn.cribl.io", "GET", "/telemetry/index.html")


def verdict(state: State, note: str = "", who: str = "ann", at_ns: int = SETTLED) -> NewReview:
    return NewReview(state, who, note, at_ns)


def every(store: Store, **asked: Any) -> list[InboxItem]:
    return store.changes(ChangeQuery(**asked, limit=1000)).items


def one(store: Store, kind: str, name: str = "", **asked: Any) -> InboxItem:
    (found,) = [c for c in every(store, kind=kind, **asked) if not name or c.name == name]
    return found


def refusal(seq: int, pod: str, **given: Any) -> Any:
    return spliced(
        seq, given.pop("host", "cdn.cribl.io"), kind="tls_rejected", action="", profile="cribl",
        reason="client_refused_certificate", workload=Workload(namespace="logs", pod=pod), **given,
    )  # fmt: skip


class InboxSuite:
    def test_what_is_new_is_an_item_once(self, store: Store) -> None:
        store.write(incoming(exchange(1, time_ns=T0 + 5), exchange(2)))
        store.write(incoming(exchange(3), exchange(4, pod="leader-1", namespace="other")))
        found = {Thing(c.kind, c.profile, c.host, c.method, c.route, c.name) for c in every(store)}
        assert found == {
            Thing("host", "cribl", "cdn.cribl.io"),
            Thing("endpoint", *ENDPOINT),
            Thing("version", "cribl", name="4.16.1-20904e45"),
            *(Thing("field", *ENDPOINT, name) for name in (
                "query.v", "query.os", "query.ib", "header.host", "header.user-agent",
            )),
        }  # fmt: skip
        assert len(every(store)) == 8
        assert {(c.state, c.revision, c.first_ns, c.version) for c in every(store)} == {
            ("open", 0, T0, "4.16.1-20904e45")
        }
        assert one(store, "field", "query.v").what == "string version"
        assert store.inbox() == InboxCounts(open=8, last=8)
        assert store.inbox("grafana") == InboxCounts(last=8) == store.inbox(after=8)
        assert store.inbox("cribl", after=6) == InboxCounts(open=2, last=8)
        newer = exchange(5, product_version="4.17.0", query=[("v", "4.17.0"), ("gpu", "1")])
        store.write(incoming(newer))
        assert [(c.kind, c.name, c.version) for c in every(store, after=8)][::-1] in (
            [("version", "4.17.0", "4.17.0"), ("field", "query.gpu", "4.17.0")],
            [("field", "query.gpu", "4.17.0"), ("version", "4.17.0", "4.17.0")],
        )

    def test_a_known_field_that_turns_sensitive(self, store: Store) -> None:
        store.write(incoming(exchange(1, query=[("user", "7")])))
        assert every(store, kind="class") == []
        for seq, value in ((2, "ann@example.test"), (3, "bob@example.test"), (4, "10.0.0.1")):
            store.write(incoming(exchange(seq, query=[("user", value)])))
        found = [(c.name, c.what) for c in every(store, kind="class")]
        assert found == [("query.user", "ip"), ("query.user", "email")]
        store.write(incoming(exchange(5, query=[("mail", "ann@example.test")])))
        store.write(incoming(exchange(6, query=[("mail", "ann@example.test")])))
        assert one(store, "field", "query.mail").what == "string email"
        assert len(every(store, kind="class")) == 2

    def test_a_known_field_of_which_its_name_tells_now(self, store: Store) -> None:
        """A user's number is a count; a user's name is no shape, and tells of a person."""
        store.write(incoming(exchange(1, query=[("user", "7"), ("usr", "8")])))
        one_batch = [exchange(seq, query=[("user", who)]) for seq, who in ((2, "ann"), (3, "bob"))]
        written = store.write(incoming(*one_batch))
        assert [(f.path, f.class_) for f in written.turned] == [("query.user", "identifier.person")]
        assert not store.write(incoming(exchange(4, query=[("user", "eve")]))).turned
        assert [(c.name, c.what) for c in every(store, kind="class")] == [
            ("query.user", "identifier.person")
        ]
        # Where a person said what it is, no other class is news but for the inbox.
        of = ("cribl", "cdn.cribl.io", "GET", "/telemetry/index.html", "query.usr")
        assert store.say_class(SaidClass(*of, "text", "ann", T0))
        assert not store.write(incoming(exchange(5, query=[("usr", "ann")]))).turned
        assert len(every(store, kind="class")) == 2

    def test_a_decision_on_one_kind_of_one_field_settles_no_other(self, store: Store) -> None:
        store.write(incoming(exchange(1, query=[("a", "x"), ("b", "x")])))
        mails = [("a", "ann@example.test"), ("b", "ann@example.test")]
        store.write(incoming(exchange(2, query=mails), exchange(3, query=[("a", "10.0.0.1")])))
        items = {(c.name, c.what): c for c in every(store, kind="class")}
        assert items.keys() == {("query.a", "email"), ("query.b", "email"), ("query.a", "ip")}
        store.decide(items["query.a", "email"].id, verdict("objected"))
        assert [c.state for c in every(store, kind="class")].count("open") == 2
        sent = store.write(
            incoming(
                exchange(4, time_ns=SETTLED + 1, query=[mails[1]]),
                exchange(5, time_ns=SETTLED + 1, query=[("a", "10.0.0.1")]),
            )
        )
        assert list(sent.objected) == []
        sent = store.write(incoming(exchange(6, time_ns=SETTLED + 1, query=[mails[0]])))
        assert [(o.kind, o.records) for o in sent.objected] == [("class", 1)]

    def test_a_new_field_that_two_versions_send_at_once_is_one_item(self, store: Store) -> None:
        versions = ((1, "4.16.0"), (2, "4.17.0"))
        store.write(incoming(*(
            exchange(seq, product_version=v, query=[("hostname", "w-1")]) for seq, v in versions
        )))  # fmt: skip
        assert every(store, kind="class") == []

    def test_a_refused_certificate_by_host_and_workload(self, store: Store) -> None:
        pods = ("web-5d9c7b6f4-x2x4z", "web-5d9c7b6f4-b7b9c", "leader-0")
        for seq, pod in enumerate(pods, 1):
            store.write(incoming(refusal(seq, pod)))
        store.write(incoming(refusal(9, "leader-1", host="telemetry.cribl.cloud")))
        found = {(c.host, c.name) for c in every(store, kind="certificate")}
        assert found == {
            ("cdn.cribl.io", "logs/web"), ("cdn.cribl.io", "logs/leader"),
            ("telemetry.cribl.cloud", "logs/leader"),
        }  # fmt: skip

    def test_a_connection_that_was_not_opened_is_its_host(self, store: Store) -> None:
        store.write(incoming(spliced(1), spliced(2)))
        assert [(c.kind, c.profile, c.host) for c in every(store)] == [
            ("host", "", "other.example")
        ]

    def test_decisions_and_their_history(self, store: Store) -> None:
        store.write(incoming(exchange(1)))
        item = one(store, "field", "query.os")
        assert item.history == [] and store.change(10**9) is None
        taken = store.decide(item.id, verdict("accepted", "documented"), item.revision)
        assert taken and (taken.state, taken.who, taken.note, taken.at_ns, taken.revision) == (
            "accepted", "ann", "documented", SETTLED, 1,
        )  # fmt: skip
        store.decide(item.id, verdict("open", who="bob", at_ns=SETTLED + 1))
        found = store.change(item.id)
        assert found and [(d.state, d.who, d.note) for d in found.history] == [
            ("accepted", "ann", "documented"), ("open", "bob", ""),
        ]  # fmt: skip
        assert (found.state, found.note, found.revision) == ("open", "", 2)
        assert store.inbox().open == 8
        assert store.decide(10**9, verdict("accepted")) is None

    def test_who_decides_on_what_was_decided_meanwhile_is_told(self, store: Store) -> None:
        store.write(incoming(exchange(1)))
        item = one(store, "host")
        store.decide(item.id, verdict("objected", "no"), 0)
        with pytest.raises(Stale) as told:
            store.decide(item.id, verdict("accepted", who="bob"), 0)
        assert (told.value.change.who, told.value.change.note) == ("ann", "no")
        assert one(store, "host").state == "objected"
        store.decide(item.id, verdict("accepted", who="bob"), 1)
        assert one(store, "host").state == "accepted"

    def test_all_open_ones_of_a_query_at_once(self, store: Store) -> None:
        store.write(incoming(exchange(1)))
        store.decide(one(store, "host").id, verdict("objected"))
        last = store.inbox().last
        newer = exchange(2, product_version="4.17.0", query=[("gpu", "1")])
        store.write(incoming(newer))
        query = ChangeQuery(version="4.16.1-20904e45", cursor="changes.2", limit=1)
        assert store.decide_all(query, verdict("accepted", "the first version")) == 7
        assert store.decide_all(query, verdict("accepted")) == 0
        assert store.decide_all(ChangeQuery(until=last), verdict("accepted")) == 0
        assert store.inbox() == InboxCounts(open=2, accepted=7, objected=1, last=10)
        assert {c.note for c in every(store, state="accepted")} == {"the first version"}

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            ("host", ""), ("endpoint", ""), ("version", ""), ("field", "query.os"),
            ("class", "query.os"), ("certificate", ""),
        ],
    )  # fmt: skip
    def test_what_is_followed_is_counted(self, store: Store, kind: str, name: str) -> None:
        def batch(first: int, at: int, count: int) -> list[Any]:
            query = [("os", "a@b.test")]
            many = [exchange(first + n, time_ns=at, query=query) for n in range(count)]
            return incoming(*many, refusal(first + 50, "leader-0", time_ns=at))

        store.write(incoming(exchange(1)))
        store.write(batch(2, T0, 1))
        item = one(store, kind, name)
        store.decide(item.id, verdict("watched"))
        more = 1 if kind == "host" else 0  # the refusal is one of them, too
        shown = 1 if kind == "certificate" else 3
        written = store.write(batch(100, SETTLED - 1, 3))  # it came late
        assert one(store, kind, name).again == 0 and list(written.objected) == []
        written = store.write(batch(200, SETTLED, 3))
        watched = one(store, kind, name)
        assert (watched.again, watched.last_ns) == (shown + more, SETTLED)
        assert list(written.objected) == [] and store.inbox().again == 0
        store.decide(item.id, verdict("objected"))
        assert one(store, kind, name).again == 0
        store.write(incoming(exchange(300, time_ns=SETTLED, host="b.test", query=[],
                                      product_version="9", headers=[])))  # fmt: skip
        assert store.inbox().again == 0
        ((of, profile, records),) = store.write(batch(400, SETTLED + 1, 3)).objected
        assert (of, profile, records) == (kind, "cribl", shown + more)
        assert store.inbox().again == 1
        found = store.change(item.id)
        assert found and [d.again for d in found.history] == [shown + more, shown + more]
        store.decide(item.id, verdict("accepted"))
        assert list(store.write(batch(500, SETTLED + 1, 3)).objected) == []
        assert store.inbox().again == 0

    def test_a_group_that_began_before_counts_for_what_is_certain(self, store: Store) -> None:
        store.write(incoming(exchange(1)))
        store.decide(one(store, "host").id, verdict("watched", at_ns=T0 + 5))
        store.write(incoming(*(exchange(n, time_ns=T0 + n) for n in range(2, 9))))
        assert 1 <= one(store, "host").again <= 4

    def test_pages_and_filters(self, store: Store) -> None:
        store.write(incoming(exchange(1), exchange(2, profile="grafana", host="stats.test")))
        whole = every(store)
        assert [c.id for c in whole] == list(range(len(whole), 0, -1))
        seen: list[InboxItem] = []
        query = ChangeQuery(limit=3)
        while True:
            page = store.changes(query)
            seen += page.items
            store.write(incoming(exchange(100 + len(seen), query=[(f"x{len(seen)}", "")])))
            if page.next is None:
                break
            query = ChangeQuery(limit=3, cursor=page.next)
        assert seen == whole
        assert {c.profile for c in every(store, profile="grafana")} == {"grafana"}
        assert [c.name for c in every(store, text="QUERY.OS", profile="cribl")] == ["query.os"]
        assert every(store, text="%") == [] and every(store, state="accepted") == []
        assert [c.id for c in every(store, after=2, until=4)] == [4, 3]
        for cursor in (
            "",
            "newest.1.1",
            "changes.",
            "changes.x",
            "changes.-1",
            "changes." + "9" * 30,
        ):
            with pytest.raises(QueryError):
                store.changes(ChangeQuery(cursor=cursor))

    def test_they_outlive_captures_and_restarts(self, store: Store, tmp_path: Path) -> None:
        store.write(incoming(exchange(1)))
        item = one(store, "field", "query.os")
        store.decide(item.id, verdict("objected", "\u202e<b>\x00"))
        store.prune(max_age_s=0)
        assert store.stats().records == 0
        store.close()
        again = self.open(tmp_path)  # type: ignore[attr-defined]
        try:
            found = again.change(item.id)
            assert found.note == "\u202e<b>\x00" and again.inbox().last == 8
            again.write(incoming(exchange(2, time_ns=SETTLED)))
            assert again.inbox() == InboxCounts(open=7, objected=1, again=1, last=8)
        finally:
            again.close()

    def test_a_batch_that_fails_brings_no_item(self, store: Store) -> None:
        bad = exchange(3, host="\ud800")
        with pytest.raises((StoreError, UnicodeEncodeError)):
            store.write([*incoming(exchange(1), refusal(2, "leader-0")), decoded(b"{}", bad)])
        assert store.inbox().open == 0
        store.write(incoming(exchange(1), refusal(2, "leader-0")))
        assert store.inbox().open == 9
