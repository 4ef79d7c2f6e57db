from app.contract.metrics import METRICS
from app.otel.metrics import Metrics
from app.otel.recent import MINUTES, RISING, Recent, values

NAME = "telemock_inventory_new_fields_total"


def test_what_rose_in_the_last_minutes() -> None:
    at, metrics = [0.0], Metrics("app")
    metrics.add("telemock.inventory.new_fields", ("old",), 5)
    recent = Recent(metrics.registry, [NAME], lambda: at[0])
    assert recent.increase(NAME) == (0, 0)
    metrics.add("telemock.inventory.new_fields", ("old",), 2)
    metrics.add("telemock.inventory.new_fields", ("new",), 3)  # counts from zero
    at[0] = 60
    assert recent.increase(NAME) == (5, 60)
    assert recent.increase(NAME, frozenset({("telemock_profile", "new")})) == (3, 60)
    for minute in range(1, MINUTES + 3):
        at[0] = minute * 60
        recent.note()
    assert recent.increase(NAME) == (0, MINUTES * 60)
    at[0] += 10_000  # nothing was noted for long
    assert recent.increase(NAME).number == 0


def test_values_by_name_and_labels() -> None:
    metrics = Metrics("app")
    metrics.set("telemock.sidecars", 2, ("silent",))
    metrics.set("telemock.store.size", 9)
    found = values(metrics.registry, ["telemock_sidecars"])
    assert found == {("telemock_sidecars", frozenset({("telemock_state", "silent")})): 2}


def test_what_is_noted_are_metrics_of_the_app() -> None:
    ours = {row.prometheus for row in METRICS if "app" in row.of}
    assert {name.removesuffix("_total") for name in RISING} <= {
        name.removesuffix("_total") for name in ours
    }
