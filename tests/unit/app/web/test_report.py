import re
from html import unescape

import httpx
import msgspec

from app.report import show
from app.report.build import Report
from tests.records import exchange, incoming
from tests.serving import Served
from tests.unit.app.web.conftest import bounded, sign_in


def test_it_says_what_the_report_says(visitor: httpx.Client, filled: Served) -> None:
    text = unescape(visitor.get("/report?since=all").text)
    text = text.replace("<code>", "`").replace("</code>", "`")
    found = msgspec.json.decode(filled.client.get("/api/v1/report").content, type=Report)
    assert found.coverage.how in text
    for gap in found.coverage.gaps:
        assert gap.says in text
    for section in show.sections(found):
        if section.rows or section.empty:
            assert section.title in text
    assert "Telemetry goes to https://cdn.cribl.io/telemetry/" in text  # evidence
    assert "telemock report" in text


def test_as_markdown(visitor: httpx.Client) -> None:
    answer = visitor.get("/report.md?since=all&profile=cribl")
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.text.startswith("# Telemetry report\n")
    assert "## Coverage" in answer.text
    assert "- profile cribl\n- all time" in answer.text
    assert "- since 2026-01-01T00:00:00Z" in visitor.get("/report.md?since=2026-01-01").text


def test_the_command_repeats_it(visitor: httpx.Client) -> None:
    text = visitor.get("/report?since=2026-01-01&until=2026-01-02&profile=cribl").text
    assert (
        "telemock report --since 2026-01-01T00:00:00Z --until 2026-01-02T00:00:00Z --profile cribl"
    ) in text
    hostile = visitor.get("/report", params={"profile": "x; rm -rf ~ <b>"})
    assert "<b>" not in hostile.text
    assert "--profile 'x; rm -rf ~ <b>'" in unescape(hostile.text)


def test_who_may_read_a_namespace_gets_its_report(filled: Served) -> None:
    bounded(filled, "edge")
    filled.runtime.store.write(incoming(exchange(40, namespace="edge", pod="mine-0")))
    with sign_in(filled) as client:
        for address in ("/report?since=all", "/report.md?since=all"):
            text = client.get(address).text
            assert "mine" in text and "leader-0" not in text and "worker-1" not in text
            assert "the namespaces edge, and no others" in text


def test_long_tables_show_their_first_rows_and_lead_to_all(filled: Served) -> None:
    filled.runtime.store.write(
        incoming(*(exchange(100 + n, pod=f"many-{n:03}") for n in range(130)))
    )
    with sign_in(filled) as client:
        short = client.get("/report?since=all&profile=cribl").text
        assert 0 < len(set(re.findall(r"many-\d+", short))) < 130
        more = re.search(r'more rows: <a href="([^"]+)">', short)
        assert more
        whole = client.get(unescape(more[1])).text
        assert len(set(re.findall(r"many-\d+", whole))) == 130
        assert "more row" not in whole
