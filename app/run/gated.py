"""`telemock run --nothing` and `--contract`: runs the command for a gate, and says whether it
passed. Called by the CLI.
"""

import sys
from collections.abc import Sequence

from app.contract.actions import Mode
from app.escape import as_json as json_of
from app.report.coverage import Gap
from app.run import beside, confine, gate, summary, transparent
from app.run.allowed import Allowed, Entry
from app.run.perform import WAIT_SECONDS, performed, say
from app.settings import Settings


def gated(
    command: Sequence[str],
    settings: Settings,
    *,
    allow: Sequence[Entry] = (),
    mode: Mode | None = None,
    profiles: Sequence[str] = (),
    as_json: bool = False,
    redirect: bool | None = None,
    verbose: bool = False,
    wait: float = WAIT_SECONDS,
) -> int:
    """Runs the command and returns the exit code: the command's if the gate passed, else one of
    `app.run.gate`. Raises RunError, LocalError."""
    queues, allowed = beside.Queues(), Allowed(allow)
    with performed(
        command,
        settings,
        mode=mode,
        profiles=profiles,
        redirect=redirect,
        verbose=verbose,
        wait=wait,
        strict=True,
    ) as found:
        allowed.look_up()
        gaps = list(queues.gaps())
        if reach := confine.lacking(privileged=transparent.privileged()):
            gaps.append(Gap(id="reach", count=1, says=reach, remedy="Linux 5.19 with Landlock"))
        judged = gate.judge(found, found.records(), allowed, more=gaps, limits=beside.limits())
    if as_json:
        document = {
            "exit_code": judged.code,
            "command_exit_code": found.code,
            "gate": judged,
            "sent": list(found.rows),
            "lost": dict(found.lost),
            "coverage": found.coverage,
        }
        print(json_of(document), flush=True)
        return judged.code
    for line in gate.lines(judged):
        say(f"telemock: {line}")
    if found.rows:
        print(summary.table(found.rows, sys.stderr), end="", file=sys.stderr, flush=True)
    return judged.code
