"""One table of sentences, each caused once; values of the cluster reach no terminal raw."""

import string
from typing import Any

import pytest

from addon.app_client.client import TROUBLES as SIDECARS
from app.contract.rules import RuleSet
from app.inject.sentences import SENTENCES, TROUBLES, say
from app.inject.status import (
    AppView,
    SidecarCounters,
    Surroundings,
    judge,
    judge_unmade,
)
from app.inject.workloads import Controller, Unmade
from tests.unit.app.inject.test_status import (
    AUTHORITY,
    CRIBL,
    DEPLOYED,
    EMPTY,
    LACKING,
    ONE_HOST,
    evicted,
    made,
    state,
    trusting,
    unscheduled,
    unseen,
    waiting,
)


def test_the_sidecar_s_words_have_their_sentences() -> None:
    assert set(SIDECARS) == set(TROUBLES) <= SENTENCES.keys()


@pytest.mark.parametrize("id", SENTENCES)
def test_values_are_filled_in_and_escaped(id: str) -> None:
    wanted = [name for _, name, _, _ in string.Formatter().parse(SENTENCES[id]) if name]
    said = say(id, **dict.fromkeys(wanted, "a\x1b[31m\n{b}"))
    assert said.isprintable()
    assert all(name in said for name in (["a\\x1b[31m {b}"] if wanted else []))


def test_an_unknown_one_is_said_as_it_is() -> None:
    assert say("future\x1b") == "future\\x1b"


RESTART = "restart it: kubectl -n logs rollout restart deployment/web"
LOGS = "kubectl -n logs logs leader-0 -c telemock"
# Sentence -> what causes it, and the whole of what is said.
CAUSED: dict[str, tuple[Any, str]] = {
    "unseen": (
        lambda: judge(unseen(), None, None),
        "no injector saw this pod: it is older than the opt-in, or no injector answered when it "
        f"started; {RESTART}",
    ),
    "not_made": (
        lambda: judge_unmade(
            Unmade(Controller("logs", "ReplicaSet", "web-1"), "exceeded quota: small")
        ),
        "its pods cannot be made: exceeded quota: small",
    ),
    "unscheduled": (
        lambda: judge(unscheduled(), None, None),
        "no node takes it: 0/3 nodes: Insufficient memory.",
    ),
    "evicted": (
        lambda: judge(evicted(), None, None),
        "the node evicted it: Usage of EmptyDir exceeds the limit",
    ),
    "image": (
        lambda: judge(waiting("telemock", "ImagePullBackOff", "not found"), None, None),
        "the node cannot get the image telemock-sidecar:1.2.3 of the container telemock: "
        "ImagePullBackOff not found; push it to where the node looks, or give the pod "
        "imagePullSecrets of its namespace",
    ),
    "container": (
        lambda: judge(waiting("telemock", "CrashLoopBackOff", "", "17490 is taken"), None, None),
        "the container telemock does not start: 17490 is taken",
    ),
    "redirect_failed": (
        lambda: judge(
            waiting("telemock-redirect", "CrashLoopBackOff", "", "nft: not permitted"), None, None
        ),
        "the redirect failed: nft: not permitted",
    ),
    "port_in_use": (
        lambda: judge(
            made("loopback"),
            None,
            None,
            Surroundings(failed={"web": "starting\nError: listen EADDRINUSE: :::443\n  at x"}),
        ),
        "the container web cannot listen: Error: listen EADDRINUSE: :::443; redirect loopback has "
        "the ports 80 and 443 of loopback addresses: use telemock.io/redirect: hosts, or declare "
        "the port in the container, so that the pod is left alone",
    ),
    "restarts": (
        lambda: judge(made(), None, SidecarCounters(0, 0, 0, 2)),
        f"its sidecar ended 2 times unasked and was started again: {LOGS}",
    ),
    "stale_hosts": (
        lambda: judge(
            made(rules=RuleSet((ONE_HOST,), ""), ownerReferences=[DEPLOYED]),
            AppView(EMPTY, CRIBL),
            None,
        ),
        "the profiles name hosts, or ports of hosts, that this pod was made without, and does not "
        f"redirect: cdn.cribl.io; {RESTART}",
    ),
    "refused": (
        lambda: judge(made(), None, SidecarCounters(3, 0, 0)),
        "clients refused the sidecar's certificate 3 times, and what they sent is not seen: the "
        "annotation telemock.io/trust adds what their runtime needs",
    ),
    "missing": (
        lambda: judge(made(), AppView(LACKING, CRIBL), None),
        "7 of its records have not arrived: they are lost, or still in the pod",
    ),
    "dropped": (
        lambda: judge(made(), None, SidecarCounters(0, 4, 0)),
        f"its sidecar lost 4 records: {LOGS}",
    ),
    "old_authority": (
        lambda: judge(trusting("a", "b"), None, None, Surroundings(AUTHORITY.format("c"))),
        "it trusts an authority that the app no longer shows: its records will not be delivered; "
        f"{RESTART}",
    ),
    "unreachable": (
        lambda: judge(made(), None, SidecarCounters(0, 0, 9, 0, "unreachable")),
        "its sidecar cannot reach the app, and holds 9 records",
    ),
    "distrusted": (
        lambda: judge(
            trusting("a"), None, SidecarCounters(0, 0, 9, 0, "distrusted"),
            Surroundings(AUTHORITY.format("c")),
        ),
        "its sidecar does not trust the app's certificate, and holds 9 records: the app had "
        f"another authority when the pod was injected; {RESTART}",
    ),
    "unauthorized": (
        lambda: judge(made(), None, SidecarCounters(0, 0, 9, 0, "unauthorized")),
        "the app does not accept its sidecar's token, and it holds 9 records: the app's log says "
        "why",
    ),
    "full": (
        lambda: judge(made(), None, SidecarCounters(0, 0, 9, 0, "full")),
        "the app's disk is full, and the pod holds 9 records",
    ),
    "error": (
        lambda: judge(made(), None, SidecarCounters(0, 0, 9, 0, "error")),
        "the app does not take what its sidecar sends, and it holds 9 records: the app's log says "
        "why",
    ),
}  # fmt: skip


@pytest.mark.parametrize("id", SENTENCES)
def test_each_sentence_is_caused_once(id: str) -> None:
    cause, said = CAUSED[id]
    assert cause().problems == [said]


@pytest.mark.parametrize("id", SENTENCES)
def test_none_is_said_without_its_cause(id: str) -> None:
    well = state(made(), "telemock-redirect", state={"terminated": {"exitCode": 0}})
    state(well, "telemock", state={"running": {}}, restartCount=0)
    found = judge(well, AppView(EMPTY, CRIBL), SidecarCounters(0, 0, 5), Surroundings("", {}))
    assert (found.problems, found.notes) == ([], [])
