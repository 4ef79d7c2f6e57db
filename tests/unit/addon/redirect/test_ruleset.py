"""addon/redirect/ruleset.py: what the kernel is told; what that does is in test_main.py."""

from addon.redirect.__main__ import parse
from addon.redirect.ruleset import ruleset

HOSTS = "192.0.2.1=cdn.cribl.io,100::1=cdn.cribl.io"


def test_the_table_is_replaced_in_one_transaction_and_names_nothing_else():
    text = ruleset(parse(HOSTS), 17443)
    assert text.splitlines()[:2] == ["add table inet telemock", "delete table inet telemock"]
    assert (
        "ip daddr @hosts4 tcp dport { 80, 443 } counter name redirected4 redirect to :17443" in text
    )
    assert "elements = { 100::1 }" in text
    rules = [line.split() for line in text.splitlines() if " counter " in line and "daddr" in line]
    assert rules and all(
        rule[1:3] in (["daddr", "@hosts4"], ["daddr", "@hosts6"]) for rule in rules
    )


def test_a_family_without_addresses_is_left_out():
    text = ruleset(parse("192.0.2.1=a.example,192.0.2.2=b.example"), 1)
    assert "elements = { 192.0.2.1, 192.0.2.2 }" in text
    assert "ip6" not in text


def test_all_leaves_the_dummies_first_and_the_rest_last():
    lines = [line.strip() for line in ruleset(parse(HOSTS), 17443, (4, 6)).splitlines()]
    chain = lines[lines.index("chain to_sidecar {") + 2 :]
    assert [line.split(" counter")[0] for line in chain[:8]] == [
        "ip daddr @hosts4 tcp dport { 80, 443 }",
        "ip6 daddr @hosts6 tcp dport { 80, 443 }",
        'oifname "lo" return',
        "meta skuid 2931 return",
        "ip daddr { 169.254.0.0/16 } return",
        "meta nfproto ipv4 tcp dport { 80, 443 }",
        "ip6 daddr { fe80::/10, fd00:ec2::254, fd20:ce::254 } return",
        "meta nfproto ipv6 tcp dport { 80, 443 }",
    ]


def test_all_of_one_family_leaves_the_other_alone():
    text = ruleset([], 17443, (4,))
    assert "ipv6" not in text and "ip6" not in text


def test_a_host_s_own_ports_are_led_for_its_addresses_alone():
    dummies = parse(f"{HOSTS},192.0.2.2=b.example")
    text = ruleset(dummies, 17443, (4,), {"b.example": (61833, 4319), "elsewhere": (1,)})
    assert (
        "set ports4 { type ipv4_addr . inet_service; "
        "elements = { 192.0.2.2 . 61833, 192.0.2.2 . 4319 }; }" in text
    )
    assert "ip daddr . tcp dport @ports4 counter name redirected4 redirect to :17443" in text
    assert "ports6" not in text
    assert text.count("61833") == 1  # of all others' connections there nothing changes
