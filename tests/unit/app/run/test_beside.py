"""app/run/beside.py: files by which others send are looked at, and networks' mounts are named."""

from pathlib import Path

import pytest

from app.run import beside


@pytest.fixture
def queues(tmp_path, monkeypatch):
    spool = tmp_path / "crontabs"
    spool.mkdir()
    monkeypatch.setattr(beside, "QUEUES", (str(spool), str(tmp_path / "none")))
    return spool


def test_what_stays_as_it_was_is_no_gap(queues):
    (queues / "root").write_text("x")
    assert list(beside.Queues().gaps()) == []


@pytest.mark.parametrize("how", ["added", "changed", "gone", "added and taken"])
def test_a_change_is_a_gap_that_names_it(queues, how):
    kept = queues / "root"
    kept.write_text("x")
    before = beside.Queues()
    match how:
        case "added":
            (queues / "new").write_text("x")
        case "changed":
            kept.write_text("y")
        case "gone":
            kept.unlink()
        case _:
            (queues / "new").write_text("x")
            (queues / "new").unlink()
    (gap,) = before.gaps()
    assert any(str(queues) in who for who in gap.who)
    assert "by which other programs run commands or send" in gap.says


def test_a_folder_that_comes_is_seen(queues, tmp_path):
    before = beside.Queues()
    (tmp_path / "none").mkdir()
    assert before.changed() == [str(tmp_path / "none")]


def test_what_a_link_leads_to_and_what_is_deeper_is_looked_at(queues, tmp_path):
    (tmp_path / "unit").write_text("x")
    (queues / "unit").symlink_to(tmp_path / "unit")
    (queues / "unit.d").mkdir()
    (queues / "unit.d" / "x.conf").write_text("x")
    before = beside.Queues()
    (tmp_path / "unit").write_text("xy")
    (queues / "unit.d" / "x.conf").write_text("xy")
    assert set(before.changed()) == {str(queues / "unit.d" / "x.conf"), str(tmp_path / "unit")}


MOUNTS = """\
22 1 0:21 / / rw - ext4 /dev/sda rw
23 22 0:22 / /home rw,relatime shared:1 - nfs4 server:/home rw
24 22 0:23 / /mnt rw - fuse.sshfs me@host:/ rw
25 22 0:24 / /var/lib/lxcfs rw - fuse.lxcfs lxcfs rw
"""


def test_file_systems_of_a_network_are_a_limit(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: MOUNTS)
    assert beside.network_mounts() == ["/home (nfs4)", "/mnt (fuse.sshfs)"]
    (limit,) = beside.limits()
    assert limit.endswith("leaves the machine: /home (nfs4), /mnt (fuse.sshfs)")
