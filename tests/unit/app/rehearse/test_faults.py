"""app/rehearse/faults.py: the list."""

from app.contract import faults
from app.rehearse.faults import FAULTS, IDS, markdown


def test_faults_of_connections_come_first_and_each_has_one_id():
    assert ("refused", "dropped", "tls-error", *faults.FAULTS) == IDS
    assert [bool(fault.failure) for fault in FAULTS[:4]] == [True, True, True, False]


def test_the_table_has_a_row_for_each():
    rows = markdown().splitlines()[2:]
    assert len(rows) == len(FAULTS)
    assert all(fault.says in row for fault, row in zip(FAULTS, rows, strict=True))
