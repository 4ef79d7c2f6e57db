from pathlib import Path

import pytest

from app.contract.canary.setting import POD, SOURCES, canaries
from app.contract.canary.spec import Canary, Spec
from app.contract.settings import SettingError

ENVIRON = {
    "POD_NAME": "shop-7c9f8d6b5-x2k4q", "POD_NAMESPACE": "prod", "POD_UID": "u-1",
    "POD_IP": "10.1.2.3", "POD_IMAGES": "shop:1,side:2",
}  # fmt: skip


def test_without_it_nothing_is_looked_for() -> None:
    assert canaries("", ENVIRON) is None


def test_what_identifies_a_pod() -> None:
    found = canaries(POD, ENVIRON)
    assert found is not None
    assert found.canaries == (
        Canary("host name", ("shop-7c9f8d6b5-x2k4q", "prod/shop-7c9f8d6b5-x2k4q")),
        Canary("workload", ("shop",)),
        Canary("namespace", ("prod",)),
        Canary("pod UID", ("u-1",)),
        Canary("pod IP", ("10.1.2.3",)),
        Canary("image", ("shop:1",)),
        Canary("image", ("side:2",)),
    )


@pytest.mark.parametrize(("name", "owner"), [("web-0", "web"), ("single", ""), ("a-b2c3d", "a")])
def test_the_owners_name(name: str, owner: str) -> None:
    found = canaries(POD, {"POD_NAME": name})
    assert found is not None
    assert [c.values for c in found.canaries if c.source == "workload"] == [(owner,)] * bool(owner)


def test_a_file_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("{}")
    assert canaries(str(tmp_path / "f"), {}) == Spec()
    (tmp_path / "f").write_text("no JSON")
    for wrong in ("f", "none"):
        with pytest.raises(SettingError, match=r"TELEMOCK_CANARY is '.*', expected pod, or a file"):
            canaries(str(tmp_path / wrong), {})


def test_all_sources_of_a_pod_are_declared() -> None:
    """By these a metric counts."""
    found = canaries(POD, {**ENVIRON, "NODE_NAME": "n-1", "POD_SERVICE_ACCOUNT": "default"})
    assert found is not None
    assert tuple(dict.fromkeys(one.source for one in found.canaries)) == SOURCES
