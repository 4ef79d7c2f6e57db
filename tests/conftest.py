"""What applies to every test: which ones run only when they are asked for by their marker."""

import pytest

# Marker of tests that need more than this machine's Python, and what runs them.
ON_REQUEST = {"compose": "make compose-test", "e2e": "make e2e"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = config.getoption("markexpr")
    for item in items:
        for marker, command in ON_REQUEST.items():
            # Not `in item.keywords`: those name the folders too.
            if item.get_closest_marker(marker) and marker not in asked:
                item.add_marker(pytest.mark.skip(reason=f"runs with: {command}"))
