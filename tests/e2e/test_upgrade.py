"""`helm upgrade` and `helm rollback` keep captures, certificates and the sidecars' connection."""

import copy
from typing import Any

import pytest

from tests.e2e.conftest import Cribl
from tests.e2e.release import Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_they_keep_captures_and_the_webhook_s_authority(
    release: Release, values: dict[str, Any], cribl: Cribl
) -> None:
    leader = cribl.leader
    assert cribl.telemetry(leader, "before-upgrade")["status"] == 200
    release.capture("before-upgrade")
    before = release.secret()
    revision = release.helm("history", release.name, "--max", "1", "-o", "yaml")
    assert "deployed" in revision

    changed = copy.deepcopy(values)
    changed["mode"] = "block"
    release.upgrade(changed)
    release.rolled_out()
    assert release.secret() == before
    assert all(bundle == before["ca.crt"] for bundle in release.ca_bundles())
    release.capture("before-upgrade")
    # Old pods keep what they were injected with, new ones get the new mode.
    assert cribl.telemetry(leader, "between")["status"] == 200
    assert cribl.telemetry(cribl.start("after-upgrade"), "refused")["status"] == 403

    release.helm("rollback", release.name, "--wait", "--timeout", "150s")
    release.rolled_out()
    assert release.secret() == before
    assert all(bundle == before["ca.crt"] for bundle in release.ca_bundles())
    assert cribl.telemetry(leader, "after-rollback")["status"] == 200
    for tag in ("before-upgrade", "between", "refused", "after-rollback"):
        # A sidecar gives up a connection to the pod that went away after 30 s.
        release.capture(tag, 90)
