"""Resources of our containers, by value and by annotation."""

import json
from decimal import Decimal

import pytest

from app.contract import names
from app.inject import inject
from app.inject.resources import LEAST, Resources, changed, parse, problems, quantity
from app.inject.settings import REDIRECT_RESOURCES, RESOURCES
from tests.unit.app.inject.test_pod import settings, with_meta

RELEASE = Resources(dict(RESOURCES), dict(REDIRECT_RESOURCES))


@pytest.mark.parametrize(
    ("text", "found"),
    [("20m", "0.02"), ("64Mi", 64 << 20), ("1", 1), (2, 2), ("0.5", "0.5"), ("1e3", 1000),
     ("1k", 1000), ("1Gi", 1 << 30)],
)  # fmt: skip
def test_quantities(text: object, found: object) -> None:
    assert quantity(text) == Decimal(str(found))


@pytest.mark.parametrize("text", ["", "x", "1KiB", "-1", "NaN", "Infinity", None, True, [], "1 Mi"])
def test_what_is_no_quantity(text: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        quantity(text)


def test_both_containers_at_once_or_one() -> None:
    both = changed('{"limits": {"cpu": "200m"}}', RELEASE)
    assert both.sidecar["limits"] == {"memory": "192Mi", "cpu": "200m"}
    assert both.redirect["limits"] == {"memory": "128Mi", "cpu": "200m"}
    assert both.sidecar["requests"] == RESOURCES["requests"]
    one = changed('{"limits": {"cpu": 1}, "redirect": {"requests": {"cpu": "50m"}}}', RELEASE)
    assert one.sidecar["requests"]["cpu"] == "20m"
    assert one.redirect["requests"] == {"cpu": "50m", "memory": "32Mi"}
    assert one.sidecar["limits"]["cpu"] == one.redirect["limits"]["cpu"] == 1


def test_null_takes_an_entry_away() -> None:
    bare = changed('{"sidecar": {"limits": {"memory": null}, "requests": {"cpu": null}}}', RELEASE)
    assert bare.sidecar == {"requests": {"memory": "64Mi"}}
    assert bare.redirect == RELEASE.redirect


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("200m", "expected a JSON object"),
        ("[]", "expected a JSON object"),
        ("{}", "expected a JSON object"),
        ("[" * 100_000, "expected a JSON object"),
        ('{"limit": {}}', "'limit' is not requests, limits, sidecar or redirect"),
        ('{"limits": 1}', "limits holds 1"),
        ('{"limits": {"gpu": 1}}', "limits holds 'gpu', expected cpu, memory"),
        ('{"sidecar": {"cpu": 1}}', "'cpu' is not requests or limits"),
        ('{"sidecar": 3}', "3 is no JSON object"),
        ('{"limits": {"cpu": "much"}}', "much"),
        ('{"limits": {"cpu": "20m"}}', "the sidecar needs a cpu limit of 50m or more, not 20m"),
        ('{"limits": {"memory": "64Mi"}}', "needs a memory limit of 96Mi or more, not 64Mi"),
        ('{"requests": {"memory": "1Gi"}}', "requests 1Gi of memory, more than its limit 192Mi"),
    ],
)
def test_what_is_refused_says_why(text: str, words: str) -> None:
    with pytest.raises(ValueError) as refused:
        changed(text, RELEASE)
    assert words in str(refused.value)


def test_a_setting_is_the_whole() -> None:
    assert parse('{"requests": {"cpu": "1m"}}', "sidecar") == {"requests": {"cpu": "1m"}}
    for text in ('{"limits": {"memory": "8Mi"}}', "[]", "x", '{"requests": 1}'):
        with pytest.raises(ValueError, match=r"\w"):
            parse(text, "sidecar")


def test_what_we_give_ourselves_is_without_a_problem() -> None:
    for name, own in RELEASE._asdict().items():
        assert list(problems(name, own)) == []
        assert LEAST[name]


def test_the_pod_s_annotation_reaches_both_containers() -> None:
    text = json.dumps({"limits": {"cpu": "300m"}, "sidecar": {"requests": {"memory": "80Mi"}}})
    done = inject(with_meta(annotations={names.ANNOTATION_RESOURCES: text}), settings())
    sidecar, redirect = done.pod["spec"]["initContainers"][:2]
    assert sidecar["resources"] == {
        "requests": {"cpu": "20m", "memory": "80Mi"},
        "limits": {"memory": "192Mi", "cpu": "300m"},
    }
    assert redirect["resources"]["limits"] == {"memory": "128Mi", "cpu": "300m"}


def test_the_release_s_choice_for_the_redirect() -> None:
    own = {"requests": {"cpu": "1m"}, "limits": {"memory": "99Mi"}}
    done = inject(with_meta(), settings(redirect_resources=own))
    assert done.pod["spec"]["initContainers"][1]["resources"] == own
