"""What a run says of the tests that it skipped, and how reports reach the process that says it.

Used by tests/conftest.py.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# What a reason for skipping names, and how a run is given it.
GIVEN_BY = {
    "KUBECONFIG": "KUBECONFIG=…",
    "TELEMOCK_TEST_IMAGE": "TELEMOCK_TEST_IMAGE=…",
    "PATH": "PATH=…:$PATH",
}
TARGETS = {"unit": "test-unit", "integration": "test-integration", "chart": "chart-test"}


def told(skipped: Iterable[tuple[str, str]]) -> str:
    """One line for all of these paths and reasons: how many for which reason, and the command that
    runs those that miss something."""
    reasons = [(path, reason.removeprefix("Skipped: ")) for path, reason in skipped]
    counts = Counter(reason.partition(": ")[0] for _, reason in reasons)
    why = ", ".join(f"{reason} ({count})" for reason, count in counts.most_common())
    given, targets = set(), set()
    for path, reason in reasons:
        if missing := {by for name, by in GIVEN_BY.items() if name in reason}:
            given |= missing
            targets |= {target for folder, target in TARGETS.items() if folder in Path(path).parts}
    command = " ".join([*sorted(given), "make", *sorted(targets)])
    return f"{len(reasons)} skipped: {why}" + (f"; {command} runs them" if targets else "")


def encodable(value: Any) -> Any:
    """A report as pytest-xdist can send it: what tests log and print of hostile bytes may hold lone
    surrogates."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {key: encodable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(encodable, value))
    return value
