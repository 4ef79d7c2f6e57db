"""Everyone reads the same of a request: rule, version, inventory, log, captures and exports, in
every mode and through every entrance. `tests.conformance` is the table.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from app.contract.body import whole
from app.contract.decoding.read import read
from app.contract.decoding.tree import opened_up, scalars
from app.contract.record import CaptureRecord, encode, first
from app.ingest.digest import digest
from app.profiles.explain import explain, seen_from_url
from app.report.decoded import decoded
from app.report.rows import COLUMNS
from app.report.rows import row as exported
from app.run import processes
from app.store.inventory import observe
from tests import netns
from tests.canary import find_secret
from tests.conformance import ROWS, SECRET, VERSION, Row, bundle, path_of, written
from tests.leaks.entrances import SECONDS, Request, Ways
from tests.leaks.vendor import Vendor
from tests.sidecar import HOST, Sidecar, authority
from tests.waiting import wait_for


def read_by_all(record: CaptureRecord, number: int) -> list[str]:
    """What is not as the row says."""
    row, line = ROWS[number], encode(record)
    wrong = []
    if record.rule != f"row-{number}":
        wrong.append(f"rule {record.rule!r}")
    if record.product_version != VERSION:
        wrong.append(f"version {record.product_version!r}")
    seen = observe(record)
    paths = {field.path for field in seen.fields} if seen else set()
    if row.withheld:
        opaque = {f"{f.path} {f.type}" for f in seen.fields} if seen else set()
        withheld = record.request and record.request.body and record.request.body.withheld
        return wrong if withheld and "body opaque" in opaque else [*wrong, f"kept: {opaque}"]
    if row.name not in paths:
        wrong.append(f"inventory {sorted(paths)}")
    if row.body:
        digested = digest(line, lambda profile, rule: ())
        logged = json.loads(digested.log_line or b"{}")["request_fields"]
        if row.name not in logged:
            wrong.append(f"request log {sorted(logged)}")
        shown = json.loads(decoded(line)).get("decoded", {}).get("request")
        if row.name not in names_in(shown, "body"):
            wrong.append(f"captures show {shown}")
        columns = dict(zip(COLUMNS, exported(line), strict=True))
        if columns["events"] != row.events:
            wrong.append(f"export: {columns['events']} events")
    if row.secret and SECRET in json.dumps(json.loads(decoded(line))):
        wrong.append("not masked in captures show")
    if row.secret and (found := find_secret(line, SECRET)):
        wrong.append(f"not masked: {found}")
    return [f"{row.what}: {fault}" for fault in wrong]


def names_in(node: Any, at: str) -> set[str]:
    """The names in what `captures show` prints, as the inventory has them."""
    if isinstance(node, dict):
        if node.keys() == {"key", "value"}:
            return {at, f"{at.removesuffix('[]')}.{node['key']}"}
        found = {at}
        for name, value in node.items():
            whole_body = name.startswith("body›") and at == "body"
            joined = name if whole_body else at + name if name[:1] == "›" else f"{at}.{name}"
            found |= names_in(value, joined)
        return found
    if isinstance(node, list):
        items = {name for one in node for name in names_in(one, f"{at}[]")}
        # Documents, and values of one name, are a list, too.
        return {at} | items | {name for one in node for name in names_in(one, at)}
    return {at}


def headers_of(row: Row) -> list[tuple[str, str]]:
    typed = [("Content-Type", row.content_type)] if row.content_type else []
    return [*typed, *row.headers]


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[row.what for row in ROWS])
def test_a_row_in_one_process(number: int) -> None:
    """Rules, templates and the explanation, without any record."""
    row = ROWS[number]
    url = f"https://{HOST}{path_of(number)}{row.query and '?' + row.query}"
    seen = seen_from_url(url, "POST", headers_of(row), row.body or None)
    assert explain(bundle().rules, seen).rule == f"row-{number}"
    # What is not sure is kept here by any condition on the body, and never let go by one.
    assert explain(bundle("pass").rules, seen).rule == (f"row-{number}" if row.sure else "none")
    if row.body:
        encoding = first(row.headers, "content-encoding")
        content = read(whole(row.body, encoding), row.content_type)
        path = row.field.partition(".")[2]
        assert VERSION in scalars(content.value, path)
        assert scalars(content.value, row.name.replace("body[]", "body.[]").partition(".")[2])
        assert json.dumps(opened_up(content.value))


class Lab:
    """A sidecar in one mode, and the vendor behind it."""

    def __init__(self, directory: Path, mode: str, redirect: bool) -> None:
        self._namespace = netns.Namespace() if redirect else None
        ca, context = authority(directory, HOST)
        context.set_alpn_protocols(["h2", "http/1.1"])
        self.tls, self.plain = self.inside(Vendor, context), self.inside(Vendor)
        environ = {
            "TELEMOCK_MODE": "" if mode == "pass" else mode,
            "TELEMOCK_UPSTREAM_CA": str(ca),
            "TELEMOCK_RESOLVE": f"{HOST}:443=127.0.0.1:{self.tls.port},"
            f"{HOST}:80=127.0.0.1:{self.plain.port}",
        }
        if redirect:
            environ |= {"MITM_PORT": "", "TELEMOCK_LOOPBACK": f"127.0.0.2={HOST}"}
        rules = bundle("pass" if mode == "pass" else "mock")
        self.sidecar = self.inside(Sidecar, directory / "sidecar", rules, **environ)
        dial = None
        if redirect:
            import socket

            def dial(port: int) -> socket.socket:
                return socket.create_connection(("127.0.0.2", port), SECONDS)

        self.ways = Ways(self.sidecar, (HOST,), dial)

    def inside(self, do: Any, *args: Any, **named: Any) -> Any:
        if self._namespace is None:
            return do(*args, **named)
        return self._namespace.inside(do, *args, **named)

    def send(self, way: str, number: int) -> None:
        row = ROWS[number]
        target = path_of(number) + (row.query and "?" + row.query)
        request = Request(
            target=target.replace("{", "{{").replace("}", "}}"),
            method="POST",
            headers=tuple(headers_of(row)),
            body=row.body,
        )
        self.inside(self.ways.send, way, request, "mark")

    def close(self) -> None:
        self.sidecar.stop()
        self.tls.close()
        self.plain.close()
        if self._namespace is not None:
            self._namespace.close()


@pytest.fixture(scope="module", params=["mock", "observe", "block", "pass"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=[False, True], ids=["proxy", "redirect"])
def lab(
    mode: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    if request.param:
        if os.geteuid():
            pytest.skip("needs root")
        netns.require()
    lab = Lab(tmp_path_factory.mktemp("conformance"), mode, request.param)
    yield lab
    lab.close()


def test_every_row_by_every_entrance(lab: Lab, mode: str) -> None:
    expected = []
    for way in lab.ways.names():
        for number in range(len(ROWS)):
            lab.send(way, number)
            expected.append((way, number))
    wait_for(lambda: lab.inside(lab.sidecar.recorded) >= len(expected), 30)
    records = sorted(lab.sidecar.records(), key=lambda record: record.seq)
    assert len(records) == len(expected)
    faults = []
    for (way, number), record in zip(expected, records, strict=True):
        row = ROWS[number]
        if mode == "observe" and not row.sure:
            continue  # no rule that lets requests go on takes it by its body
        if mode == "pass":
            rule = f"row-{number}" if row.sure else "none"
            assert (record.rule, record.product_version) == (rule, ""), row.what
            assert record.request is not None and not record.request.headers
            assert record.request.body is None or record.request.body.text is None
            continue
        assert record.action == mode, (way, row.what)
        faults += [f"{way}: {fault}" for fault in read_by_all(record, number)]
    assert not faults, "\n".join(faults)


def test_every_row_straight_at_the_app(tmp_path: Path) -> None:
    """Where there is no sidecar; and the app's API and report say the same."""
    profile = tmp_path / "acme.yaml"
    profile.write_text(yaml.safe_dump(written(), allow_unicode=True))
    running = processes.start_app(
        tmp_path / "data", tmp_path / "logs", environ={"TELEMOCK_PROFILES": str(profile)}
    )
    try:
        with httpx.Client(base_url=running.url, trust_env=False, timeout=20) as client:
            for number, row in enumerate(ROWS):
                headers = [("Host", HOST), *headers_of(row)]
                target = path_of(number) + (row.query and "?" + row.query)
                client.post(target, content=row.body, headers=headers)
            client.headers["authorization"] = f"Bearer {running.token}"

            def stored() -> list[Any]:
                found = client.get("/api/v1/captures", params={"limit": 1000}).json()["items"]
                return sorted(found, key=lambda one: one["seq"])

            wait_for(lambda: len(stored()) >= len(ROWS), 20)
            items = stored()
            assert len(items) == len(ROWS)
            faults = []
            for number, item in enumerate(items):
                line = client.get(f"/api/v1/captures/{item['boot']}-{item['seq']}").content
                from app.contract.record import decode

                faults += read_by_all(decode(line), number)
            assert not faults, "\n".join(faults)
            fields = {one["path"] for one in client.get("/api/v1/fields").json()["items"]}
            assert {row.name for row in ROWS if not row.withheld} <= fields
    finally:
        running.stop()
