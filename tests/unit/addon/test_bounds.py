"""addon/bounds.py: one table, from which the settings, the counter and the reasons come."""

from dataclasses import fields

import pytest

from addon import options
from addon.bounds import BOUNDS, REASON, Bounds
from addon.diagnostics.metrics import Measure
from app.contract.record import REASONS
from app.contract.rules import RuleSet
from app.contract.settings import SettingError
from app.otel.metrics import Metrics
from tests.sidecar import ROOT


def test_each_row_is_a_field_a_setting_and_a_reason() -> None:
    assert [row.id for row in BOUNDS] == [field.name for field in fields(Bounds)]
    assert {row.setting for row in BOUNDS} <= {row.name for row in options.SETTINGS}
    assert set(REASON.values()) <= set(REASONS)


def test_each_default_can_be_read_and_each_setting_reaches_its_field() -> None:
    defaults = options.load({}).bounds
    assert (defaults.connections, defaults.held, defaults.answer) == (400, 24 << 20, 10)
    other = {"number": "77", "64KiB": "77KiB", "seconds": "7.5"}
    for row in BOUNDS:
        value = next(v for start, v in other.items() if start in row.wanted)
        changed = options.load({row.setting: value}).bounds
        differing = {f.name for f in fields(Bounds)
                     if getattr(changed, f.name) != getattr(defaults, f.name)}  # fmt: skip
        assert differing == {row.id}


@pytest.mark.parametrize("row", BOUNDS, ids=lambda row: row.id)
@pytest.mark.parametrize("value", ["0", "-1", "many", "1e9", "nan"])
def test_none_can_be_switched_off(row: object, value: str) -> None:
    setting = getattr(row, "setting", "")
    with pytest.raises(SettingError, match=setting):
        options.load({setting: value})


def test_each_is_counted_from_zero() -> None:
    metrics = Metrics("sidecar")
    Measure(metrics, lambda: RuleSet(())).begin()
    shown = metrics.render().decode()
    for row in BOUNDS:
        assert f'telemock_bounds_exceeded_total{{telemock_bound="{row.id}"}} 0' in shown


def test_the_documentation_has_each_row() -> None:
    text = (ROOT / "docs/security/bounds.md").read_text()
    for row in BOUNDS:
        expected = (
            f"| `{row.id}` | `{row.setting}` | `{row.default}` | `{row.reason}` | {row.help} |"
        )
        assert expected in text, "cog -r docs/security/bounds.md"
