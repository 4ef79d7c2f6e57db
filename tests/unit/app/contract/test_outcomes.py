"""Every record has one outcome, and "delivered" is said of nothing that did not arrive."""

from itertools import product
from typing import get_args

import pytest

from app.contract.actions import FORWARDED, KEPT_HERE, Action, Kind
from app.contract.outcomes import OUTCOMES, WORDS, outcome, word_of
from app.contract.record import REASONS

KINDS = get_args(Kind)
ACTIONS = ("", *get_args(Action))
ANSWERED_BY = ("", "app", "sidecar", "upstream")
EVERY = list(product(KINDS, ACTIONS, ANSWERED_BY, ("", *REASONS)))


def test_every_record_has_one() -> None:
    found = {outcome(*one) for one in EVERY}
    assert found == {"", *OUTCOMES}
    assert all((outcome(*one) == "") == (one[0] == "log") for one in EVERY)
    assert {OUTCOMES[id].word for id in found - {""}} == set(WORDS)


def test_a_gap_says_what_helps_and_only_a_gap_does() -> None:
    for id, row in OUTCOMES.items():
        assert row.unseen == bool(row.remedy), id


@pytest.mark.parametrize("kind", KINDS)
def test_delivered_is_said_of_what_arrived_alone(kind: str) -> None:
    for one in EVERY:
        of, action, answered_by, reason = one
        if of != kind or word_of(outcome(*one)) not in ("delivered", "passed"):
            continue
        relayed = kind == "spliced" and reason not in ("upstream_unreachable", "upstream_failed")
        message = kind == "message" and action in FORWARDED
        assert answered_by == "upstream" or relayed or message, one
        assert kind != "tls_rejected"


def test_nothing_says_none_was_delivered_of_what_may_have_arrived() -> None:
    """A request that was forwarded, and whose connection was made, may be with the host."""
    certain = {"upstream_unreachable", "bad_request", "loop", "blocked"}
    for kind, action, by, reason in EVERY:
        if kind not in ("exchange", "failed", "refused") or reason in certain:
            continue
        if action in FORWARDED:
            assert (
                "none of it was delivered" not in OUTCOMES[outcome(kind, action, by, reason)].says
            )
        elif action in KEPT_HERE and by != "upstream":
            assert "none of it was delivered" in OUTCOMES[outcome(kind, action, by, reason)].says


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (("exchange", "mock", "app", ""), "answered"),
        (("exchange", "mock", "sidecar", "app_unreachable"), "answered"),
        (("exchange", "mock", "sidecar", "rehearsal"), "rehearsed"),
        (("refused", "", "", "rehearsal"), "rehearsed_connection"),
        (("exchange", "mock", "sidecar", "answer_timeout"), "answered"),
        (("message", "mock", "app", ""), "answered"),
        (("exchange", "observe", "upstream", ""), "delivered"),
        (("exchange", "pass", "upstream", ""), "passed"),
        (("message", "observe", "", ""), "delivered"),
        (("failed", "observe", "upstream", "client_gone"), "delivered"),
        (("refused", "observe", "upstream", "unjudged"), "delivered"),  # after a 101
        (("spliced", "pass", "", "not_named"), "relayed"),
        (("spliced", "pass", "upstream", "not_named"), "relayed"),
        (("spliced", "pass", "", "not_http"), "unread"),
        (("spliced", "pass", "", "upstream_unreachable"), "not_delivered"),
        (("refused", "block", "sidecar", "blocked"), "refused"),
        (("refused", "", "", "unjudged"), "refused"),
        (("refused", "pass", "", "trailers"), "refused_underway"),
        (("refused", "pass", "", "loop"), "refused"),
        (("failed", "observe", "", "upstream_unreachable"), "not_delivered"),
        (("failed", "observe", "", "upstream_failed"), "unanswered"),
        (("failed", "observe", "", "client_gone"), "unanswered"),
        (("failed", "mock", "", "client_gone"), "not_delivered"),
        (("failed", "", "", "no_request"), "no_request"),
        (("failed", "", "", "too_many_connections"), "no_request"),
        (("tls_rejected", "", "", "closed_after_handshake"), "certificate_refused"),
        (("tls_rejected", "", "", "certificate_not_covering"), "certificate_old"),
        (("tls_rejected", "", "", "tls_failed"), "tls_failed"),
        (("log", "", "", ""), ""),
    ],
)
def test_what_sidecar_and_mock_record(record: tuple[str, str, str, str], expected: str) -> None:
    assert outcome(*record) == expected
