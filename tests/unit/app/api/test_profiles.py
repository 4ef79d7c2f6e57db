"""app/api/profiles.py: what sidecars fetch, and which rule takes a request."""

from app.contract import rules
from tests.serving import Served

BOOT = "feedfeedfeedfeed"


def test_profiles_for_sidecars(served: Served) -> None:
    answer = served.client.get("/api/v1/profiles")
    bundle = rules.load(answer.content)
    assert [p.id for p in bundle.rules.profiles] == ["cribl"]
    assert bundle.mask_key == (served.runtime.settings.data / "mask.key").read_bytes()
    assert len(bundle.mask_key_id) == 8
    etag = answer.headers["etag"]
    assert answer.headers["telemock-again"] == "0"  # as often as it likes
    for known in (etag, f'"x", W/{etag}'):
        again = served.client.get("/api/v1/profiles", headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
    other = served.client.get("/api/v1/profiles", headers={"if-none-match": '"other"'})
    assert other.status_code == 200


def test_explain(served: Served) -> None:
    url = "https://cdn.cribl.io/telemetry/index.html?v=1"
    found = served.client.get("/api/v1/explain", params={"url": url, "mode": "observe"}).json()
    assert (found["profile"], found["rule"], found["action"]) == ("cribl", "telemetry", "observe")
    assert len(found["considered"]) > 1
    for bad in ({"url": "nonsense://"}, {}, {"url": url, "mode": "x"}):
        assert served.client.get("/api/v1/explain", params=bad).status_code == 422
