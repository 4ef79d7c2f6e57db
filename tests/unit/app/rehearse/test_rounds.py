"""app/rehearse/rounds.py: what cannot be rehearsed. Whole rounds are in
tests/integration/test_rehearse.py."""

import pytest

from app.rehearse import rounds
from app.rehearse.faults import FAULTS
from app.rehearse.judge import RunEvidence
from app.rehearse.rounds import AskedEndpoint, RehearsalInterrupt, _Run
from app.rehearse.show import sentence
from app.run.child import RunError
from app.run.stopping import Stopped
from app.settings import load

EVIDENCE = {"code": 0, "seconds": 2.0, "stopped": False, "attempts": 1, "sockets": 0}
ASKED = {
    AskedEndpoint("one", "/one", "a.test", "https"): 2,
    AskedEndpoint("two", "/two", "a.test", "https"): 3,
    AskedEndpoint("one", "/one", "b.test", "http"): 4,
}


def run(asked=ASKED, unruled=0, **change) -> _Run:
    return _Run(RunEvidence(**EVIDENCE | change), asked, unruled)


@pytest.mark.parametrize(
    ("found", "lasts", "says"),
    [
        (run(code=3, lines=["boom"]), False, "fails without any fault, with exit code 3: boom"),
        (run(stopped=True), False, "had not ended after 2 s"),
        (run(), True, "ended by itself after 2.0 s"),
        (run(asked={}), False, "asked no endpoint of the profile: nothing to rehearse"),
        (run(asked={}, unruled=2), False, "2 requests no rule took"),
    ],
)
def test_a_command_that_cannot_be_rehearsed_is_told_so(found, lasts, says):
    with pytest.raises(RunError, match=says) as error:
        rounds._check(found, lasts)
    assert "\n\nhint: " in str(error.value)


@pytest.mark.parametrize(("found", "lasts"), [(run(), False), (run(stopped=True, code=143), True)])
def test_one_that_can_be_is_not(found, lasts):
    rounds._check(found, lasts)


def test_a_connections_fault_meets_all_endpoints_of_its_host():
    one = next(iter(ASKED))
    attempts = {fault.id: run().of(one, fault).attempts for fault in FAULTS}
    assert attempts["refused"] == attempts["tls-error"] == 5
    assert attempts["500"] == 2


def test_plain_http_has_no_tls_to_fail():
    plain = AskedEndpoint("one", "/one", "b.test", "http")
    (tls,) = (fault for fault in FAULTS if fault.id == "tls-error")
    assert rounds._impossible(plain, tls) == "it is asked without TLS"


@pytest.mark.parametrize("whole", range(4))
def test_what_was_known_at_a_signal_is_told(monkeypatch, whole: int) -> None:
    made = []

    def one(*_given):
        if len(made) > whole:
            raise Stopped(15)
        made.append(1)
        return run()

    monkeypatch.setattr(rounds, "_run", one)
    with pytest.raises(RehearsalInterrupt) as caught:
        rounds.rehearse(["x"], "p", load({}), faults=["403", "500"])
    found = caught.value.found
    assert (len(found.rows), found.interrupted, caught.value.code) == (whole, "SIGTERM", 143)
    assert sentence(found).endswith("; interrupted by SIGTERM, so this is incomplete")


def test_at_a_signal_in_the_usual_run_nothing_is_known(monkeypatch) -> None:
    def one(*given):
        stop = given[-1]
        stop.number = 1
        stop.check()

    monkeypatch.setattr(rounds, "_run", one)
    with pytest.raises(Stopped, match="SIGHUP"):
        rounds.rehearse(["x"], "p", load({}))
