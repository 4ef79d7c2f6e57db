"""What applies to every test: which ones run only when they are asked for by their marker, what the
end says of those that were skipped, and how a report reaches the process that prints it."""

from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

# Marker of tests that need more than this machine's Python, and what runs them.
ON_REQUEST = {"compose": "make compose-test", "e2e": "make e2e"}

# What a reason for skipping names, and how a run is given it.
GIVEN_BY = {
    "KUBECONFIG": "KUBECONFIG=…",
    "TELEMOCK_TEST_IMAGE": "TELEMOCK_TEST_IMAGE=…",
    "PATH": "PATH=…:$PATH",
}
TARGETS = {"unit": "test-unit", "integration": "test-integration", "chart": "chart-test"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = config.getoption("markexpr")
    for item in items:
        for marker, command in ON_REQUEST.items():
            # Not `in item.keywords`: those name the folders too.
            if item.get_closest_marker(marker) and marker not in asked:
                item.add_marker(pytest.mark.skip(reason=f"runs with `{command}`"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for all that was skipped; `-rs` lists each with its place."""
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", ())]
    if skipped:
        terminalreporter.write_line(told([(str(path), reason) for path, _, reason in skipped]))


def told(skipped: list[tuple[str, str]]) -> str:
    """Counts skipped tests by reason, and names the command that runs them."""
    counts = Counter(reason.removeprefix("Skipped: ").partition(": ")[0] for _, reason in skipped)
    reasons = ", ".join(f"{reason} ({count})" for reason, count in counts.most_common())
    given, targets = set(), set()
    for path, reason in skipped:
        if missing := {by for name, by in GIVEN_BY.items() if name in reason}:
            given |= missing
            targets |= {target for folder, target in TARGETS.items() if folder in Path(path).parts}
    command = " ".join([*sorted(given), "make", *sorted(targets)])
    return f"{len(skipped)} skipped: {reasons}" + (f"; {command} runs them" if targets else "")


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Replaces lone surrogates, which tests log of hostile bytes and pytest-xdist does not send."""
    return encodable((yield))


def encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {key: encodable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(encodable, value))
    return value
