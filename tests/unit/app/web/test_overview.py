import re
import time
from html import unescape
from typing import Any

import httpx

from app.contract.account import Account
from app.contract.record import Body, Message
from app.store import Told
from tests.records import BOOT, OTHER_BOOT, exchange, incoming, log, spliced
from tests.serving import Served
from tests.unit.app.web.conftest import bounded, sign_in


def said(text: str) -> str:
    """The lead sentence, as it is read."""
    lead = re.search(r'<p class="lead">(.*?)</p>', text, re.DOTALL)
    assert lead
    return " ".join(re.sub(r"<[^>]+>", "", lead[1]).split())


def test_one_sentence_first(visitor: httpx.Client) -> None:
    assert said(visitor.get("/").text) == (
        "1 product sent 8 requests to 2 hosts from 2 workloads (last 24 hours); "
        "13 fields are new since 4.17.0-1f2e3d4c; coverage is not complete."
    )


def test_what_became_of_it(visitor: httpx.Client) -> None:
    text = visitor.get("/").text
    tallies = re.findall(r'</i>([^<]+)</span> <span class="big">([\d,]+)<', text)
    assert tallies == [
        ("Answered here", "5"), ("Delivered to the vendor", "1"),
        ("Passed through untouched", "1"), ("Refused", "1"), ("Failed", "2"),
    ]  # fmt: skip
    assert "the client did not accept the sidecar&#39;s certificate, and sent nothing" in text


def test_the_verdict_on_coverage_is_the_reports(visitor: httpx.Client, filled: Served) -> None:
    text = unescape(visitor.get("/").text).replace("<code>", "`").replace("</code>", "`")
    verdict = filled.client.get("/api/v1/report?since=24h").json()["coverage"]
    assert not verdict["complete"]
    assert "Coverage is not complete" in text
    assert verdict["how"] in text
    for gap in verdict["gaps"]:
        assert gap["says"] in text


def test_who_may_read_a_namespace_sees_that_one(filled: Served) -> None:
    bounded(filled, "edge")
    filled.runtime.store.write(incoming(exchange(40, namespace="edge", time_ns=time.time_ns())))
    with sign_in(filled) as client:
        text = client.get("/").text
        assert said(text).startswith("1 product sent 1 request to 1 host")
        assert "leader-0" in text and "logs/leader-0" not in text
        assert "worker-1" not in text
        listed = client.get("/captures").text
        assert listed.count("<tr data-id=") == 1
        assert "Counts are for those who may read all captures." in listed
        assert client.get(f"/captures/{BOOT}-40").status_code == 200
        assert client.get(f"/captures/{BOOT}-6").status_code == 404
        assert client.get(f"/captures/{BOOT}-6.har").status_code == 404
        assert "not stored, or not yours" in client.get(f"/captures?open={BOOT}-6").text
        assert client.get("/captures?q=namespace:logs").text.count("<tr data-id=") == 0


def test_numbers_lead_to_the_captures_behind_them(visitor: httpx.Client) -> None:
    text = visitor.get("/").text
    links = re.findall(r'href="(/captures\?q=[^"]+)"><span class="what">.*?"big">([\d,]+)<', text)
    assert len(links) == 5
    for link, number in links:
        rows = visitor.get(link.replace("&amp;", "&")).text.count("<tr data-id=")
        assert rows == int(number)


def test_missing_records_are_said_and_leave_cells_open(filled: Served) -> None:
    account = Account(boot=BOOT, numbered=30, lost={}, ended=False)
    filled.runtime.store.write(incoming(exchange(30)), [Told(account, "logs", "leader-0")])
    with sign_in(filled) as client:
        text = client.get("/?since=all").text
    assert "Coverage is not complete" in text
    assert "not known: its coverage is not complete" in text.split("<tbody>")[-1]


def test_a_cell_of_the_matrix_is_blank_only_where_a_sidecar_counted_everything(
    served: Served,
) -> None:
    now = time.time_ns()
    records = [
        exchange(1, pod="proven", time_ns=now),
        exchange(1, boot=OTHER_BOOT, pod="missing", host="telemetry.cribl.cloud", time_ns=now),
        exchange(1, boot="e" * 32, pod="uncounted", time_ns=now),
    ]
    told = [
        Told(Account(boot=BOOT, numbered=1, lost={}, ended=False), "logs", "proven"),
        Told(Account(boot=OTHER_BOOT, numbered=3, lost={}, ended=False), "logs", "missing"),
    ]
    served.runtime.store.write(incoming(*records), told)
    with sign_in(served) as client:
        text = client.get("/").text
    matrix = text[text.index('<table class="matrix">') :]
    hosts = re.findall(r"<bdi>([a-z.]+)</bdi></a></th>", matrix)
    assert sorted(hosts) == ["cdn.cribl.io", "telemetry.cribl.cloud"]
    found = {}
    for row in matrix.split("<tbody>")[1].split("</tr>")[:-1]:
        (who,) = re.findall(r"<bdi>logs/(\w+)</bdi>", row)
        found[who] = dict(zip(hosts, re.findall(r'<td class="(\w+)"><span', row), strict=True))
    cribl, cloud = "cdn.cribl.io", "telemetry.cribl.cloud"
    assert found["proven"] == {cribl: "seen", cloud: "none"}
    assert found["missing"] == {cribl: "unsure", cloud: "seen"}
    assert found["uncounted"] == {cribl: "seen", cloud: "unsure"}


def test_a_period_without_captures_says_where_they_are(filled: Served) -> None:
    with sign_in(filled) as client:
        text = client.get("/?since=2020-01-01&until=2020-01-02").text
    assert "Nothing was recorded in this period" in text
    assert "captures of other times" in text and "/?since=all" in text


def test_who_may_read_a_namespace_is_told_of_its_other_times_too(filled: Served) -> None:
    for namespace, said in (("logs", "captures of other times"), ("none", "Nothing is recorded")):
        bounded(filled, namespace)
        with sign_in(filled) as client:
            text = client.get("/?since=2020-01-01&until=2020-01-02").text
        assert said in text and f"that you may read: the namespaces {namespace}." in text


def test_only_what_products_asked_is_a_request_and_its_number_leads_there(served: Served) -> None:
    now = time.time_ns()
    bare: dict[str, Any] = {"request": None, "response": None, "time_ns": now}
    line = Message(of=f"{BOOT}-1", sender="client", body=Body(text="x", size=1))
    served.runtime.store.write(
        incoming(
            exchange(1, time_ns=now),
            exchange(2, kind="message", message=line, **bare),
            exchange(3, kind="failed", action="", answered_by="", reason="no_request",
                     pod="tried-0", **bare),
            exchange(4, profile="", rule="", route="", time_ns=now),
            spliced(5, time_ns=now),
            log(6, "a line", time_ns=now),
        )
    )  # fmt: skip
    with sign_in(served) as client:
        text = client.get("/").text
        assert said(text).startswith("1 product sent 1 request to 1 host from 1 workload (")
        (link,) = re.findall(r'href="(/captures\?q=[^"]+)">1 request<', text)
        assert client.get(unescape(link)).text.count("<tr data-id=") == 1


def test_connections_alone_are_no_request(served: Served) -> None:
    served.runtime.store.write(incoming(spliced(1, time_ns=time.time_ns()), log(2, "a line")))
    with sign_in(served) as client:
        text = client.get("/").text
        assert said(text).startswith("No request of a product was recorded, but 1 other record (")
        (link,) = re.findall(r'href="(/captures\?q=[^"]+)">1 other', text)
        assert client.get(unescape(link)).text.count("<tr data-id=") == 1


def test_the_first_visit_says_what_to_do(newcomer: httpx.Client) -> None:
    text = newcomer.get("/").text
    assert "Nothing is recorded here" in text
    assert "telemock run -- COMMAND" in text


def test_the_first_view_is_light(visitor: httpx.Client) -> None:
    """Everything that a browser fetches for it, as it is transferred."""
    page = visitor.get("/", headers={"accept-encoding": "identity"})
    size = len(page.content)
    for url in set(re.findall(r'"(/assets/[^"]+)"', page.text)):
        size += int(visitor.get(url).headers["content-length"])
    assert size < 150 << 10


def test_classes_about_persons_and_secrets_lead_to_their_fields(
    visitor: httpx.Client, filled: Served
) -> None:
    query = [("user", "jo"), ("x1", "jo@example.com"), ("hosts_total", "4")]
    filled.runtime.store.write(incoming(exchange(50, query=query, headers=[])))
    text = visitor.get("/").text
    assert 'href="/fields?text=contact">1 field</a> of the class contact' in text
    assert "of the class identifier of a person" in text and "usage counter" not in text
    fields = visitor.get("/fields?text=contact").text
    assert "query.x1" in fields and "query.hosts_total" not in fields
    assert "query.user" in visitor.get("/fields?text=personal").text
