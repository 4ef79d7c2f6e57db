"""The tables of names hold together."""

from app.contract.classes import CLASSES
from app.store.class_rules import PROTOCOL, RULES, B, N, S


def test_rules_are_of_known_classes_and_say_different_things() -> None:
    assert {rule.id for rule in RULES} <= CLASSES.keys()
    assert all(0 < rule.confidence <= 1 and {*rule.types} <= {S, N, B} for rule in RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.ends or rule.whole or rule.words for rule in RULES)


def test_headers_of_the_protocol_tell_of_nobody() -> None:
    assert not PROTOCOL & {"authorization", "cookie", "user-agent", "x-forwarded-for", "referer"}
    assert all(name == name.lower() for name in PROTOCOL)
