"""What real clients sent, as `tests/clients/sent/` has it, and their profiles.
`tests/integration/test_clients.py` runs the clients themselves."""

import json
import re
from base64 import b64decode
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml
from msgspec import structs

from app.contract import body as bodies
from app.contract.decoding.read import for_conditions, read
from app.contract.masking.masker import Masker
from app.contract.record import Body, CaptureRecord, Request, decode, encode, first
from app.contract.rules import Decision, RuleSet, Seen, Sensitive, decide, product_version
from app.profiles import load_profiles
from tests.canary import readings
from tests.clients.capture import SENT
from tests.clients.table import ALL, CLIENTS, HERE, OWN, PROFILES, Client
from tests.netns import ROOT

RULES = load_profiles(PROFILES)
MASKER = Masker(RULES, b"k" * 32, "k1")
each = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.id)


def kept(client: Client) -> Any:
    return json.loads((HERE / "sent" / f"{client.id.replace('/', '-')}.json").read_text())


class Taken(NamedTuple):
    """A request that was sent, and the rule that takes it."""

    seen: Seen
    decision: Decision
    record: CaptureRecord

    def version(self, body: Body | None) -> str:
        """The version, with this body in place of the one that was sent."""
        assert self.decision.profile is not None
        content = read(body, first(self.seen.headers, "content-type"))
        seen = structs.replace(self.seen, json=for_conditions(content))
        return product_version(self.decision.profile, seen, self.decision.rule)


@cache
def taken(client: Client) -> list[Taken]:
    return [one(number, asked) for number, asked in enumerate(kept(client)["requests"], 1)]


def one(number: int, asked: Any) -> Taken:
    at, headers = urlsplit(asked["url"]), [(n, v) for n, v in asked["headers"]]
    request = Request(
        method=asked["method"],
        host=at.netloc,
        path=at.path,
        query=parse_qsl(at.query, keep_blank_values=True),
        headers=headers,
        body=bodies.whole(b64decode(asked["body"]), first(headers, "content-encoding")),
    )
    seen = Seen(
        method=request.method,
        host=request.host,
        path=request.path,
        query=request.query,
        headers=headers,
    )
    decision = decide(RULES, seen)
    assert decision.profile is not None and decision.rule is not None
    record = CaptureRecord(
        boot="0" * 16,
        seq=number,
        kind="exchange",
        time_ns=1,
        profile=decision.profile.id,
        rule=decision.rule.id,
        request=request,
    )
    return Taken(seen, decision, record)


def request_of(record: CaptureRecord) -> Request:
    assert record.request is not None
    return record.request


@each
def test_the_profile_takes_it_and_knows_the_version(client: Client) -> None:
    assert {one.record.profile for one in taken(client)} == {client.profile}
    versions = {one.version(request_of(one.record).body) for one in taken(client)}
    assert versions - {""} == {kept(client)["version"]}


def left(records: list[CaptureRecord]) -> set[str]:
    """The names of the secrets that can be read in these."""
    texts = [text for record in records for _, text in readings(encode(record))]
    return {name for name in ALL if any(SENT[name].encode() in text for text in texts)}


@each
def test_its_secrets_are_masked_and_nothing_is_withheld(client: Client) -> None:
    sent = [one.record for one in taken(client)]
    masked = [MASKER.record(decode(encode(record))) for record in sent]
    assert left(sent) == client.secrets and left(masked) == set()
    for one, record in zip(taken(client), masked, strict=True):
        was, body = request_of(one.record).body, request_of(record).body
        assert was is not None and body is not None and not body.withheld
        assert one.version(body) == one.version(was)


@pytest.mark.parametrize("profile", sorted({client.profile for client in CLIENTS}))
def test_a_profile_is_short_and_names_what_was_run(profile: str) -> None:
    file = next(client.profile_file for client in CLIENTS if client.profile == profile)
    about = "cadence|opt_out|unknown|documented"  # what no rule needs, with the lines below it
    rest = re.sub(rf"(?m)^({about}):.*\n(  .*\n)*", "", file.read_text())
    assert len(rest.splitlines()) <= 13
    said = yaml.safe_load(file.read_text())["evidence"][0]["source"].split(", ")
    assert said == [kept(client)["client"] for client in CLIENTS if client.profile == profile]


@each
def test_what_was_run_is_what_is_installed(client: Client) -> None:
    package, _, version = kept(client)["client"].rpartition(" ")
    if client.id.startswith("node/"):
        asked = json.loads((HERE / "package.json").read_text())["dependencies"]
        assert asked[package] == version
    else:
        locked = (ROOT / "requirements/clients.txt").read_text()
        assert re.search(rf"(?m)^{re.escape(package)}=={re.escape(version)} ", locked)


def test_the_lock_of_node_names_hashes_and_no_address() -> None:
    lock = json.loads((ROOT / "requirements/clients-npm.json").read_text())
    packages = {path: one for path, one in lock["packages"].items() if path}
    assert packages and all("resolved" not in one for one in packages.values())
    assert all(one["integrity"].startswith("sha512-") for one in packages.values())


def test_every_fixture_and_profile_is_of_a_client() -> None:
    def names(folder: Path) -> set[str]:
        return {path.stem for path in folder.iterdir()}

    assert names(HERE / "sent") == {client.id.replace("/", "-") for client in CLIENTS}
    assert names(OWN) <= {client.profile for client in CLIENTS}


@pytest.mark.parametrize("name", ["traceId", "stringValue", "key"])
def test_telemetry_whose_own_names_are_sensitive_is_withheld(name: str) -> None:
    (of,) = (p for p in RULES.profiles if p.id == "opentelemetry")
    more = (*of.sensitive, Sensitive("body", name.lower(), "mask"))
    masker = Masker(RuleSet((structs.replace(of, sensitive=more),)), b"k" * 32, "k1")
    (client,) = (c for c in CLIENTS if c.id == "python/opentelemetry")
    (sent,) = taken(client)
    body = request_of(masker.record(decode(encode(sent.record)))).body
    assert body is not None and body.withheld == "nameless"
