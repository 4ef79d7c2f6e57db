"""addon/tls/append.py: copies with ours in them, and links where there is nothing to copy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from addon.tls import append
from app.contract import names

OURS = b"-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n"


def test_the_copy_holds_both_and_anybody_reads_it(tmp_path):
    (tmp_path / "theirs").write_bytes(b"theirs")
    target = tmp_path / "own/0.pem"
    before = os.umask(0o077)
    try:
        for _ in range(2):  # a pod's init containers may run again
            append.copy(tmp_path / "theirs", "/in/the/app", target, OURS)
            assert target.read_bytes() == b"theirs\n" + OURS
            assert target.stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)


@pytest.mark.parametrize("what", ["nothing", "a directory", "too much"])
def test_what_cannot_be_read_becomes_a_link_to_the_applications_own(tmp_path, capsys, what):
    source, target = tmp_path / "theirs", tmp_path / "own/0.pem"
    if what == "a directory":
        source.mkdir()
    elif what == "too much":
        source.write_bytes(bytes(append._LARGEST + 1))
    for _ in range(2):
        append.copy(source, "/in/the/app", target, OURS)
        assert target.readlink() == Path("/in/the/app")
    assert capsys.readouterr().err.startswith("'/in/the/app' stays as it is: ")


def test_as_the_init_container_runs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(names, "MOUNT_TRUST", str(tmp_path))
    (tmp_path / names.FILE_CA_CERT).write_bytes(OURS)
    (tmp_path / "a").write_bytes(b"a\n\n")
    copies = [["--copy", str(tmp_path / n), f"/app/{n}", str(tmp_path / "own" / n)] for n in "ab"]
    append.main([word for words in copies for word in words])
    assert (tmp_path / "own/a").read_bytes() == b"a\n" + OURS
    assert (tmp_path / "own/b").readlink() == Path("/app/b")
    done = subprocess.run([sys.executable, "-m", "addon.tls.append", "-h"], check=True,
                          capture_output=True, text=True)  # fmt: skip
    assert "--copy SOURCE ORIGINAL TARGET" in done.stdout
