"""addon/arrive/proof.py: what is remembered of the redirect, and what the kernel counts.

With a real redirect and the kernel's counter: tests/integration/test_sidecar_telemetry.py.
"""

from pathlib import Path

import pytest

from addon.arrive import proof
from addon.arrive.proof import FILE_PROVEN, Proven, QuicRefused, unreachables_sent


def test_what_was_proven_is_remembered_for_this_network_namespace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven = Proven(tmp_path)
    assert not proven.yet
    proven.now()
    assert proven.yet and Proven(tmp_path).yet
    assert (tmp_path / FILE_PROVEN).read_text() == str(Path("/proc/self/ns/net").stat().st_ino)
    monkeypatch.setattr(proof, "_namespace", lambda: "another")
    assert not Proven(tmp_path).yet


def test_a_directory_that_cannot_be_written_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    proven = Proven(tmp_path / "gone")
    proven.now()
    assert proven.yet and "cannot be remembered: No such file" in caplog.text


SNMP = """Ip: Forwarding DefaultTTL
Ip: 1 64
Icmp: InMsgs OutMsgs OutDestUnreachs OutEchos
Icmp: 5 6 7 8
IcmpMsg: InType3
IcmpMsg: 9
"""


def test_the_kernels_counters_of_both_families_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "_PROC", tmp_path)
    assert unreachables_sent() == 0  # no such files
    (tmp_path / "net").mkdir()
    (tmp_path / "net/snmp").write_text(SNMP)
    assert unreachables_sent() == 7
    (tmp_path / "net/snmp6").write_text("Icmp6OutMsgs 4\nIcmp6OutDestUnreachs            \t30\n")
    (family,) = QuicRefused().collect()
    assert [(s.name, s.value) for s in family.samples] == [
        ("telemock_redirect_quic_refused_total", 37)
    ]
