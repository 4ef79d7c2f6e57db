"""app/learn/opened.py: hosts of no profile, opened for one run."""

from pathlib import Path

import pytest

from app.learn.opened import PROFILE, opened
from app.profiles import ProfileError, load_profiles
from app.settings import Settings, load


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({"TELEMOCK_DATA": str(tmp_path / "data"), "TELEMOCK_PROFILES": "cribl"})


def test_it_forwards_and_is_gone_afterwards(settings: Settings) -> None:
    with opened(["a.test,b.test", ".c.test"], settings, ()) as (sources, said):
        of = {profile.id: profile for profile in load_profiles(sources).profiles}
        assert [*of] == ["cribl", PROFILE]
        assert [("." * h.suffix) + h.name for h in of[PROFILE].hosts] == [
            "a.test",
            "b.test",
            ".c.test",
        ]
        assert [rule.action for rule in of[PROFILE].rules] == ["observe"]
        file = Path(sources[-1])
        assert file.exists()
    assert not file.exists() and not settings.data.exists()
    (line,) = said
    for part in (
        "for this run alone: a.test, b.test, .c.test", "read, masked, and kept", "forwarded",
        "No rule of this is kept",
    ):  # fmt: skip
        assert part in line


def test_a_mode_says_otherwise(settings: Settings) -> None:
    with opened(["a.test"], settings, ["grafana"], "block") as (sources, (line,)):
        profiles = load_profiles(sources).profiles
        assert [p.id for p in profiles] == ["grafana", PROFILE]
        assert profiles[1].rules[0].action == "block" and "refused" in line


def test_a_host_that_a_profile_names_keeps_its_rules(settings: Settings) -> None:
    with opened(["cdn.cribl.io"], settings, ()) as (sources, said):
        assert sources == ["cribl"]
    assert said == ["--open cdn.cribl.io: the profile cribl names it, and its rules hold"]
    with opened(["cdn.cribl.io", "a.test"], settings, ()) as (sources, said):
        assert [h.name for h in load_profiles(sources).profiles[1].hosts] == ["a.test"]
    assert len(said) == 2


@pytest.mark.parametrize(
    "host",
    [
        "https://a.test",
        "a b",
        "A.test",
        "*.a.test",
        "a.test:80",
        "a.test:99999",
        "a.test:x",
        ",",
        "\x1b",
    ],
)
def test_what_is_no_host_is_refused(settings: Settings, host: str) -> None:
    with pytest.raises(ProfileError, match="--open") as refused, opened([host], settings, ()):
        pass
    assert refused.value.problems[0].where.startswith("hosts")


def test_a_mode_that_this_version_lacks_is_refused(settings: Settings) -> None:
    with pytest.raises(ProfileError, match="hold"), opened(["a.test"], settings, (), "hold"):
        pass
