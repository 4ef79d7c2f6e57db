"""`telemock run -- COMMAND`: the sidecar on a laptop. Runs the command through it, and lists what
it sent home. Called by the CLI.
"""

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence

from app.client.source import ClientError
from app.contract.actions import Mode
from app.escape import as_json as json_of
from app.report.coverage import Coverage, beyond, count
from app.run import processes, summary
from app.run.canary import plant, told
from app.run.perform import WAIT_SECONDS, performed, say
from app.settings import Settings


def run(
    command: Sequence[str],
    settings: Settings,
    *,
    mode: Mode | None = None,
    profiles: Sequence[str] = (),
    as_json: bool = False,
    redirect: bool | None = None,
    verbose: bool = False,
    discover: bool = False,
    wait: float = WAIT_SECONDS,
    opens: Sequence[str] = (),
    canary: bool = False,
    own_home: bool = False,
) -> int:
    """Runs the command and returns its exit code: 128 + n when signal n ended it, 126 and 127 when
    it could not be started, as in a shell. For the rest see `performed`.

    The command owns stdin, stdout and stderr; what it sent home follows on stderr, or with
    `as_json` as one JSON document on stdout. Raises RunError, LocalError.
    """
    with contextlib.ExitStack() as stack:
        if opens:
            from app.learn.opened import opened  # slow to load

            profiles, said = stack.enter_context(opened(opens, settings, profiles, mode))
            for line in said:
                say(f"telemock: {line}")
        planted = (
            stack.enter_context(plant.planted(command, os.environ, own_home=own_home))
            if canary
            else None
        )
        found = stack.enter_context(
            performed(
                command,
                settings,
                mode=mode,
                profiles=profiles,
                redirect=redirect,
                verbose=verbose,
                wait=wait,
                environ=planted.environ if planted else None,
                planted=planted,
            )
        )
        canaries = told.told(planted, found.records()) if planted else None
    if found.coverage is None:
        _say_untold(found.error, found.code, as_json)
        return found.code
    _report(
        found.rows,
        found.lost,
        found.coverage,
        found.code,
        as_json=as_json,
        discover=discover,
        canaries=canaries,
    )
    for limit in () if as_json else found.services:
        say(f"telemock: besides, {limit}")
    return found.code


def _say_untold(error: Exception | None, code: int, as_json: bool) -> None:
    kind = (
        "" if isinstance(error, processes.LocalError | ClientError) else f"{type(error).__name__}: "
    )
    text = f"what the command sent cannot be told: {kind}{error}"
    say(f"error: {text}")
    if as_json:
        what, _, hint = text.partition("\n\nhint: ")
        print(json_of({"exit_code": code, "error": what, "hint": hint}), flush=True)


def _report(
    rows: Sequence[summary.Sent],
    lost: Mapping[str, int],
    coverage: Coverage,
    code: int,
    *,
    as_json: bool,
    discover: bool,
    canaries: told.CanaryReport | None = None,
) -> None:
    if as_json:
        document = {
            "exit_code": code,
            "sent": list(rows),
            "lost": dict(lost),
            "coverage": coverage,
        }
        if canaries is not None:
            document["canary"] = canaries
        print(json_of(document), flush=True)
        return
    # A connection without a request may be telemetry's all the same.
    others = [row for row in rows if row.outcome == "relayed" and not row.profile]
    shown = rows if discover else [row for row in rows if row not in others]
    if shown:
        say("telemock: what was sent")
        print(summary.table(shown, sys.stderr), end="", file=sys.stderr, flush=True)
    elif coverage.complete:
        say("telemock: no request to a host of a profile was seen")
    if others and not discover:
        hosts = len({row.host for row in others})
        of = count(sum(row.count for row in others), "connection", "connections")
        say(
            f"telemock: {of} to {count(hosts, 'other host', 'other hosts')} relayed unread; "
            "--discover lists them"
        )
    for line in told.lines(canaries) if canaries is not None else ():
        say(f"telemock: {line}")
    say(f"telemock: {coverage.verdict}")
    for gap in beyond(coverage.gaps):
        say(f"telemock: besides, not complete: {gap}")
