"""Sections on what was masked, not kept, and known; the whole report is in test_show.py."""

from app.contract.record import Searched
from app.report.build import build
from app.report.show import text
from app.report.show_kept import kept_sections
from app.store import Store
from tests.records import exchange, incoming


def test_known_values_have_a_section_of_their_own_where_there_are_any(store: Store) -> None:
    assert [s.rows for s in kept_sections(build(store))][-1] == []
    found = [("host name", "body.id", "SHA-256, in base64")]
    store.write(incoming(exchange(40, canary=Searched(found=found))))
    report = build(store)
    *_, section = kept_sections(report)
    ((*_, source, how, records),) = section.rows
    assert (source, how, records) == ("host name", "SHA-256", 1)
    assert "Known values that were sent" in text(report)
