"""The shape of a value, whatever its name; values that only look like something have none."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.store.shapes import SHAPES, number_shape, shape_of

LOOKS = {
    "email": ["jo@example.com", "Jo <jo@example.com>", "a@x.com, b@y.org", "mailto:a@x.com",
              "ask jo@example.com, please", "jo@1and1.com", "jörg@example.de"],
    "package": ["app@1.0.0", "@scope/pkg@1.2.3", "git@1.2", "app@1.0.0-rc.beta", "a@v2",
                "npm:@scope/pkg@1.2.3",
                "curl/8.1", "ruby-3.2.2",
                "pkg:npm/left-pad@1.0.0"],
    "ip": ["10.0.0.1", "10.0.0.1:80", "10.0.0.0/8", "::1", "[::1]:80", "2001:db8::/32",
           "jo@10.0.0.1", "fe80::1%eth0", "[fe80::1%eth0]:80", "::ffff:10.0.0.1",
           "10.0.0.1, ::1"],
    "repository": ["git@github.com:x/y.git", "https://github.com/x/y.git", "ssh://git@h/x/y.git"],
    "guid": ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "user_01h455vb4pex5vsknk084sn02q",
             "urn:uuid:f47ac10b-58cc-4372-a567-0e02b2c3d479"],
    "version": ["1.2.3-rc.1+5", "go1.22.1", "1.0.0rc1", "1.2.3.dev0+g12", "^1.2.3"],
    "timestamp": ["Fri, 02 Jan 2026 03:04:05 GMT"],
    "mac": ["00:1A:2B:3C:4D:5E:6F:70", "001A.2B3C.4D5E", "0:1a:2b:3c:4d:5e",
            "02:42:ac:11:00:02", "02-42-AC-11-00-02", "0242.ac11.0002"],
    "home": ["/home/jo", "/Users/jo/x", "C:\\Users\\jo", "C:/Users/jo/x", "file:///home/jo/x",
             "at /home/jo/x.js:3", "--x=/home/jo/y", "/var/home/jo", "/mnt/c/Users/jo",
             "/c/Users/jo/x",
             "(/Users/jo/a b)"],
    "path": ["/root", "/usr/bin/python", "~/x", "C:\\Program Files\\x", "/home/", "/Users/Shared/x",
             "C:/Users/Public/x", "\\\\server\\share"],
    "url": ["https://x.com/home/page", "ssh://git@github.com/x", "http://h:80/x@y"],
    "credentials": ["postgres://u:p@h/db", "https://***@h/x", "https://u:***@h",
                    "https://0123456789abcdef0123456789abcdef@o1.ingest.sentry.io/2"],
    "host": ["jos-mac.local", "db.corp.internal", "DESKTOP-4QK2ABC", "Jos-MacBook-Pro",
             "ip-10-0-0-1", "i-0abcdef1234567890", "a.svc.cluster.local"],
    "place": ["Europe/Berlin", "America/Argentina/Buenos_Aires", "52.5200,13.4050"],
    "phone": ["+491701234567", "+49 30 1234567", "+1 (202) 555-0123"],
    "account": ["arn:aws:iam::123456789012:user/jo"],
    "platform": ["linux", "darwin/arm64", "x86_64", "Windows_NT"],
    "text": ["the quick brown fox", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"],
    "": ["icon@2x.png", "git@github.com", "react@next.js", "a@b", "12:30:45", "999.1.2.3", "a::b",
         "std::io", "20-11-29-10-20-30", "localhost", "stats.grafana.org", "index.html", "Asia/x",
         "gzip, deflate, br", "user.login", "10.0.0.1, x", "GMT",
         "01ARZ3NDEKTSV4RRFFQ69G5FAU"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "shape"), [(value, shape) for shape, values in LOOKS.items() for value in values]
)
def test_looks(value: str, shape: str) -> None:
    assert shape_of(value) == shape


@given(st.text(max_size=500))
def test_any_text_has_a_shape(value: str) -> None:
    assert shape_of(value) in SHAPES


@pytest.mark.parametrize(
    "piece", ["a", "a@", "a.", "@a.", "/home/", ":", "1.", "a:", " a", "\\", "-", "a-", "(", "<a"]
)
def test_no_text_takes_long(piece: str) -> None:
    value = piece * (100_000 // len(piece))
    start = time.thread_time()
    shape_of(value)
    assert time.thread_time() - start < 0.05


def test_numbers() -> None:
    assert number_shape(1.7e9) == number_shape(1.7e12) == "timestamp" and number_shape(12) == ""
