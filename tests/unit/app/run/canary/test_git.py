import subprocess
from pathlib import Path

import pytest

from app.run.canary.git import config_of, real, url_spellings, with_remote

URL = "https://git.example/a/b.git"


def test_every_remote_gets_the_url_and_the_rest_stays() -> None:
    config = (
        '[core]\n\tbare = false\n[remote "origin"]\n\turl = git@x:y/z.git\n\tfetch = +refs\n'
        '[Remote "two"]\n  pushUrl=ssh://x/y\n[branch "m"]\n\turl = not-one\n'
    )
    assert with_remote(config, URL) == (
        f'[core]\n\tbare = false\n[remote "origin"]\n\turl = {URL}\n\tfetch = +refs\n'
        f'[Remote "two"]\n  pushUrl={URL}\n[branch "m"]\n\turl = not-one\n'
    )


def test_a_repository_without_a_remote_gets_one() -> None:
    assert with_remote("[core]\n", URL) == f'[core]\n[remote "origin"]\n\turl = {URL}\n'


@pytest.mark.parametrize(
    "url", ["git@host:own/name.git", "https://me:pw@host/own/name", "ssh://git@host/own/name.git"]
)
def test_a_url_as_programs_write_it(url: str) -> None:
    assert {"host/own/name", "own/name", url} <= set(url_spellings(url))


def test_the_configuration_of_a_worktree_is_the_repositorys(tmp_path: Path) -> None:
    shared = tmp_path / "repo" / ".git"
    own = shared / "worktrees" / "w"
    own.mkdir(parents=True)
    (shared / "config").touch()
    (own / "commondir").write_text("../..\n")
    (tmp_path / "w" / "deep").mkdir(parents=True)
    (tmp_path / "w" / ".git").write_text(f"gitdir: {own}\n")
    assert config_of(tmp_path / "w" / "deep") == shared / "config"
    assert config_of(tmp_path / "repo") == shared / "config"


def test_what_git_says(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    for name, value in (("remote.origin.url", URL), ("user.email", "me@host.example")):
        subprocess.run(["git", "-C", str(tmp_path), "config", name, value], check=True)
    found = {c.source: c.values for c in real(tmp_path)}
    assert found["git remote (real)"][:2] == (URL, URL.removesuffix(".git"))
    assert found["git e-mail (real)"] == ("me@host.example",)
    assert "git commit (real)" not in found
