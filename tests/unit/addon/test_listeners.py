"""addon/listeners.py: where redirected connections arrive, and for which hosts."""

import pytest

from addon.options import load
from app.contract.record import Endpoint
from app.contract.settings import SettingError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TELEMOCK_TRANSPARENT", "17443"),
        ("TELEMOCK_TRANSPARENT", "0.0.0.0:17443"),
        ("TELEMOCK_TRANSPARENT", "[::]:17443"),
        ("TELEMOCK_LOOPBACK", "127.0.0.2"),
        ("TELEMOCK_LOOPBACK", "192.0.2.1=cdn.cribl.io"),
        ("TELEMOCK_LOOPBACK", "localhost=cdn.cribl.io"),
        ("TELEMOCK_HOSTS", "192.0.2.1"),
    ],
)
def test_a_wrong_value_is_named_with_a_remedy(name: str, value: str) -> None:
    with pytest.raises(SettingError) as e:
        load({name: value})
    assert name in str(e.value) and repr(value) in str(e.value)
    assert "\n\nhint: " in str(e.value)


def test_values_as_the_injector_writes_them() -> None:
    found = load({
        "TELEMOCK_TRANSPARENT": "127.0.0.1:17443, [::1]:17443",
        "TELEMOCK_HOSTS": "[fd00::1]=CDN.cribl.io.",
        "TELEMOCK_LOOPBACK": "127.0.0.2=a.example,127.0.0.3=b.example",
    })  # fmt: skip
    assert found.transparent == (Endpoint("127.0.0.1", 17443), Endpoint("::1", 17443))
    assert found.hosts == {"fd00::1": "cdn.cribl.io"}
    assert found.loopback == {"127.0.0.2": "a.example", "127.0.0.3": "b.example"}
