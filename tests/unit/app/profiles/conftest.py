"""A profile that is right, for tests to change one thing of."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.contract.rules import Profile
from app.profiles import ProfileError, ProfileProblem, load_profiles

HEAD = """\
id: acme
title: Acme
licence: {class: free, note: Telemetry can be switched off.}
evidence: [{claim: It sends., source: its documentation, verified: 2026-01-31}]
hosts: [t.acme.example, .acme.test]
"""
RULES = "rules: [{id: all, action: observe}]\n"

Compiled = Callable[[str], Profile]
Refused = Callable[[str], list[ProfileProblem]]


@pytest.fixture
def compiled(tmp_path: Path) -> Compiled:
    """The profile of this text behind HEAD."""

    def compile(text: str = RULES) -> Profile:
        path = tmp_path / "acme.yaml"
        path.write_text(HEAD + text, encoding="utf-8")
        (profile,) = load_profiles([path]).profiles
        return profile

    return compile


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """The problems of this text, which is the whole file; the file's name is left out of them."""

    def problems(text: str) -> list[ProfileProblem]:
        path = tmp_path / "acme.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ProfileError) as caught:
            load_profiles([path])
        assert {p.file for p in caught.value.problems} == {str(path)}
        return [p._replace(file="") for p in caught.value.problems]

    return problems
