"""tests/bench/pod_start.py: its arithmetic, and that a kind is what its name says."""

import pytest

from app.inject import NamespaceFacts, inject
from tests.bench.pod_start import PLAIN, REDIRECTS, Start, first_line_at, node, told
from tests.unit.app.inject.test_pod import settings


def test_lines_compare_pods_of_the_same_turn() -> None:
    found = {
        "plain": [Start(0.5, 1.0), Start(0.5, 2.0), Start(0.75, 1.5)],
        "hosts": [Start(2.0, 3.0), Start(1.75, 3.0), Start(2.75, 3.5)],
    }
    assert told(found) == [
        "runs plain: 0.50 s (0.50 to 0.75)",
        "runs hosts: 2.00 s (1.75 to 2.75), later by 1.50 s (1.25 to 2.00)",
        "ready plain: 1.50 s (1.00 to 2.00)",
        "ready hosts: 3.00 s (3.00 to 3.50), later by 2.00 s (1.00 to 2.00)",
    ]


def test_a_kind_without_a_pair_is_not_compared() -> None:
    with pytest.raises(ValueError, match="zip"):
        told({"plain": [Start(1, 2), Start(1, 2)], "hosts": [Start(1, 2)]})


def test_the_time_of_a_log_is_its_first_line_s() -> None:
    log = "1970-01-01T00:01:00.250000001Z started\n1970-01-01T00:02:00Z more\n"
    assert first_line_at(log) == 60.25
    with pytest.raises(ValueError, match="isoformat"):
        first_line_at("")


@pytest.mark.parametrize("kind", [PLAIN, *REDIRECTS])
def test_kinds(kind: str) -> None:
    done = inject(node(kind, 1, "n"), settings(), NamespaceFacts("n", {}, ""))
    assert done.redirect == ("" if kind == PLAIN else kind)
