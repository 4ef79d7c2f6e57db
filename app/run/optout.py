"""`telemock optout`: runs a command without any switch, then with each that its vendor documents,
and judges whether each keeps it silent. Called by the CLI; `optout_show` prints the result.

Silence proves something only beside a run that was not silent, so the command runs without a switch
first and last: what a product sends once a day would otherwise pass for a switch that works.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from app.profiles.about import Switch
from app.profiles.compile import load
from app.profiles.read import built_in
from app.report.coverage import count
from app.report.papers import switch_words
from app.run.perform import WAIT_SECONDS
from app.run.processes import LocalError
from app.run.stopping import Stop, Stopped, stopping
from app.run.summary import Sent
from app.run.trial import Home, Trial, tried
from app.settings import Settings

ARGS = "{args}"  # in the command: where a switch's arguments go
# What many products heed beside their own switches: a run without a switch has none of these.
GENERAL = (
    "DO_NOT_TRACK", "CI", "CONTINUOUS_INTEGRATION", "GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD",
    "BUILDKITE", "CIRCLECI", "TRAVIS", "JENKINS_URL", "TEAMCITY_VERSION", "CODEBUILD_BUILD_ARN",
    "BITBUCKET_BUILD_NUMBER", "PYTEST_CURRENT_TEST",
)  # fmt: skip
_NAMED = 5  # hosts that one line names

Result = Literal["sends", "failed", "incomplete", "silent", "by hand", "not run"]
RESULTS: Mapping[Result, str] = {
    "sends": "it still sends: to a host of a profile, or to a host that is new beside the run "
    "without a switch",
    "failed": "nothing was seen to be sent, and its exit code is not that of the run without a "
    "switch",
    "incomplete": "nothing was seen, and coverage was not complete",
    "silent": "it sent nothing, and coverage was complete",
    "by hand": "not tried: it is set elsewhere than in variables, arguments and files",
    "not run": "not tried: a signal (Ctrl-C, SIGTERM, a hangup) came before its end",
}


class SwitchResult(msgspec.Struct, kw_only=True):
    """One way to run the command, and its `runs`. `new` are endpoints that the run without
    a switch did not show: the switch itself sends, or sends elsewhere."""

    switch: str
    note: str = ""
    result: Result
    why: list[str] = []
    new: list[str] = []
    runs: list[Trial] = []


class Audit(msgspec.Struct, kw_only=True):
    """`without` and `again` are the runs without a switch, before and after the others. `proves`:
    they sent, so that silence says something. `holds`: every switch that was tried is silent."""

    product: str
    title: str
    command: list[str]
    state: str
    removed: list[str]
    without: SwitchResult
    switches: list[SwitchResult]
    again: SwitchResult
    proves: bool
    holds: bool
    conclusion: str
    hint: str = ""


class AuditInterrupt(KeyboardInterrupt):
    """`found` is what was known when a signal came, and `code` the exit code."""

    def __init__(self, found: Audit, code: int) -> None:
        super().__init__()
        self.found, self.code = found, code


class AuditOptions(NamedTuple):
    """`fresh` gives each switch a new home, a copy of `like` where that is given; else all runs
    have the user's own."""

    fresh: bool = True
    like: Path | None = None
    repeat: int = 1
    wait: float = WAIT_SECONDS
    redirect: bool | None = None
    verbose: bool = False


def audit(
    product: str,
    command: Sequence[str],
    settings: Settings,
    options: AuditOptions,
    *,
    also: Sequence[Switch] = (),
    environ: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Audit:
    """Raises ProfileError, RunError, LocalError, OSError, and AuditInterrupt at a signal."""
    (written, *more) = load([product]).written
    if more:
        raise LocalError(
            f"{product!r} holds {1 + len(more)} profiles\n\nhint: name the file of one product"
        )
    documented = [switch.env for switch in written.opt_out if not (switch.args or switch.files)]
    switches = [*written.opt_out, *(one for one in also if one.env not in documented)]
    if not switches:
        raise LocalError(
            f"the profile {written.id} names no way to switch telemetry off\n\n"
            "hint: --also DO_NOT_TRACK=1 tries one that it does not name"
        )
    given = os.environ if environ is None else environ
    named = {name for switch in switches for name in switch.env} | set(GENERAL)
    removed = sorted(named & given.keys())
    bare = {name: value for name, value in given.items() if name not in named}
    # A product may send by way of another vendor, too.
    profiles = [product, *(name for name in built_in() if name not in (product, written.id))]
    total = 2 + sum(_can_be_tried(switch, options) for switch in switches)
    begun = 0

    def runs(switch: Switch, words: str) -> list[Trial]:
        nonlocal begun
        begun += 1
        progress(f"{begun} of {total}: {words}")
        return _runs(switch, command, settings, bare, profiles, options, stop)

    nothing = Switch.model_construct(env={}, args=[], files={})
    tested = [
        SwitchResult(
            switch=switch_words(switch.model_copy(update={"note": None})),
            note=" ".join((switch.note or "").split()),
            result="not run" if _can_be_tried(switch, options) else "by hand",
        )
        for switch in switches
    ]
    found = Audit(
        product=written.id, title=written.title, command=list(command), state=_state(options),
        removed=removed, without=SwitchResult(switch="", result="not run"), switches=tested,
        again=SwitchResult(switch="", result="not run"), proves=False, holds=False, conclusion="",
    )  # fmt: skip
    try:
        with stopping() as stop:
            first = runs(nothing, "without a switch")
            found.without = _judged("", first, first)
            for number, (switch, one) in enumerate(zip(switches, tested, strict=True)):
                if one.result == "not run":
                    made = runs(switch, one.switch)
                    tested[number] = replace(_judged(one.switch, made, first), note=one.note)
            found.again = _judged("", runs(nothing, "without a switch, again"), first)
    except Stopped as e:
        found.conclusion = (
            f"interrupted in run {begun} of {total}, so no `silent` here proves anything: "
            f"incomplete ({e})"
        )
        raise AuditInterrupt(found, e.code) from None
    return _concluded(found, fresh=options.fresh)


def _can_be_tried(switch: Switch, options: AuditOptions) -> bool:
    """A switch's files are never written into the user's own home."""
    return bool(switch.env or switch.args or switch.files) and (options.fresh or not switch.files)


def with_args(command: Sequence[str], args: Sequence[str]) -> list[str]:
    """The command with a switch's arguments in place of `{args}`, or at its end."""
    if ARGS not in command:
        return [*command, *args]
    at = list(command).index(ARGS)
    return [*command[:at], *args, *command[at + 1 :]]


def _runs(
    switch: Switch,
    command: Sequence[str],
    settings: Settings,
    environ: Mapping[str, str],
    profiles: Sequence[str],
    options: AuditOptions,
    stop: Stop,
) -> list[Trial]:
    """As many runs as asked for, in one home. Raises Stopped."""
    home = Home(options.like) if options.fresh else None
    found = []
    try:
        variables = {**environ, **switch.env}
        if home is not None:
            home.write(switch.files)
            variables = home.environ(variables)
        for _ in range(options.repeat):
            one = tried(
                with_args(command, switch.args), settings, variables, profiles=profiles,
                redirect=options.redirect, wait=options.wait, verbose=options.verbose,
                by_path=True, stop=stop,
            )  # fmt: skip
            stop.check()
            found.append(one)
    finally:
        if home is not None:
            home.remove()
    return found


def _judged(words: str, runs: list[Trial], without: list[Trial]) -> SwitchResult:
    """`without` are the first runs without a switch, of which `runs` may be themselves."""
    hosts = {row.host for one in without for row in one.others}
    known = {endpoint(row) for one in without for row in one.sent}
    rows = [[row for row in one.sent if row.profile or row.host not in hosts] for one in runs]
    usual = {one.exit_code for one in without}
    odd = next((one for one in runs if one.exit_code not in usual), None)
    incomplete = list(dict.fromkeys(why for one in runs if (why := _not_complete(one))))
    found = SwitchResult(switch=words, result="silent", runs=runs)
    if any(rows):
        found.result = "sends"
        found.why = _sent(rows)
        found.new = sorted({endpoint(row) for each in rows for row in each} - known)
    elif odd:
        found.result = "failed"
    elif incomplete:
        found.result = "incomplete"
    if odd:
        found.why.append(f"{_ended(odd)}; without a switch with {min(usual)}")
    elif runs is without and any(usual):
        found.why.append(_ended(max(runs, key=lambda one: one.exit_code)))
    found.why += incomplete
    beside = sorted({row.host for one in runs for row in one.others} & hosts)
    if beside:
        more = " …" if len(beside) > _NAMED else ""
        of = count(len(beside), "other host", "other hosts")
        found.why.append(f"besides, unread, to {of}: {', '.join(beside[:_NAMED])}{more}")
    return found


def _ended(one: Trial) -> str:
    return f"it ended with {one.exit_code}" + (f" ({one.said})" if one.said else "")


def _not_complete(one: Trial) -> str:
    if one.coverage is None:
        return f"what it sent cannot be told: {one.error}".partition("\n")[0]
    return "" if one.coverage.complete else one.coverage.verdict


def endpoint(row: Sent) -> str:
    what = f"{row.method} {row.host}{row.endpoint}" if row.method else f"{row.host} ({row.kind})"
    return what.strip()


def _sent(rows: list[list[Sent]]) -> list[str]:
    """Each endpoint with its number of requests, by run where these differ."""
    counts: dict[str, list[int]] = {}
    for number, each in enumerate(rows):
        for row in each:
            counts.setdefault(endpoint(row), [0] * len(rows))[number] += row.count
    return [
        f"{what} ×{numbers[0]}"  # noqa: RUF001 - the sign of multiplication is meant
        if len(set(numbers)) == 1
        else f"{what} ×{', '.join(map(str, numbers))} in turn"  # noqa: RUF001
        for what, numbers in counts.items()
    ]


def _state(options: AuditOptions) -> str:
    if not options.fresh:
        return "the user's own home for all runs: what an earlier run left there was there"
    of = f", a copy of {options.like}" if options.like else ""
    times = f", {options.repeat} runs in each" if options.repeat > 1 else ""
    return f"a new home for each line{of}{times}; the working directory is the same for all"


def _sending(one: SwitchResult) -> list[int]:
    """The numbers of the runs that sent to a host of a profile: in new homes the same each time."""
    return [number for number, run in enumerate(one.runs, 1) if run.told]


def _listed(one: SwitchResult) -> str:
    return f"{', '.join(map(str, _sending(one))) or 'none'} of {len(one.runs)}"


def _concluded(found: Audit, *, fresh: bool = True) -> Audit:
    tested = [one for one in found.switches if one.result != "by hand"]
    silent = [one for one in tested if one.result == "silent"]
    if found.without.result != "sends":
        found.conclusion = (
            "nothing to switch off was seen: without a switch the command was not seen to send, "
            "so no `silent` here proves anything"
        )
        found.hint = (
            "it failed: does it need what is in its home (--home DIR, --no-fresh)? -v shows what "
            "it says"
            if any(one.exit_code for one in found.without.runs)
            else "does it send in a second run only (--repeat 2), or once it has run for a while "
            "(--wait 60 for what it leaves running), or to a host that the profile lacks?"
        )
    elif found.again.result != "sends":
        found.conclusion = (
            "without a switch the command was seen to send first, and not in the end, so no "
            "`silent` here proves anything"
        )
        found.hint = (
            "it keeps a state outside of its home, as in the working directory, sends once a day, "
            "or only sometimes (--repeat 5)"
        )
    elif fresh and _sending(found.without) != _sending(found.again):
        found.conclusion = (
            "without a switch the command sends only sometimes: in runs "
            f"{_listed(found.without)} first, {_listed(found.again)} in the end, so a `silent` "
            "here may be chance"
        )
        found.hint = "more runs make chance less likely: --repeat"
    elif not tested:
        found.proves = True
        found.conclusion = "no switch could be tried here: each is set by hand"
        found.hint = "set it, and run the command with `telemock run`"
    else:
        found.proves = True
        found.holds = len(silent) == len(tested)
        of = count(len(tested), "switch", "switches")
        found.conclusion = (
            f"silent with each of {of}, and coverage was complete"
            if found.holds
            else f"silent, with complete coverage, with {len(silent)} of {of}"
        )
    return found
