"""One verdict on pods: complete only where each has a sidecar that the app has heard of."""

import msgspec
import pytest

from app.inject.coverage import verdict, with_verdicts
from app.inject.status import AppView, PodStatus, judge
from app.report.coverage import Witness
from tests.unit.app.inject.test_status import CRIBL, EMPTY, made, state, unseen


def view(*who: str, **facts: object) -> AppView:
    ledger = [Witness(who=name, numbered=3, stored=3, **facts) for name in who]  # type: ignore[arg-type]
    return AppView(msgspec.structs.replace(EMPTY, ledger=ledger), CRIBL)


def injected() -> PodStatus:
    pod = state(made(), "telemock-redirect", state={"terminated": {"exitCode": 0}})
    return judge(pod, None, None)


def test_complete() -> None:
    found = verdict([injected()], view("logs/leader-0", "other/pod"))
    assert found.complete and found.verdict.startswith("complete: ")


def test_losses_of_other_pods_are_not_this_one_s() -> None:
    seen = view("logs/leader-0")
    lossy = Witness(who="other/pod", numbered=3, lost={"spool_full": 2})
    seen = seen._replace(report=msgspec.structs.replace(seen.report, ledger=[
        *seen.report.ledger, lossy,
    ]))  # fmt: skip
    assert verdict([injected()], seen).complete
    assert not verdict([injected()], view("logs/leader-0", lost={"spool_full": 2})).complete


@pytest.mark.parametrize(
    ("row", "heard", "words"),
    [
        (judge(unseen(), None, None), (), "1 pod has no sidecar (logs/leader-0)"),
        (injected(), (), "the app has not heard of logs/leader-0"),
        (
            msgspec.structs.replace(injected(), redirect_proven=False),
            ("logs/leader-0",),
            "the redirect failed: logs/leader-0",
        ),
    ],
)
def test_not_complete(row: PodStatus, heard: tuple[str, ...], words: str) -> None:
    found = verdict([row], view(*heard))
    assert not found.complete
    assert found.verdict.startswith(f"not complete: {words} [")


def test_a_pod_that_has_ended_is_judged_by_its_records() -> None:
    ended = msgspec.structs.replace(injected(), phase="Succeeded")
    assert verdict([ended, injected()], view("logs/leader-0")).complete


def test_each_row_has_its_own() -> None:
    (row,) = with_verdicts([injected()], view("logs/leader-0"))
    assert row.coverage.startswith("complete: ")
    assert with_verdicts([injected()], None)[0].coverage == ""


def test_pods_of_namespaces_that_may_not_be_read_are_not_known() -> None:
    """Who lists pods everywhere may yet read the captures of some namespaces only."""
    seen = AppView(msgspec.structs.replace(EMPTY, namespaces=["others"]), CRIBL)
    pod = state(made(), "telemock-redirect", state={"terminated": {"exitCode": 0}})
    row = judge(pod, seen, None)
    assert (row.captures, row.missing) == (None, None)
    said = verdict([row], seen).verdict
    assert said.startswith("not complete: ") and "has not heard of" not in said
    assert "may read the captures of others alone, not of logs/leader-0" in said
