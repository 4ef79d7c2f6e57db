import re
from pathlib import Path as FilePath

import httpx
import pytest

from app.contract.matching import Host, Match, Path, Value
from app.profiles.read import BUILT_IN
from app.report.papers import ASKED
from app.web.profiles import words
from tests.records import exchange, incoming
from tests.serving import Served, serving
from tests.unit.app.web.conftest import bounded, sign_in


def test_rules_and_what_each_took(visitor: httpx.Client) -> None:
    text = visitor.get("/profiles").text
    assert "Cribl Stream and Edge" in text
    took = re.findall(r'href="(/captures\?q=profile%3Acribl\+rule%3A[^"]+)">([\d,]+)<', text)
    assert ("8" in dict(took).values()) and len(took) > 2
    for link, number in took:
        rows = visitor.get(link.replace("&amp;", "&")).text.count("<tr data-id=")
        assert rows == int(number)
    assert "taken by no rule (1)" in text
    untaken = re.search(r'<li><a href="([^"]+)">1</a> ', text)
    assert untaken
    assert visitor.get(untaken[1].replace("&amp;", "&")).text.count("<tr data-id=") == 1
    assert "With a Free license" in text


def test_a_profile_that_captures_name_is_shown_as_not_in_use(tmp_path: FilePath) -> None:
    query = [("guid", "0"), ("n", "1")]
    mark = "Not in use now; captures name it."
    with serving(tmp_path, TELEMOCK_PROFILES="cribl") as served, sign_in(served) as client:
        assert mark not in client.get("/profiles").text
        etag = served.runtime.rules.etag
        served.runtime.store.write(incoming(
            exchange(1, profile="calico", rule="usage", query=query, namespace="edge"),
            exchange(2, profile="../<b>", rule="usage"), exchange(3, profile="cribl"),
            exchange(4, profile="calico", rule="", product_version="9", namespace="edge"),
        ))  # fmt: skip
        text = client.get("/profiles").text
        shown = re.findall(r'<h2 id="profile-([^"]+)">.*?</h2>\s*(<p class="sub">[^<]+</p>)?', text)
        assert shown == [("cribl", ""), ("calico", f'<p class="sub">{mark}</p>')]
        took = re.search(r'href="/captures\?q=profile%3Acalico\+rule%3Ausage">1<', text)
        assert took and "Switched off by" in text and "anonymous Calico version number" in text
        report = client.get("/report?since=all").text
        assert "anonymous Calico version number" in report
        assert "Profiles that are not in use" in report
        assert "They are read by the shipped one." in text
        assert re.search(r">[^<]*\bCalico\b[^<]*<", client.get("/?since=all").text)
        for path in (
            "/fields",
            "/versions?profile=calico",
            "/workloads?since=all",
            "/changes",
            "/changes?state=all",
        ):
            assert re.search('<option value="calico"[^>]*>[^<]*Calico', client.get(path).text)
        field = {"profile": "calico", "host": "cdn.cribl.io", "method": "GET",
                 "route": "/telemetry/index.html", "field": "query.guid"}  # fmt: skip
        assert "the profile" in client.get("/fields/one", params=field).text
        # It decides nothing.
        assert served.runtime.rules.etag == etag
        url = {"url": "https://usage.projectcalico.org/UsageCheck/calicoVersionCheck"}
        assert "No profile in use names this host" in client.get("/profiles", params=url).text
        bounded(served, "logs")
        for path in (
            "/profiles",
            "/report?since=all",
            "/fields",
            "/versions",
            "/workloads",
            "/changes?state=all",
            "/?since=all",
        ):
            assert "calico" not in client.get(path).text.lower()


def test_a_url_is_explained(visitor: httpx.Client) -> None:
    url = "https://cdn.cribl.io/telemetry/index.html?v=4.16.1"
    text = visitor.get("/profiles", params={"url": url}).text
    assert re.search(r'<h2 id="h-explain">mock: ', text)
    assert "<td>yes</td>" in text
    other = visitor.get("/profiles", params={"url": "https://other.test/<b>"}).text
    assert "No profile in use names this host" in other
    assert "<b>" not in other


@pytest.mark.parametrize("url", ["http://", "https:///x", "http://[::1"])
def test_a_url_without_a_host_is_said(visitor: httpx.Client, url: str) -> None:
    answer = visitor.get("/profiles", params={"url": url})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


def test_a_refused_profile_is_said(visitor: httpx.Client, filled: Served) -> None:
    filled.runtime.profiles.error = "cribl.yaml line 3: <i>no such action</i>"
    text = visitor.get("/profiles").text
    assert "the last good ones stay in use" in text
    assert "&lt;i&gt;no such action" in text


def test_who_may_read_a_namespace_sees_its_counts(filled: Served) -> None:
    bounded(filled, "edge")
    filled.runtime.store.write(incoming(exchange(40, namespace="edge")))
    with sign_in(filled) as client:
        text = client.get("/profiles").text
    assert "rule%3Atelemetry" in text and ">1</a>" in text and ">8</a>" not in text


def test_a_match_in_words() -> None:
    match = Match(
        methods=("GET", "HEAD"), hosts=(Host("a.test"),),
        paths=(Path("prefix", "/t/"), Path("exact", "/x")),
        query=(Value("v"),), body=(Value("a.b", "equals", "1"),),
    )  # fmt: skip
    assert words(match) == ("GET or HEAD, a.test, /t/… or /x, query v present, body a.b equals 1")
    assert words(Match()) == "everything on its hosts"


def form_token(client: httpx.Client) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', client.get("/profiles").text)
    assert found
    return found[1]


def test_a_draft_is_checked_and_never_stored(visitor: httpx.Client, filled: Served) -> None:
    draft = (BUILT_IN / "cribl.yaml").read_text()
    token = form_token(visitor)
    before = filled.runtime.rules.etag
    found = visitor.post("/profiles/check", data={"draft": draft, "form_token": token})
    assert found.status_code == 200 and "<strong>Right:</strong> cribl" in found.text
    wrong = draft.replace("action: mock", "action: </textarea><script>x</script>") + "secret-9"
    found = visitor.post("/profiles/check", data={"draft": wrong, "form_token": token})
    assert found.status_code == 422 and "<script>x" not in found.text
    assert "What helps" in found.text and "secret-9" in found.text
    assert "secret-9" not in visitor.get("/profiles").text
    assert filled.runtime.rules.etag == before
    files = [p for p in filled.runtime.settings.data.parent.rglob("*") if p.is_file()]
    assert files and not any(b"secret-9" in p.read_bytes() for p in files)


def test_a_draft_of_another_page_is_refused(visitor: httpx.Client) -> None:
    for token in ("", "x"):
        answer = visitor.post("/profiles/check", data={"draft": "a: 1", "form_token": token})
        assert answer.status_code == 403
    headers = {"sec-fetch-site": "cross-site"}
    given = {"draft": "a: 1", "form_token": form_token(visitor)}
    assert visitor.post("/profiles/check", data=given, headers=headers).status_code == 403


def test_a_large_draft_is_refused_with_a_remedy(visitor: httpx.Client) -> None:
    given = {"draft": "x" * 50_000, "form_token": form_token(visitor)}
    assert "telemock rules check" in visitor.post("/profiles/check", data=given).text
    given["draft"] = "x" * 70_000
    assert visitor.post("/profiles/check", data=given).status_code == 413


def test_a_profile_that_states_no_licence_and_no_evidence_says_so(tmp_path: FilePath) -> None:
    file = tmp_path / "bare.yaml"
    file.write_text("id: bare\ntitle: Bare\nhosts: [a.test]\nrules: [{id: a, action: observe}]\n")
    with serving(tmp_path, TELEMOCK_PROFILES=str(file)) as served, sign_in(served) as client:
        for page in ("/profiles", "/report?since=all"):
            text = client.get(page).text
            for name, why in ASKED.items():
                assert f"No {name}" in text and why in text
        assert "What profiles do not state" in client.get("/report.md?since=all").text


def test_a_vendor_without_a_list_is_told(tmp_path: FilePath) -> None:
    file = tmp_path / "acme.yaml"
    page = "{source: docs.acme, verified: 2026-11, none: Some <b>data</b>.}"
    file.write_text(
        f"id: acme\ntitle: Acme\nhosts: [a.test]\ndocumented: [{page}]\n"
        "rules: [{id: a, action: observe}]\n"
    )
    with serving(tmp_path, TELEMOCK_PROFILES=str(file)) as served, sign_in(served) as client:
        rules, report = (client.get(path).text for path in ("/profiles", "/report?since=all"))
        for text in (rules, report):
            assert "he vendor publishes no list of what is sent" in text
            assert "Some &lt;b&gt;data&lt;/b&gt;." in text
        assert "(docs.acme, 2026-11)" in report and "seen but not documented" not in report
