"""Generated files are those that the sources make, byte for byte."""

import pytest

from app.contract.rules import load
from app.generate import generated, main
from app.profiles import load_profiles
from app.profiles.read import DEFAULT


def test_generated_files_are_up_to_date() -> None:
    stale = [path.name for path, content in generated().items() if path.read_bytes() != content]
    assert stale == [], "run `make generate`"


def test_sidecar_gets_the_default_profiles_and_no_key() -> None:
    (content,) = (c for path, c in generated().items() if path.name == "builtin.json")
    bundle = load(content)
    assert bundle.rules == load_profiles(DEFAULT)
    assert (bundle.mask_key, bundle.mask_key_id) == (None, "")


def test_nothing_is_written_when_nothing_changed(capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in generated()}
    main()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert capsys.readouterr().out == ""
