"""The facts of one gated run, for its statement: what a reader needs to judge it, and to repeat it.
Counts and hosts, never values. `app.run.gated` asks.
"""

import hashlib
import platform
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from app.contract.actions import Mode
from app.contract.instant import iso
from app.contract.masking.masker import Masker
from app.contract.rules import Profile, RuleSet
from app.run import confine
from app.run.gate import GateOutcome
from app.version import VERSION


def of(
    command: Sequence[str],
    judged: GateOutcome,
    *,
    code: int,
    mode: Mode | None,
    profiles: Sequence[Profile],
    policy: Mapping[str, Any],
    began_ns: int,
    ended_ns: int,
    transparent: bool,
) -> dict[str, Any]:
    system = platform.uname()
    return {
        "verdict": str(judged.verdict),
        "says": judged.says,
        "command": Masker(RuleSet(tuple(profiles))).line(shlex.join(command)),
        "exitCode": {"command": code, "gate": judged.code},
        "startedOn": iso(began_ns),
        "finishedOn": iso(ended_ns),
        "policy": dict(policy),
        "mode": mode or "",
        "profiles": [{"name": one.id, "digest": {"sha256": _digest(one)}} for one in profiles],
        "sent": msgspec.to_builtins(judged.sent),
        "allowed": msgspec.to_builtins(judged.allowed),
        "violations": msgspec.to_builtins(judged.violations),
        "doubts": judged.doubts,
        "coverage": {
            "complete": not judged.gaps,
            "gaps": msgspec.to_builtins(judged.gaps),
            "limits": judged.limits,
        },
        "telemock": {"version": VERSION, "python": platform.python_version()},
        "kernel": {
            "system": system.system,
            "release": system.release,
            "machine": system.machine,
            "landlock": confine.version(),
            "asked": transparent,
        },
    }


def _digest(profile: Profile) -> str:
    return hashlib.sha256(msgspec.json.encode(profile, order="deterministic")).hexdigest()
