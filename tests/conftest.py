"""What applies to every test: which ones run only when they are asked for by their marker, and what
the end says of those that were skipped; and where state goes."""

import os
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.reporting import encodable, told

# Marker of tests that need more than this machine's Python, and what runs them.
ON_REQUEST = {"compose": "make compose-test", "e2e": "make e2e"}

# The machine that runs the tests is shared: a slow example says nothing, nor does a slow choice.
slow = [HealthCheck.too_slow]
settings.register_profile("shared", deadline=None, suppress_health_check=slow)
settings.load_profile("shared")


@pytest.fixture(scope="session", autouse=True)
def state_of_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test writes to the state directory of the person who runs it."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = config.getoption("markexpr")
    for item in items:
        for marker, command in ON_REQUEST.items():
            # Not `in item.keywords`: those name the folders too.
            if item.get_closest_marker(marker) and marker not in asked:
                item.add_marker(pytest.mark.skip(reason=f"runs with `{command}`"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """`-rs` lists each with its place instead."""
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", ())]
    if skipped:
        terminalreporter.write_line(told((str(path), reason) for path, _, reason in skipped))


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    return encodable((yield))
