"""A HAR file of everything odd that was captured opens in the importers of Chromium and Firefox."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.contract.record import Body, Endpoint, encode
from app.report.har import har
from tests.browsers import in_chromium, in_firefox
from tests.records import exchange, log, spliced

EVIL = '\x1b]0;owned\x07 <b>\u202e#?\\\n"%zz'
RECORDS = [
    exchange(1),
    exchange(2, method=EVIL, host=EVIL, path=EVIL, query=[(EVIL, EVIL)], headers=[(EVIL, EVIL)]),
    exchange(3, host="", path="", headers=[]),
    exchange(4, host="999.1.2.3", body=Body(base64="/wA=", size=2)),
    exchange(5, host="::1", body=Body(size=9, withheld="encoding")),
    exchange(6, host="xn--zz", headers=[("cookie", "=; a"), ("Cookie", ";;")]),
    exchange(7, kind="failed", reason="upstream_failed", response=None),
    exchange(8, time_ns=0, duration_ns=0, destination=Endpoint(address="fe80::1%eth0", port=0)),
    exchange(9, status=0, time_ns=2**62),
    spliced(10),
    log(11, "a line"),
]


@pytest.mark.parametrize("importer", [in_chromium, in_firefox])
def test_every_request_is_taken(importer: Callable[[str, Path], list[str]], tmp_path: Path) -> None:
    written = b"".join(har(map(encode, RECORDS))).decode()
    urls = [entry["request"]["url"] for entry in json.loads(written)["log"]["entries"]]
    assert len(urls) == 9
    # Chromium's sorts them by time.
    assert sorted(importer(written, tmp_path / "profile")) == sorted(urls)


@pytest.mark.parametrize("importer", [in_chromium, in_firefox])
def test_what_is_no_har_is_refused(
    importer: Callable[[str, Path], list[str]], tmp_path: Path
) -> None:
    with pytest.raises(AssertionError):
        importer('{"log": 7}', tmp_path / "profile")
