from pathlib import Path

import msgspec
import pytest

from app.contract.canary.spec import Canary, Spec, load


def test_a_spec_is_read_back(tmp_path: Path) -> None:
    spec = Spec((Canary("user", ("a", "b"), core="abcdefghij"),), ("salt",))
    (tmp_path / "f").write_bytes(msgspec.json.encode(spec))
    assert load(tmp_path / "f") == spec
    (tmp_path / "f").write_text('{"canaries": 1}')
    with pytest.raises(ValueError, match="canaries"):
        load(tmp_path / "f")


def test_short_values_are_no_literals() -> None:
    assert Canary("user", ("root", "a-b-c-d-e", "production", "build-host")).literals == (
        "build-host",
    )
    assert Canary("user", ("long-enough-value",), core="long-enough").literals == ("long-enough",)
