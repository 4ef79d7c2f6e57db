"""`telemock learn`: from captures and from a HAR, onto the terminal or whole into a file."""

import base64
import json
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from app.cli.learn import _of_har
from app.contract.masking.masker import Masker
from app.contract.rules import RuleSet
from app.learn.draft import draft
from app.learn.yaml_text import written
from app.profiles import load_profiles
from app.run.processes import App
from app.store import CaptureQuery
from app.store.sqlite.store import SqliteStore
from tests.hars import HOSTILE, PROGRAMS, entry, har, write
from tests.records import exchange, incoming, spliced
from tests.unit.app.cli.conftest import Telemock
from tests.unit.app.learn.conftest import request


def test_from_what_the_last_run_opened(telemock: Telemock, store: SqliteStore) -> None:
    older = [request(n, host="old.test", boot="ab" * 16, seq=n + 1) for n in range(3)]
    newer = [request(100 + n, f"/v1/{n}", boot="cd" * 16, seq=n + 1) for n in range(3)]
    store.write(incoming(*older, *newer, exchange(1)))
    done = telemock("learn")
    assert done.code == 0
    assert "drafted acme: 1 endpoint of stats.acme.test" in done.err
    assert yaml.safe_load(done.out)["hosts"] == ["stats.acme.test"]
    assert yaml.safe_load(done.out)["rules"][0]["route"] == "/v1/{id}"


def test_filters_choose_among_captures(telemock: Telemock, store: SqliteStore) -> None:
    store.write(incoming(request(0), exchange(9), exchange(10, path="/telemetry/events")))
    for options in (["--profile", "cribl"], ["-q", "host:cdn.*"], ["--host", "cdn.cribl.io"]):
        found = yaml.safe_load(telemock("learn", *options).out)
        assert found["hosts"] == ["cdn.cribl.io"] and found["id"] == "cribl-2"
    found = yaml.safe_load(telemock("learn", "-q", "path:*/events", "--id", "mine").out)
    assert found["id"] == "mine"
    assert [r["match"]["path"] for r in found["rules"][:-1]] == ["/telemetry/events"]


def test_without_any_it_says_what_helps(telemock: Telemock, store: SqliteStore) -> None:
    store.write(incoming(exchange(1), spliced(2)))
    for options, said in (
        ([], "no capture of `telemock run --open` is stored\n"),
        (["--host", "cdn.elsewhere.test"], "no capture fits\n"),
        (["--kind", "spliced"], "1 capture was read, and none"),
    ):
        done = telemock("learn", *options)
        assert (done.code, done.out) == (1, "")
        assert said in done.err and "hint: telemock run --open HOST" in done.err


def test_where_every_request_failed_it_says_why_and_what_helps(
    telemock: Telemock, store: SqliteStore
) -> None:
    failed = [request(n, seq=n + 1) for n in range(2)]
    for one in failed:
        one.kind, one.reason, one.response = "failed", "upstream_unreachable", None
    store.write(incoming(*failed))
    done = telemock("learn")
    assert done.code == 1
    assert "2 requests failed: the real host could not be reached" in done.err
    assert "--mode mock" in done.err


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_har_becomes_a_profile_that_is_right(
    telemock: Telemock, place: Path, program: str
) -> None:
    write(place / "x.har", PROGRAMS[program])
    done = telemock("learn", "--har", "x.har", "-o", "draft.yaml")
    assert (done.code, done.out) == (0, "") and "next: telemock profiles add draft.yaml" in done.err
    assert telemock("rules", "check", "draft.yaml").code == 0
    (profile,) = load_profiles([place / "draft.yaml"]).profiles
    assert profile.rules[0].route == "/v1/orgs/{id}"
    assert profile.rules[0].answer.body == b'{"ok":true}'
    assert [(e.where, e.name) for e in profile.version_from] == [("body", "version")]
    assert ("any", "email") in [(s.where, s.name) for s in profile.sensitive]


def test_secrets_of_a_har_stay_out_of_the_draft(telemock: Telemock, place: Path) -> None:
    one = entry()
    one["request"]["headers"] = [{"name": "Authorization", "value": "Bearer c4nary-c4nary-c4nary"}]
    one["request"]["postData"] = {"text": '{"api_key": "c4nary-c4nary-c4nary"}'}
    said = {"size": 9, "text": '{"token": "c4nary-other", "again": "c4nary-c4nary-c4nary"}'}
    one["response"] = {"status": 200, "headers": [], "content": said}
    write(place / "x.har", har(one))
    done = telemock("learn", "--har", "x.har")
    assert done.code == 0 and "c4nary" not in done.out + done.err
    assert "it holds masked values" in done.out and "header.authorization" in done.out


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV"
PLANTED = {
    "AWS": "AKIA" + "IOSFODNN7EXAMPLE",
    "GitHub": "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "a JWT": JWT,
    "Stripe": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "GitLab": "glpat-" + "ABCDEFGHIJ1KLMNOPQRS",
    "a key of our own": "c4naryC4NARY00112233445566778899",
    "a hash": "8843d7f92416211de9ebb963ff4ce28125932878",
    "a UUID": "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
    "a person": "ada.lovelace@acme.example",
}


def everywhere(secret: str) -> list[dict[str, Any]]:
    """A request and an answer for each place that a capture has."""
    of = quote(secret, safe="")
    urls = [f"v1/{of}/usage", f"hook/{of}", f"token/{of}/x", f"v1/x;key={of}", f"v1/{of}.js",
            f"v1/x?q={of}", f"v1/x?api_key={of}", f"v1/x?{of}=1", f"v1/x#{of}"]  # fmt: skip
    asked: list[dict[str, Any]] = [{"url": f"https://stats.acme.test/{url}"} for url in urls]
    asked.append({"url": f"https://me:{of}@stats.acme.test/v1/y"})
    headers = {"x-thing": secret, "authorization": f"Bearer {secret}", "cookie": f"sid={secret}",
               "user-agent": f"acme/1.2 ({secret})", "referer": f"https://a.test/{of}"}  # fmt: skip
    asked += [{"headers": [{"name": n, "value": v}]} for n, v in headers.items()]
    texts = [json.dumps(body) for body in (
        {"x": secret, "version": "1.2.3"}, {"version": secret}, {secret: 1}, [secret],
        {"users": {secret: {"email": "a@b.test"}}}, {"a": json.dumps({"b": secret})},
    )]  # fmt: skip
    texts += [f"hello {secret} bye", base64.b64encode(secret.encode()).decode()]
    asked += [{"postData": {"text": text}} for text in texts]
    asked.append({"postData": {"params": [{"name": "p", "value": secret}]}})
    answers: list[dict[str, Any]] = [
        {"content": {"text": f"{begin}{secret}{end}", "mimeType": kind}}
        for begin, end, kind in (
            ('{"x": "', '"}', "application/json"), ('{"token": "', '"}', "application/json"),
            ("your key is ", " ok", "text/plain"), ("<b id='", "'>", "text/html"),
            ("", "", f"text/plain; x={secret}"),
            ('{"n": [' + "1," * 4_096 + '1], "x": "', '"}', "application/json"),
            ("x " * 4_096, "", "text/plain"),
        )
    ]  # fmt: skip
    picture = base64.b64encode(b"GIF89a\xff\x00 " + secret.encode() + b" \xfe").decode()
    answers.append({"content": {"text": picture, "encoding": "base64", "mimeType": "image/gif"}})
    told = {"location": f"https://stats.acme.test/cb/{of}", "set-cookie": f"sid={secret}"}
    answers += [{"headers": [{"name": n, "value": v}]} for n, v in told.items()]
    answers.append({"statusText": secret})
    plain = {"method": "POST", "url": "https://stats.acme.test/v1/usage", "headers": []}
    found = [entry(request=plain | one, response={"status": 200}) for one in asked]
    return [*found, *(entry(request=plain, response={"status": 201} | one) for one in answers)]


@pytest.mark.parametrize("kind", PLANTED)
def test_what_looks_like_a_secret_stays_out_of_the_draft(
    telemock: Telemock, place: Path, kind: str
) -> None:
    secret = PLANTED[kind]
    forms = (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()[:-4])
    for number, one in enumerate(everywhere(secret)):
        write(place / "x.har", har(one))
        found = written(draft(_of_har(place / "x.har", CaptureQuery(), []), room=1 << 20), "a")
        for kept in (found.text, *(data.decode("latin-1") for data in found.files.values())):
            assert not [form for form in forms if form.lower() in kept.lower()], (number, one)
    write(place / "x.har", har(*everywhere(secret)))
    done = telemock("learn", "--har", "x.har", "-o", "draft.yaml")
    assert done.code == 0 and not [form for form in forms if form in done.err]
    assert not [form for form in forms if form in (place / "draft.yaml").read_text()]
    assert telemock("profiles", "add", "draft.yaml").code == 0


PICTURE = b"GIF89a\xff\x00"


def answered(*answers: tuple[str, bytes]) -> dict[str, Any]:
    """A HAR with an endpoint for each of these answers."""
    return har(
        *(
            entry(
                request={"method": "GET", "url": f"https://stats.acme.test/e{letter}"},
                response={
                    "status": 200,
                    "content": {
                        "mimeType": kind,
                        "encoding": "base64",
                        "text": base64.b64encode(data).decode(),
                    },
                },
            )
            for letter, (kind, data) in zip("abcdef", answers, strict=False)
        )
    )


def test_large_and_binary_answers_lie_in_files_that_are_added_with_the_draft(
    telemock: Telemock, place: Path
) -> None:
    flags = json.dumps([{"flag": f"f-{n}", "on": True} for n in range(400)]).encode()
    write(place / "x.har", answered(("image/gif", PICTURE), ("application/json", flags)))
    done = telemock("learn", "--har", "x.har", "-o", "acme.yaml")
    assert done.code == 0 and "2 of their answers in acme.answers/" in done.err
    kept = {path.suffix: path.read_bytes() for path in (place / "acme.answers").iterdir()}
    assert kept == {".gif": PICTURE, ".json": flags}
    assert telemock("rules", "check", "acme.yaml").code == 0
    assert telemock("profiles", "add", "acme.yaml").code == 0
    again = telemock("learn", "--har", "x.har", "--id", "acme", "-o", "acme.yaml", "--force")
    assert again.code == 0 and len([*(place / "acme.answers").iterdir()]) == 2


def test_on_the_terminal_a_draft_has_no_files_and_says_how(telemock: Telemock, place: Path) -> None:
    write(place / "x.har", answered(("image/gif", PICTURE)))
    done = telemock("learn", "--har", "x.har")
    assert done.code == 0 and "which -o writes into files" in done.out
    assert yaml.safe_load(done.out)["rules"][0]["answer"] == {
        "headers": {"content-type": "image/gif"}
    }
    assert [path.name for path in place.glob("*.answers")] == []


def test_what_is_there_is_not_replaced_and_nothing_is_half_written(
    telemock: Telemock, place: Path
) -> None:
    write(place / "x.har", answered(("image/gif", PICTURE), ("image/gif", PICTURE * 2)))
    assert telemock("learn", "--har", "x.har", "-o", "acme.yaml").code == 0
    (place / "acme.yaml").unlink()
    first, second = sorted((place / "acme.answers").iterdir())
    first.unlink()
    second.write_bytes(b"a person's")
    done = telemock("learn", "--har", "x.har", "-o", "acme.yaml")
    assert done.code == 1 and f"{second.name} is there already\n\nhint: --force" in done.err
    assert [*place.glob("acme*")] == [place / "acme.answers"]
    assert [*(place / "acme.answers").iterdir()] == [second]
    assert second.read_bytes() == b"a person's"
    assert telemock("learn", "--har", "x.har", "-o", "acme.yaml", "--force").code == 0
    assert second.read_bytes() != b"a person's" and first.exists()


def test_no_answer_is_written_through_a_link_that_lies_there(
    telemock: Telemock, place: Path
) -> None:
    write(place / "x.har", answered(("image/gif", PICTURE)))
    assert telemock("learn", "--har", "x.har", "-o", "acme.yaml").code == 0
    (answer,) = (place / "acme.answers").iterdir()
    other = place / "other"
    other.write_bytes(b"theirs")
    answer.unlink()
    answer.symlink_to(other)
    done = telemock("learn", "--har", "x.har", "-o", "acme.yaml", "--force")
    assert done.code == 0 and other.read_bytes() == b"theirs"
    assert not answer.is_symlink() and answer.read_bytes() == PICTURE


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_folder_that_is_none_is_named_and_nothing_is_written(
    telemock: Telemock, place: Path, kind: str
) -> None:
    write(place / "x.har", answered(("image/gif", PICTURE)))
    folder, other = place / "acme.answers", place / "other"
    other.mkdir()
    if kind == "file":
        folder.write_bytes(b"x")
    else:
        folder.symlink_to(other)
    for options, hint in (([], "--force replaces it"), (["--force"], "remove it")):
        done = telemock("learn", "--har", "x.har", "-o", "acme.yaml", *options)
        assert done.code == 1 and f"acme.answers is there already\n\nhint: {hint}" in done.err
    assert not (place / "acme.yaml").exists() and [*other.iterdir()] == []


@pytest.mark.parametrize(
    "name", ["my acme.yaml", "a'b.yaml", "a.b.yaml", "%s{}*.yaml", "\u00e4.yaml"]
)
def test_a_file_of_any_name_has_its_answers_beside_it(
    telemock: Telemock, place: Path, name: str
) -> None:
    write(place / "x.har", answered(("image/gif", PICTURE)))
    done = telemock("learn", "--har", "x.har", "-o", name)
    assert done.code == 0
    *_, said = done.err.strip().splitlines()
    assert shlex.split(said.partition("next: ")[2]) == ["telemock", "profiles", "add", name]
    assert telemock("profiles", "add", name).code == 0


def test_hosts_of_a_har_have_to_be_chosen(telemock: Telemock, place: Path) -> None:
    other = entry(request={"method": "GET", "url": "https://other.test/x", "headers": []})
    write(place / "x.har", har(entry(), entry(), other))
    done = telemock("learn", "--har", "x.har")
    assert (done.code, done.out) == (1, "")
    assert "requests to 2 hosts: stats.acme.test (2), other.test (1)" in done.err
    assert "hint: name the product's: --host stats.acme.test" in done.err
    chosen = telemock("learn", "--har", "x.har", "-q", "host:stats.acme.test,other.test")
    assert yaml.safe_load(chosen.out)["hosts"] == ["stats.acme.test", "other.test"]
    assert yaml.safe_load(
        telemock("learn", "--har", "x.har", "--host", "other.test").out
    )["hosts"] == ["other.test"]  # fmt: skip
    assert telemock("learn", "--har", "x.har", "--profile", "cribl").code == 2
    assert telemock("learn", "--har", "x.har", "--method", "PUT").code == 1


def test_an_export_of_ours_gives_the_same_draft(
    telemock: Telemock, store: SqliteStore, place: Path
) -> None:
    answer = (200, "application/json", b'{"ok": 1}')
    seen = [
        request(n * 60, f"/v1/orgs/{n}", sent=b'{"version": "4.16.1", "n": 1}', answer=answer)
        for n in range(5)
    ]
    store.write(incoming(*map(Masker(RuleSet()).record, seen)))
    assert telemock("captures", "export", "--format", "har", "-o", "x.har").code == 0
    direct = telemock("learn", "--host", "stats.acme.test").out.splitlines()
    # A HAR does not tell what was masked.
    direct = [line for line in direct if not line.startswith("# Masked ")]
    assert telemock("learn", "--har", "x.har").out.splitlines() == direct


@pytest.mark.parametrize("kind", ["a key twice", "NaN", "a status that is a text", "gzip"])
def test_a_hostile_har_leaves_nothing_behind(telemock: Telemock, place: Path, kind: str) -> None:
    hostile: Any = HOSTILE[kind][0]
    write(place / "x.har", hostile)
    before = sorted(place.rglob("*"))
    done = telemock("learn", "--har", "x.har", "-o", "draft.yaml")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: x.har: ") and "\nhint: " in done.err
    assert sorted(place.rglob("*")) == before


def test_a_file_is_replaced_by_force_alone(telemock: Telemock, place: Path) -> None:
    write(place / "x.har", har(entry()))
    (place / "draft.yaml").write_text("mine")
    done = telemock("learn", "--har", "x.har", "-o", "draft.yaml")
    assert done.code == 1 and "hint: --force replaces it" in done.err
    assert (place / "draft.yaml").read_text() == "mine"
    assert telemock("learn", "--har", "x.har", "-o", "draft.yaml", "--force").code == 0
    assert "rules:" in (place / "draft.yaml").read_text()
    gone = telemock("learn", "--har", "x.har", "-o", "none/draft.yaml")
    assert gone.code == 1 and "hint: " in gone.err


@pytest.mark.parametrize("id", ["A b", "../x", "'", "x: y", "\x1b[31m"])
def test_an_id_that_is_none_is_refused(telemock: Telemock, place: Path, id: str) -> None:
    write(place / "x.har", har(entry()))
    done = telemock("learn", "--har", "x.har", "--id", id)
    assert done.code == 1 and done.out == "" and "--id: id: " in done.err
    assert "is not an id" in done.err
    assert "\x1b" not in done.err


def test_a_second_draft_of_a_product_has_another_id(telemock: Telemock, place: Path) -> None:
    write(place / "x.har", har(entry()))
    for id in ("acme", "acme-2", "acme-3"):
        assert telemock("learn", "--har", "x.har", "-o", f"{id}.yaml").code == 0
        assert yaml.safe_load((place / f"{id}.yaml").read_text())["id"] == id
        assert telemock("profiles", "add", f"{id}.yaml").code == 0


def test_a_gate_opens_no_host(telemock: Telemock) -> None:
    for gate in (["--nothing"], ["--contract", "x.yaml"]):
        done = telemock("run", *gate, "--open", "a.test", "--", "true")
        assert done.code == 2 and "--open are no gate's\n\nhint: " in done.err


def test_a_host_that_is_none_is_not_opened(telemock: Telemock, place: Path) -> None:
    done = telemock("run", "--open", "https://a.test", "--", "touch", "ran")
    assert done.code == 125
    assert "--open: hosts[0]: 'https://a.test' is not a host name" in done.err
    assert "hint: " in done.err and not (place / "ran").exists()


def test_an_app_that_runs_already_opens_none(telemock: Telemock, app: App, place: Path) -> None:
    done = telemock("run", "--open", "a.test", "--", "touch", "ran")
    assert done.code == 125 and "an app runs on" in done.err and not (place / "ran").exists()
