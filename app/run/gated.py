"""`telemock run --nothing` and `--contract`: runs the command for a gate, and says whether it
passed. Called by the CLI.
"""

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from app.contract.actions import Mode
from app.escape import as_json as json_of
from app.gate import statement
from app.report.coverage import Gap
from app.run import beside, confine, gate, outputs, summary, transparent
from app.run.allowed import Allowed, Entry
from app.run.outputs import Outputs, Run
from app.run.perform import WAIT_SECONDS, Performed, performed, say
from app.settings import Settings

_NO_OUTPUTS = Outputs()


class Stated(NamedTuple):
    """The statement to make: its file, what it is about (by default the command's program), and
    the private key that signs it."""

    path: Path
    subjects: Sequence[str] = ()
    key: Path | None = None


def gated(
    command: Sequence[str],
    settings: Settings,
    *,
    allow: Sequence[Entry] = (),
    contract: Path | None = None,
    stated: Stated | None = None,
    told: Outputs = _NO_OUTPUTS,
    mode: Mode | None = None,
    profiles: Sequence[str] = (),
    as_json: bool = False,
    redirect: bool | None = None,
    verbose: bool = False,
    wait: float = WAIT_SECONDS,
) -> int:
    """Runs the command and returns the exit code: the command's if the gate passed, else one of
    `app.run.gate`. Raises RunError, LocalError."""
    planned, text = None, ""
    if contract:
        from app.gate import contract_file

        planned, text = contract_file.read_with_text(contract)
    outputs.check(told)
    if stated and stated.key:
        statement.check_key(stated.key)
    program = shutil.which(command[0]) if stated and not stated.subjects and command else None
    about = [statement.of_file(Path(program))] if program else []
    queues, allowed = beside.Queues(), Allowed(allow)
    for name in allowed.unknown():
        say(
            f"telemock: --allow {name}: no address is known for it here, so it is allowed by the "
            "proxy alone\nhint: a program that looks it up itself sends a look-up: is it spelt "
            "right, and does this machine's resolver know it?"
        )
    with performed(
        command,
        settings,
        mode=mode,
        profiles=profiles,
        redirect=redirect,
        verbose=verbose,
        wait=wait,
        strict=True,
        allowed=allowed.hosts(),
    ) as found:
        allowed.look_up()
        gaps = list(queues.gaps())
        if reach := confine.lacking(privileged=transparent.privileged()):
            gaps.append(Gap(id="reach", count=1, says=reach, remedy="Linux 5.19 with Landlock"))
        judged = gate.judge(
            found,
            found.records(),
            allowed,
            contract=planned,
            more=gaps,
            limits=[*beside.limits(), *confine.limits()],
        )
    ended_ns = time.time_ns()
    _print(found, judged, as_json=as_json)
    if any(told):
        endpoints = [one.key for one in planned.endpoints] if planned else []
        run = Run(str(contract or command[0]), endpoints, found.began_ns, ended_ns)
        outputs.write(told, judged, run, text)
    if stated:
        from app.run import predicate

        about += map(statement.subject, stated.subjects)
        made = predicate.of(
            command,
            judged,
            code=found.code,
            mode=mode,
            profiles=found.profiles,
            policy={
                "allow": [str(entry) for entry in allow],
                "contract": msgspec.to_builtins(statement.of_file(contract)) if contract else None,
            },
            began_ns=found.began_ns,
            ended_ns=ended_ns,
            transparent=found.transparent,
        )
        statement.write(stated.path, about, made, stated.key)
        if not as_json:
            by = f"signed with {stated.key}" if stated.key else "unsigned: --key signs it"
            say(f"telemock: the statement is in {stated.path}, {by}")
    return judged.code


def _print(found: Performed, judged: gate.GateOutcome, *, as_json: bool) -> None:
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
        return
    for line in gate.lines(judged):
        say(f"telemock: {line}")
    if found.rows:
        print(summary.table(found.rows, sys.stderr), end="", file=sys.stderr, flush=True)
