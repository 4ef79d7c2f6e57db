import random
import string
import time
import uuid

import pytest

from app.contract.route_template import ROUTES, SEGMENTS, RouteTable, template


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("", "/"),
        ("/batch/", "/batch/"),
        ("/v1/batch", "/v1/batch"),
        ("/v1.2/things", "/v1.2/things"),
        ("/2/httpapi", "/2/httpapi"),
        ("/42", "/{id}"),
        ("/orgs/7", "/orgs/{id}"),
        ("/api/4501/envelope/", "/api/{id}/envelope/"),
        ("/3.17.2.json", "/{version}"),
        ("/dl/4.17/file.tgz", "/dl/{version}/file.tgz"),
        ("/dl/v4.17.1-rc.2", "/dl/{version}"),
        (f"/i/{uuid.UUID(int=2**127)}", "/i/{id}"),
        (f"/i/{uuid.UUID(int=2**127).hex}", "/i/{id}"),
        ("/i/%7B00000000-0000-4000-8000-000000000000%7D", "/i/{id}"),
        ("/c/0bcb76c1f2e3d4a5/x", "/c/{id}/x"),
        ("/c/5d41402abc4b2a76b9719d911017c592.js", "/c/{id}"),
        ("/d/2026-11-29", "/d/{date}"),
        ("/d/2026-11", "/d/{date}"),
        ("/d/20261129", "/d/{date}"),
        ("/d/2026-11-29T10:00:00Z", "/d/{date}"),
        ("/u/ada%40acme.example", "/u/{email}"),
        ("/u/ada@acme.example/x", "/u/{email}/x"),
        ("/p/app@1.0.0", "/p/app@1.0.0"),
        ("/yYaUej3P42cziRVzv6T5w2aYy9po2Mrn", "/{id}"),
        ("/x/AIzaSyD-1234567890abcdefghijklmnopqrstuv", "/x/{id}"),
        ("/x/npm_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.js", "/x/{id}"),
        ("/x/eyJ2IjoiNC4xNi4xIn0=", "/x/{id}"),
        ("/x/dGVsZW1vY2s=", "/x/{id}"),
        ("/x/***/tok_0123456789abcdef01234567", "/x/{id}/{id}"),
        ("/x/" + "y" * 100, "/x/{id}"),
        ("/com.snowplowanalytics.snowplow/tp2", "/com.snowplowanalytics.snowplow/tp2"),
        ("/kots_metrics/license_instance/info", "/kots_metrics/license_instance/info"),
        ("/UsageCheck/calicoVersionCheck", "/UsageCheck/calicoVersionCheck"),
        ("/.well-known/oauth2-authorization-server", "/.well-known/oauth2-authorization-server"),
        ("/a;jsessionid=0A1B2C3D4E5F/b", "/a/b"),
        ("/api/v2/apmtelemetry", "/api/v2/apmtelemetry"),
        ("/repos/traefik/traefik/releases", "/repos/traefik/traefik/releases"),
        ("/v1/checkupgrade", "/v1/checkupgrade"),
        ("/grafana-usage-report", "/grafana-usage-report"),
        ("/x/01HZX3K5T7Q9W2E4R6Y8U0P1AS", "/x/{id}"),  # ULID
        ("/x/0ujtsYcgvSTl8PAuAdqWYSMnLOv", "/x/{id}"),  # KSUID
        ("/x/V1StGXR8_Z5jdHi6B-myT", "/x/{id}"),  # nanoid
        ("/x/ch72gsb320000udocl363eofy", "/x/{id}"),  # cuid
        ("/x/cus_NffrFeUfNV2Hib", "/x/{id}"),
        ("/x/eyJhIjoxfQ", "/x/{id}"),
        ("/x/3f2a9c1", "/x/{id}"),
        ("/x/a1b2-c3d4-e5f6", "/x/{id}"),
        ("/x/ABCD-EFGH-1234-5678", "/x/{id}"),
        ("/x/urn:uuid:7c9e6679-7425-40de-944b-e07fc1f90ae7", "/x/{id}"),
        ("/x/arn:aws:iam::123456789012:user", "/x/{id}"),
        ("/x/10.1.2.3", "/x/{ip}"),
        ("/x/192.168.0.1", "/x/{ip}"),
        ("/x/fe80::1", "/x/{ip}"),
        ("/x/2001:db8:0:0:0:0:0:1", "/x/{ip}"),
        ("/x/4.16.1.0", "/x/{version}"),
        ("/x/10.0.19041.1", "/x/{version}"),
        ("/x/52:54:00:12:34:56", "/x/{mac}"),
        ("/x/52-54-00-12-34-56", "/x/{mac}"),
        ("/x/+4915112345678", "/x/{phone}"),
        ("/x/2026-W48", "/x/{date}"),
        ("/dl/app-1.2.3.tgz", "/dl/{version}"),
        ("/x/de-DE/flags.json", "/x/{locale}/flags.json"),
        ("/x/en_US", "/x/{locale}"),
        ("/x/zh-Hant-TW", "/x/{locale}"),
        ("/check/linux/amd64/2.4.1", "/check/{os}/{arch}/{version}"),
        ("/x/darwin_arm64", "/x/{os}"),
        ("/linux-kernel/en/oauth2Callback/decade", "/linux-kernel/en/oauth2Callback/decade"),
        ("/facade/ipv6/sha256-base64", "/facade/ipv6/sha256-base64"),
        ("/v1beta1/getOAuth2Token", "/v1beta1/getOAuth2Token"),
        ("/a:b/projects:batch", "/a:b/projects:batch"),
    ],
)
def test_what_varies_has_a_name_and_words_stay(path: str, expected: str) -> None:
    assert template(path) == expected


def test_many_segments_end_in_a_star() -> None:
    assert template("/a" * 500) == "/a" * SEGMENTS + "/*"


def test_random_ids_are_few_templates() -> None:
    chosen = random.Random(7)
    letters = string.ascii_letters + string.digits
    found = {
        template(f"/o/{kind}/x")
        for _ in range(2_000)
        for kind in (
            str(chosen.randrange(10**9)),
            f"{chosen.getrandbits(160):040x}",
            "".join(chosen.choices(letters, k=32)),
            str(uuid.UUID(int=chosen.getrandbits(128), version=4)),
        )
    }
    # A random text of letters alone looks like a word: such are few, and bounded.
    assert {"/o/{id}/x"} < found and len(found) < 50


def test_templates_of_a_host_are_bounded_and_of_another_are_not_touched() -> None:
    table = RouteTable()
    word = {n: "".join(string.ascii_lowercase[int(d)] for d in str(n)) for n in range(5_000)}
    found = {table.of("", "a.test", f"/say/{word[n]}") for n in range(5_000)}
    assert len(found) == ROUTES + 1 and "/say/*" in found
    assert table.of("", "a.test", f"/say/{word[0]}") == f"/say/{word[0]}"
    assert table.of("", "a.test", "/other/word") == "/*"
    assert table.of("", "b.test", "/other/word") == "/other/word"
    assert table.of("p", "a.test", "/other/word") == "/other/word"


def test_hosts_without_end_are_forgotten() -> None:
    table = RouteTable()
    for n in range(5_000):
        assert table.of("", f"{n}.test", "/x") == "/x"
    assert len(table._known) <= 1_000


@pytest.mark.parametrize(
    "path", ["/" + "a1" * 50_000, "/" * 100_000, "/x" + "%25" * 40_000, "/\x00\x1b[31m"]
)
def test_hostile_paths_take_no_time_and_give_short_templates(path: str) -> None:
    began = time.thread_time()
    found = RouteTable().of("", "a.test", path)
    assert time.thread_time() - began < 0.1
    assert len(found) <= 1_026
