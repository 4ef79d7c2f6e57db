"""addon/target/egress.py: what the setting may say; what goes through the proxy is in
tests/integration/test_sidecar_pod.py."""

import base64

import pytest

from addon.target.egress import Egress, parse


def test_what_it_may_say() -> None:
    assert parse("http://proxy.example:3128") == Egress(("proxy.example", 3128))
    assert parse("http://[fd00::1]:3128/") == Egress(("fd00::1", 3128))
    found = parse("http://user:p%40ss%3A@proxy.example:3128")
    assert found.address == ("proxy.example", 3128)
    scheme, _, encoded = found.authorization.partition(" ")
    assert (scheme, base64.b64decode(encoded)) == ("Basic", b"user:p@ss:")


@pytest.mark.parametrize(
    "url",
    [
        "proxy:3128",
        "https://user:hunter2@proxy:3128",
        "socks5://user:hunter2@proxy:1080",
        "http://user:hunter2@proxy",
        "http://user:hunter2@proxy:port",
        "http://user:hunter2@:3128",
        "http://user:hunter2@proxy:3128/path",
    ],
)
def test_a_wrong_one_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="http://HOST:PORT") as e:
        parse(url)
    assert "hunter2" not in str(e.value)
