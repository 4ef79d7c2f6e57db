"""What the namespace allows."""

import pytest

from app.inject import NamespaceFacts
from tests.unit.app.inject.test_pod import settings


@pytest.mark.parametrize(
    ("level", "allowed"),
    [("", True), ("privileged", True), ("baseline", False), ("restricted", False)],
)
def test_net_admin_is_for_privileged_namespaces(level: str, allowed: bool) -> None:
    assert NamespaceFacts("n", {}, level).allows_net_admin is allowed


def test_defaults() -> None:
    found = settings()
    assert (found.mode, found.redirect, found.trust) == ("", "auto", ())
    assert found.resources == {
        "requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "192Mi"},
    }  # fmt: skip
