"""The verdict: complete only when nothing is known to be missing, and it says how that is known."""

import pytest

from app.contract.outcomes import OUTCOMES
from app.report.coverage import BLIND_SPOTS, FORMS, Gap, Interval, Witness, judge


def seen(**given: object) -> Witness:
    facts: dict[str, object] = {
        "who": "logs/leader-0",
        "connections": {"cdn.cribl.io": {"answered": 3}},
        "numbered": 3,
        "stored": 3,
        "blind": list(FORMS["hosts"]),
    }
    return Witness(**facts | given)  # type: ignore[arg-type]


def test_complete_says_how_it_is_known_and_what_it_does_not_speak_of() -> None:
    found = judge([seen()])
    assert found.complete and not found.gaps
    assert found.verdict == (
        "complete: 3 requests and connections came, 3 records are stored, "
        "by the sidecar's own count"
    )
    assert "5 records are stored (log lines are records too), by" in judge([seen(stored=5)]).how
    assert any("DNS over HTTPS" in limit for limit in found.limits)
    assert found.percent is None


def test_nobody_who_saw_anything_is_not_complete() -> None:
    found = judge([])
    assert not found.complete
    assert found.verdict.startswith("not complete: no sidecar was heard of")


@pytest.mark.parametrize("id", [id for id, row in OUTCOMES.items() if row.unseen])
def test_what_was_not_seen_is_a_gap_with_its_host_and_remedy(id: str) -> None:
    found = judge([seen(connections={"cdn.cribl.io": {"answered": 3, id: 2}})])
    assert not found.complete
    assert "2 connections to cdn.cribl.io" in found.verdict
    assert OUTCOMES[id].remedy in found.verdict


@pytest.mark.parametrize("id", [id for id, row in OUTCOMES.items() if not row.unseen])
def test_what_was_seen_is_none_whatever_became_of_it(id: str) -> None:
    assert judge([seen(connections={"cdn.cribl.io": {id: 2}})]).complete


@pytest.mark.parametrize(
    ("fact", "sentence"),
    [
        ({"lost": {"spool_full": 4}}, "4 records were lost (4: the spool reached"),
        ({"waiting": 1}, "1 record is not delivered yet"),
        ({"away": [Interval(since="2026-01-01T00:00:00Z")]}, "and not since"),
        ({"reached": 10, "brought": 7}, "3 connections to telemetry hosts went past the sidecar"),
        ({"blind": ["proxy_ignored"]}, "a program that ignores the proxy variables is not seen"),
        ({"blind": ["suffix_hosts"]}, "an /etc/hosts names no suffix, so hosts that a profile"),
    ],
)
def test_everything_else_that_is_missing(fact: dict[str, object], sentence: str) -> None:
    found = judge([seen(**fact)])
    assert not found.complete
    assert sentence in found.verdict


def test_a_gap_of_the_caller() -> None:
    found = judge([seen()], [Gap(id="mine", count=1, says="it is dark", remedy="light a lamp")])
    assert found.verdict == "not complete: it is dark [light a lamp]"


def test_the_line_names_a_few_and_counts_the_rest() -> None:
    gaps = [Gap(id="mine", count=1, says=f"gap {n}", remedy="r") for n in range(5)]
    assert judge([seen()], gaps).verdict.endswith("gap 2 [r]; and 2 more")


def test_a_percentage_only_where_the_kernel_counted_everywhere() -> None:
    counted = seen(reached=1000, brought=999)
    assert judge([counted]).percent == 99.9
    assert judge([seen(reached=3, brought=3)]).percent == 100
    assert judge([seen(reached=100_000, brought=99_999)]).percent == 99.9  # not 100
    assert judge([counted, seen()]).percent is None


def test_who_told_no_count_is_said() -> None:
    found = judge([seen(numbered=0)])
    assert not found.complete and "logs/leader-0 told no count of records" in found.verdict
    assert "no sidecar told how many it made" in found.how
    assert "1 among 2; the others told none" in judge([seen(), seen(numbered=0)]).how
    assert judge([seen(numbered=0, stored=0, connections={})]).complete  # it made none


def test_names_are_captured_text_and_do_not_act() -> None:
    found = judge([seen(connections={"evil\x1b[2J.example": {"no_request": 1}})])
    assert "\x1b" not in found.verdict


def test_records_on_their_way_are_no_gap() -> None:
    found = judge([seen(underway=2)])
    assert found.complete and "3 records are stored and 2 on their way (log" in found.verdict


def test_refused_quic_is_said() -> None:
    assert judge([seen(quic_refused=2)]).limits[0].startswith("2 UDP datagrams were refused")


def test_every_form_names_blind_spots_of_the_table() -> None:
    assert {id for ids in FORMS.values() for id in ids} <= BLIND_SPOTS.keys()


def test_no_blind_spot_is_in_the_documents_that_nothing_says() -> None:
    of_forms = {id for ids in FORMS.values() for id in ids}
    assert BLIND_SPOTS.keys() - of_forms == {
        "suffix_hosts",  # said by app.report.build
        "unled_ports",  # by app.report.ledger
    }
