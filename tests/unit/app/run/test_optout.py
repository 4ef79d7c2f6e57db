"""app/run/optout.py: what each switch's runs mean beside those without one. Whole audits are in
tests/integration/test_optout.py."""

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app.profiles.about import Switch
from app.report.coverage import Coverage
from app.run import optout
from app.run.optout import (
    Audit,
    AuditInterrupt,
    AuditOptions,
    SwitchResult,
    audit,
    endpoint,
    with_args,
)
from app.run.processes import LocalError
from app.run.stopping import SIGNALS, Stop
from app.run.summary import Sent
from app.run.trial import Trial
from app.settings import load

COMPLETE = Coverage(complete=True, verdict="complete: …", how="")
GAP = Coverage(complete=False, verdict="not complete: a gap", how="")


def row(
    host: str = "t.acme.test", path: str = "/v1", count: int = 1, profile: str = "acme"
) -> Sent:
    kind = "exchange" if profile else "spliced"
    return Sent(host=host, method="POST" if profile else "", endpoint=path if profile else "",
                action="", kind=kind, reason="", profile=profile, count=count)  # fmt: skip


def other(host: str) -> Sent:
    return row(host, profile="")


def ran(*sent: Sent, code: int = 0, coverage: Coverage | None = COMPLETE, said: str = "") -> Trial:
    return Trial(exit_code=code, sent=list(sent), coverage=coverage, said=said, error="no app\n\nx")


USUAL = ran(row(), other("packages.example"))


def judged(*runs: Trial, without: Sequence[Trial] = (USUAL,)) -> SwitchResult:
    return optout._judged("OFF=1", list(runs), list(without))


def test_silence_is_nothing_to_a_profiles_host_with_complete_coverage() -> None:
    assert judged(ran()) == SwitchResult(switch="OFF=1", result="silent", runs=[ran()])
    beside = judged(ran(other("packages.example")))
    assert beside.result == "silent"
    assert beside.why == ["besides, unread, to 1 other host: packages.example"]


def test_what_still_sends_is_named_and_counted_by_run() -> None:
    one = judged(ran(row(count=3)), ran(row(count=1)))
    assert (one.result, one.new) == ("sends", [])
    assert one.why == ["POST t.acme.test/v1 ×3, 1 in turn"]  # noqa: RUF001
    assert judged(ran(row(count=2)), ran(row(count=2))).why == ["POST t.acme.test/v1 ×2"]  # noqa: RUF001


def test_a_beacon_of_the_switch_itself_is_found() -> None:
    one = judged(ran(row(path="/optout")), ran())
    assert (one.result, one.new) == ("sends", ["POST t.acme.test/optout"])


def test_a_host_that_only_the_switch_talks_to_is_no_silence() -> None:
    """No profile names it, and it is not opened: it may be where the beacon goes."""
    one = judged(ran(other("packages.example"), other("optout.acme.test")))
    assert (one.result, one.new) == ("sends", ["optout.acme.test (spliced)"])


@pytest.mark.parametrize("coverage", [GAP, None])
def test_what_was_not_seen_whole_is_not_silent(coverage: Coverage | None) -> None:
    one = judged(ran(coverage=coverage))
    assert one.result == "incomplete"
    assert one.why == ["not complete: a gap" if coverage else "what it sent cannot be told: no app"]


def test_a_command_that_fails_by_the_switch_proves_nothing() -> None:
    one = judged(ran(code=2, said="no such option"))
    assert one.result == "failed"
    assert one.why == ["it ended with 2 (no such option); without a switch with 0"]
    assert judged(ran(row(), code=2)).result == "sends"  # worse news first


def test_a_command_that_fails_anyway_is_compared_with_itself() -> None:
    failing = ran(row(), code=3, said="no project")
    assert judged(ran(code=3), without=[failing]).result == "silent"
    without = [failing]
    first = optout._judged("", without, without)
    assert first.why[-1] == "it ended with 3 (no project)"


def concluded(first: Trial, switched: Trial, last: Trial) -> Audit:
    return of_runs([first], [switched], [last])


def of_runs(without: list[Trial], switched: list[Trial], last: list[Trial], **more: bool) -> Audit:
    return optout._concluded(
        Audit(
            product="acme", title="Acme", command=["acme"], state="", removed=[],
            without=optout._judged("", without, without),
            switches=[
                judged(*switched, without=without), SwitchResult(switch="x: y", result="by hand"),
            ],
            again=judged(*last, without=without), proves=False, holds=False, conclusion="",
        ), **more
    )  # fmt: skip


def test_it_holds_only_beside_runs_that_sent_before_and_after() -> None:
    found = concluded(USUAL, ran(), USUAL)
    assert found.holds and found.proves
    assert found.conclusion == "silent with each of 1 switch, and coverage was complete"
    found = concluded(USUAL, ran(row()), USUAL)
    assert found.proves and not found.holds
    assert found.conclusion == "silent, with complete coverage, with 0 of 1 switch"
    for first, last, said in (
        (ran(), ran(), "nothing to switch off was seen"),
        (ran(), USUAL, "nothing to switch off was seen"),
        (USUAL, ran(), "was seen to send first, and not in the end"),
    ):
        found = concluded(first, ran(), last)
        assert not found.holds and not found.proves and said in found.conclusion and found.hint
    assert "it failed" in concluded(ran(code=1), ran(code=1), ran(code=1)).hint


def test_silence_may_be_chance_where_the_product_sends_only_sometimes() -> None:
    silent = [ran()] * 3
    found = of_runs([USUAL, ran(), USUAL], silent, [ran(), USUAL, ran()])
    assert not found.holds and not found.proves
    assert found.conclusion == (
        "without a switch the command sends only sometimes: in runs 1, 3 of 3 first, 2 of 3 in the "
        "end, so a `silent` here may be chance"
    )
    assert "--repeat" in found.hint
    assert "--repeat" in concluded(USUAL, ran(), ran()).hint
    second = [ran(), USUAL, USUAL]  # from the second start on
    assert of_runs(second, silent, second).holds
    assert of_runs(second, silent, [USUAL] * 3, fresh=False).holds  # in one home


def test_a_run_that_only_met_a_gap_is_not_one_that_sent() -> None:
    assert not concluded(ran(coverage=GAP), ran(), ran(coverage=GAP)).proves


def test_where_a_switchs_arguments_go() -> None:
    assert with_args(["dbt", "run"], ["--off", "x"]) == ["dbt", "run", "--off", "x"]
    assert with_args(["dbt", "{args}", "run"], ["--off", "x"]) == ["dbt", "--off", "x", "run"]
    assert with_args(["dbt", "{args}", "run"], []) == ["dbt", "run"]
    assert with_args(["sh", "-c", "x {args}"], ["--off"]) == ["sh", "-c", "x {args}", "--off"]


def test_an_endpoint_is_named_by_method_host_and_route_or_by_what_came_of_it() -> None:
    assert endpoint(row()) == "POST t.acme.test/v1"
    assert endpoint(other("packages.example")) == "packages.example (spliced)"


PROFILE = """
id: acme
title: Acme
licence: {class: none, note: made up}
evidence: [{claim: made up, source: this test, verified: 2026-11-29}]
hosts: [t.acme.test]
opt_out: OPT_OUT
rules: [{id: a, match: {path: /v1}, action: mock}]
"""
ALL = """
 - {env: {ACME_OFF: "1"}, note: "the  beacon stays"}
 - {args: [--off]}
 - {files: {"~/.acme/off": "x"}}
 - {setting: "acme config off"}
"""


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str], str]]:
    """What was run, in place of running it: command, environment, and the switch's file."""
    seen = []

    def tried(command, settings, environ, **given):
        file = Path(environ["HOME"], ".acme/off")
        switch = file.read_text() if file.exists() else ""
        seen.append((command, environ, switch))
        off = "--off" in command or switch or "ACME_OFF" in environ or "CI" in environ
        return ran() if off else USUAL

    monkeypatch.setattr(optout, "tried", tried)
    return seen


def profile(folder: Path, opt_out: str = ALL) -> str:
    (folder / "acme.yaml").write_text(PROFILE.replace("OPT_OUT", opt_out))
    return str(folder / "acme.yaml")


def test_each_switch_is_alone_and_the_first_and_last_run_have_none(tmp_path, runs) -> None:
    environ = {"PATH": "/bin", "HOME": "/mine", "ACME_OFF": "1", "CI": "true", "KEPT": "1"}
    said: list[str] = []
    found = audit(
        profile(tmp_path), ["acme", "{args}", "run"], load({}), AuditOptions(repeat=2),
        also=[Switch(env={"CI": "1"})], environ=environ, progress=said.append,
    )  # fmt: skip
    assert found.holds and found.removed == ["ACME_OFF", "CI"]
    assert [(one.switch, one.result, one.note) for one in found.switches] == [
        ("ACME_OFF=1", "silent", "the beacon stays"), ("--off", "silent", ""),
        ("a file ~/.acme/off", "silent", ""), ("acme config off", "by hand", ""),
        ("CI=1", "silent", ""),
    ]  # fmt: skip
    assert [
        (" ".join(command), file, *sorted({"ACME_OFF", "CI"} & set(environ)))
        for command, environ, file in runs[::2]
    ] == [
        ("acme run", ""), ("acme run", "", "ACME_OFF"), ("acme --off run", ""),
        ("acme run", "x"), ("acme run", "", "CI"), ("acme run", ""),
    ]  # fmt: skip
    homes = [environ["HOME"] for _, environ, _ in runs]
    assert homes[::2] == homes[1::2] and len(set(homes)) == 6 and "/mine" not in homes
    assert all(environ["KEPT"] == "1" for _, environ, _ in runs)
    assert not any(Path(home).exists() for home in homes)
    assert said[0] == "1 of 6: without a switch" and said[-1].startswith("6 of 6: ")


def test_a_switch_that_is_documented_is_tried_once(tmp_path, runs) -> None:
    also = [Switch(env={"ACME_OFF": value}) for value in "10"]
    found = audit(profile(tmp_path), ["acme"], load({}), AuditOptions(), also=also, environ={})
    assert [one.switch for one in found.switches if "ACME_OFF" in one.switch] == [
        "ACME_OFF=1", "ACME_OFF=0",
    ]  # fmt: skip


def test_no_file_is_written_into_the_users_own_home(tmp_path, runs) -> None:
    environ = {"HOME": str(tmp_path)}
    found = audit(profile(tmp_path), ["acme"], load({}), AuditOptions(fresh=False), environ=environ)
    assert [one.result for one in found.switches] == ["silent", "silent", "by hand", "by hand"]
    assert all(environ["HOME"] == str(tmp_path) for _, environ, _ in runs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["acme.yaml"]


def test_switches_that_are_all_set_by_hand_are_no_proof(tmp_path, runs) -> None:
    found = audit(
        profile(tmp_path, "[{setting: x}]"), ["acme"], load({}), AuditOptions(), environ={}
    )
    assert not found.holds and found.conclusion.startswith("no switch could be tried here")


def test_without_a_switch_there_is_nothing_to_try(tmp_path, runs) -> None:
    with pytest.raises(LocalError, match=r"names no way to switch .*\n\nhint: --also"):
        audit(profile(tmp_path, "[]"), ["acme"], load({}), AuditOptions(), environ={})
    profile(tmp_path)
    (tmp_path / "b.yaml").write_text(PROFILE.replace("acme", "b").replace("OPT_OUT", "[]"))
    with pytest.raises(LocalError, match="holds 2 profiles"):
        audit(str(tmp_path), ["acme"], load({}), AuditOptions(), environ={})
    assert runs == []


def test_a_command_whose_own_code_is_that_of_ctrl_c_ends_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(optout, "tried", lambda *_, **__: ran(code=130))
    found = audit(profile(tmp_path), ["acme"], load({}), AuditOptions(), environ={})
    assert found.again.result == "silent" and found.again.runs[0].exit_code == 130


@pytest.fixture
def heeded() -> Iterator[None]:
    """The tests may run in the background, or under nohup."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    yield
    for number, did in before.items():
        signal.signal(number, did)


@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("raises", [True, False])  # it came within the run, or at its end
@pytest.mark.parametrize("whole", range(5))
def test_what_was_known_at_a_signal_is_told(
    tmp_path, runs, monkeypatch, whole: int, raises: bool, number: signal.Signals
) -> None:
    going = optout.tried

    def tried(*given, stop: Stop, **more):
        if len(runs) < whole:
            return going(*given, **more)
        signal.raise_signal(number)
        if raises:
            stop.check()
        return ran(code=3)

    monkeypatch.setattr(optout, "tried", tried)
    with pytest.raises(AuditInterrupt) as caught:
        audit(profile(tmp_path), ["acme"], load({}), AuditOptions(), environ={})
    assert caught.value.code == 128 + number
    found = caught.value.found
    told = [one.result for one in (found.without, *found.switches, found.again)]
    known = ["sends", "silent", "silent", "silent"][:whole]
    assert told == [*(known + ["not run"] * 4)[:4], "by hand", "not run"]
    assert [one.note for one in found.switches] == ["the beacon stays", "", "", ""]
    assert not found.proves and not found.holds
    assert found.conclusion.startswith(f"interrupted in run {whole + 1} of 5, so no `silent` here")
    assert found.conclusion.endswith(f"incomplete ({number.name})")
