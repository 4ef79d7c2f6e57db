"""app/run/gate.py: a gate passes only if nothing was sent and all was seen. Real commands are in
tests/integration/test_gate.py."""

from collections import Counter

import pytest

from app.cli.ending import GATE_OPEN, GATE_SENT
from app.contract.record import Body, CaptureRecord, Endpoint, Program, Request
from app.gate.contract_file import Contract
from app.report.coverage import Coverage, Gap
from app.run import gate, interception
from app.run.allowed import Allowed, read
from app.run.interception import Passed
from app.run.led import Led
from app.run.perform import Performed
from app.run.verdict import PASSED, of_run

NODE = Program("node", 12)
COMPLETE = Coverage(complete=True, verdict="", how="")
CONTRACT = Contract.model_validate(
    {"contract": 1, "profile": "cribl", "hosts": ["cdn.cribl.io"],
     "endpoints": [{"host": "cdn.cribl.io", "method": "GET", "route": "/telemetry/"}]}
)  # fmt: skip


class Decoding:
    """In the place of an app: the profiles decode nothing."""

    def decoders(self):
        return lambda _profile, _rule: ()


def request(host="cdn.cribl.io", path="/telemetry/", by="app"):
    return CaptureRecord(
        boot="b" * 8, seq=1, kind="exchange", time_ns=1, program=NODE, answered_by=by,
        destination=Endpoint("127.116.0.1", 443), profile="cribl", route=path,
        request=Request(method="GET", host=host, path=path),
    )  # fmt: skip


def judged(*records, passed=(), code=0, allow=(), more=(), **given):
    passed = Counter(passed)
    coverage = of_run(
        rows=[], who="node", left=0, lost={}, passed=passed, survivors=[], brought=0, refused="",
        sidecar_ended=False,
    )  # fmt: skip
    found = Performed(code, coverage=coverage, passed=passed, source=Decoding())
    return gate.judge(found, records, Allowed(read(allow)), more=more, **given)


def test_the_codes_are_the_command_lines():
    assert (gate.SOMETHING_SENT, gate.NOT_COMPLETE) == (GATE_SENT, GATE_OPEN)


@pytest.mark.parametrize("code", [0, 3, 137])
def test_nothing_sent_and_all_seen_passes_with_the_commands_own_code(code):
    found = judged(code=code)
    assert (found.verdict, found.code) == ("passed", code)
    assert found.says.startswith("gate passed: nothing was sent, and coverage is complete")
    assert ("ended with" in found.says) == bool(code)


@pytest.mark.parametrize("why", [*PASSED, interception.SERVICE])
def test_no_connection_past_the_sidecar_passes(why):
    found = judged(passed=[Passed(why, NODE, "192.0.2.9:8443")])
    if why == interception.SERVICE:  # a gate's interception notes none
        return
    assert found.code == (GATE_SENT if why in gate.OUT else GATE_OPEN)
    assert "192.0.2.9:8443" in " ".join(gate.lines(found))
    assert "node (pid 12)" in " ".join(gate.lines(found))


def test_a_request_is_sent_whoever_answered_it():
    found = judged(request(), code=1)
    assert (found.verdict, found.code) == ("sent", GATE_SENT)
    assert "to cdn.cribl.io" in found.says
    assert "the command itself ended with 1" in found.says
    (line,) = gate.lines(found)[1:]
    assert line.startswith("sent: by node (pid 12) to cdn.cribl.io (127.116.0.1)")


def test_what_is_allowed_passes_and_is_listed():
    found = judged(request(), passed=[Passed(interception.LOCAL, NODE, "/run/x (a, pid 3)")],
                   allow=["cdn.cribl.io", "/run/x"])  # fmt: skip
    assert (found.code, found.gaps) == (0, [])
    assert [one.to for one in found.allowed] == ["cdn.cribl.io (127.116.0.1)"]
    assert "but what is allowed (to cdn.cribl.io" in found.says


def test_a_gap_of_the_callers_own_does_not_pass():
    gap = Gap(id="queues", count=1, says="a queue changed", remedy="see")
    found = judged(more=[gap])
    assert found.code == GATE_OPEN
    assert gate.lines(found)[-1] == "not complete: a queue changed [see]"


def test_a_run_of_which_nothing_can_be_told_does_not_pass():
    found = gate.judge(Performed(0, error=OSError("no app")), (), Allowed([]))
    assert found.code == GATE_OPEN
    assert "cannot be told: no app" in found.says


def test_a_connection_that_is_known_passed_before_the_error_is_sent():
    passed = Counter([Passed(interception.LOOKUP, NODE, "192.0.2.9:53")])
    found = gate.judge(Performed(0, error=OSError("x"), passed=passed), (), Allowed([]))
    assert found.code == GATE_SENT


def test_a_contract_allows_what_it_plans_and_nothing_else():
    assert judged(request(), contract=CONTRACT).code == 0
    found = judged(request(path="/other"), contract=CONTRACT)
    assert (found.verdict, found.code) == ("broken", GATE_SENT)
    assert "an endpoint that the contract does not name: cdn.cribl.io GET /other" in found.says
    found = judged(request("evil.test"), contract=CONTRACT)
    assert (found.verdict, found.code) == ("sent", GATE_SENT)
    elsewhere = request(by="upstream")
    elsewhere.destination = Endpoint("203.0.114.9", 443)  # it says to be the planned host
    assert judged(elsewhere, contract=CONTRACT).verdict == "sent"


def test_udp_to_a_telemetry_host_that_was_refused_is_allowed_where_a_contract_plans_the_host():
    """As the C library compares the addresses of a name, before it connects by TCP."""
    sought = Passed(interception.SOUGHT, NODE, "cdn.cribl.io:443")
    assert judged(request(), passed=[sought], contract=CONTRACT).code == 0
    alone = judged(passed=[sought])
    assert (alone.verdict, alone.says[:41]) == ("sent", "gate failed: the command tried to send, 1")
    assert "the command sent something" in judged(request(), passed=[sought]).says
    other = sought._replace(to="us.i.posthog.com:443")
    found = judged(request(), passed=[sought, other], contract=CONTRACT)
    assert [(one.how, one.to) for one in found.sent] == [(other.why, other.to)]


def test_what_a_contract_could_not_check_is_never_green():
    cut = request()
    cut.request.body = Body(text="{", size=9, truncated=True)
    cut.request.method = "POST"
    plan = {"host": "cdn.cribl.io", "method": "POST", "route": "/telemetry/"}
    contract = Contract.model_validate(
        {"contract": 1, "profile": "cribl", "hosts": ["cdn.cribl.io"], "endpoints": [plan]}
    )
    found = judged(cut, contract=contract)
    assert (found.verdict, found.code) == ("not_complete", GATE_OPEN)
    assert [gap.id for gap in found.gaps] == ["unchecked"]
    assert "not kept whole" in found.says
    assert found.doubts == ["1 endpoint was planned without `fields`, which are not judged"]


def test_the_limits_are_always_said():
    assert set(gate.LIMITS) < set(judged(limits=["a mount"]).limits)
    assert isinstance(Coverage(complete=True, verdict="", how="").limits, list)


def test_a_connection_without_a_record_is_sent_and_one_with_a_record_is_told_once():
    client, to = ("127.0.0.1", 40001), ("127.116.0.1", 443)
    passed = Passed(interception.UNRECORDED, NODE, "cdn.cribl.io:443")
    found = Performed(0, coverage=COMPLETE, led=[Led(client, to, 0, passed)])
    one = request()
    assert gate.judge(found, (), Allowed([])).sent[0].how == interception.UNRECORDED
    one.client = Endpoint(*client)
    outcome = gate.judge(found, [one], Allowed([]))
    assert [sending.how for sending in outcome.sent] == ["exchange"]


def test_the_record_of_one_connection_is_no_record_of_another_from_the_same_port():
    client = ("127.0.0.1", 40001)
    elsewhere = Passed(interception.UNRECORDED, NODE, "203.0.114.9:443")
    led = [
        Led(client, ("127.116.0.1", 443), 0, elsewhere._replace(to="cdn.cribl.io:443")),
        Led(client, ("203.0.114.9", 443), 0, elsewhere),
    ]
    one = request()
    one.client = Endpoint(*client)
    outcome = gate.judge(
        Performed(0, coverage=COMPLETE, led=led, source=Decoding()), [one], Allowed([]),
        contract=CONTRACT,
    )  # fmt: skip
    assert [(sending.how, sending.to) for sending in outcome.sent] == [elsewhere[::2]]
    assert outcome.verdict == "sent"
