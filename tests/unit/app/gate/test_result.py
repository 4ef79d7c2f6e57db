"""app/gate/result.py: what the outputs say of a violation."""

from app.gate.result import GATE_KINDS, KINDS, markdown
from tests.unit.app.gate.violating import violation


def test_a_violation_says_where_and_how_often() -> None:
    one = violation(count=2, of=3)
    assert (one.where, one.times) == ("cdn.cribl.io GET /a query.x", "2 of 3 captures")
    bare = violation(kind="sent", host="a.test", method="", endpoint="", field="", count=1, of=0)
    assert (bare.where, bare.times) == ("a.test", "1 time")


def test_each_kind_is_in_the_documents_and_a_gates_own_are_no_contracts() -> None:
    assert not KINDS.keys() & GATE_KINDS.keys()
    for kind, says in {**KINDS, **GATE_KINDS}.items():
        assert f"| `{kind}` | {says}" in markdown()
