"""Values that are secrets by what they are, whatever their name: the table of detectors.

Used by the masking on every text of a record. Each row carries examples, of which a test makes sure
that the first kind is found and the second is not. `|` stands in examples where nothing does, so
that no scanner of secrets takes this file for a leak.
"""

import base64
import binascii
import string
import zlib

from app.contract.masking.detector import Detector
from app.contract.masking.issued import ISSUED

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def _base62(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits.rjust(6, "0")


def crc32(value: str) -> bool:
    """True if the last six characters are the CRC32 of those behind the prefix, as in GitHub's and
    npm's tokens. Longer ones have another form."""
    body = value.partition("_")[2]
    return len(body) != 36 or body[30:] == _base62(zlib.crc32(body[:30].encode()))


def jwt(value: str) -> bool:
    """True if its header is JSON that names an algorithm."""
    head = value.partition(".")[0]
    try:
        return b'"alg"' in base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))
    except (binascii.Error, ValueError):
        return False


def private(value: str) -> bool:
    """True if the base64 text is that of a private key; certificates begin as it does."""
    try:
        start = base64.b64decode(value[:80])
    except (binascii.Error, ValueError):
        return False
    return b"PRIVATE KEY" in start


# First digits and how many digits in all, of the networks that issue cards. Lengths that are all
# but gone are left out: counters and ids are more often so long.
_ISSUERS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (4, 4, (16,)), (51, 55, (16,)), (2221, 2720, (16,)), (34, 34, (15,)), (37, 37, (15,)),
    (6011, 6011, (16,)), (644, 659, (16,)), (3528, 3589, (16,)), (300, 305, (14,)),
    (36, 36, (14,)), (38, 39, (14,)), (62, 62, (16, 19)),
)  # fmt: skip


def card(value: str) -> bool:
    """True if an issuer gives numbers of this beginning and length, and Luhn's digit is right."""
    digits = value.replace(" ", "").replace("-", "").replace("+", "").replace("%20", "")
    if not any(
        low <= int(digits[: len(str(low))]) <= high and len(digits) in lengths
        for low, high, lengths in _ISSUERS
    ):
        return False
    doubled = (sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])
    return (sum(map(int, digits[::-2])) + sum(doubled)) % 10 == 0 and len(set(digits)) > 1


_IBAN_LENGTHS = {
    length: frozenset(countries.split())
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA",
        30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
}  # fmt: skip


def iban(value: str) -> bool:
    """True if the country's numbers have this length, and the remainder of 97 is 1."""
    plain = value.replace(" ", "").replace("+", "").replace("%20", "")
    if plain[:2] not in _IBAN_LENGTHS.get(len(plain), ()):
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


_ID = "[A-Za-z0-9_-]"
_GAP = "(?: |-|\\+|%20)"  # between the groups of a number

DETECTORS = (
    Detector(
        "private key", "-----BEGIN [A-Z0-9 ]*",
        "-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        "(?:[^-\"]|-[^-\"]|--[^-\"])*(?:-----END [A-Z0-9 ]{1,40}-----)?",
        ("-----BEGIN RSA PRI|VATE KEY-----\nMIIEcanary7890canary7890canary7890canary/=\n"
         "-----END RSA PRI|VATE KEY-----",
         "-----BEGIN PRI|VATE KEY-----\\nMIIEabc",
         "-----BEGIN PGP PRI|VATE KEY BLOCK-----\n\nlQOYBGabc"),
        ("-----BEGIN CERTIFICATE-----\nMIIEabc\n-----END CERTIFICATE-----",
         "-----BEGIN PUBLIC KEY-----\nMIIEabc"),
        alone="",
    ),
    Detector(
        "private key as base64", "LS0tLS1CRUdJTi[A-Za-z0-9]*",
        "LS0tLS1CRUdJTi[A-Za-z0-9+/]{30,}={0,2}",
        ("LS0tLS1CRUdJTiBSU0EgUFJJ|VkFURSBLRVktLS0tLQpNSUlFYWJjZGVmZ2g=",),
        ("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUVhYmNkZWZnaA==",), private,
    ),
    Detector(
        "JWT", "eyJ[A-Za-z0-9_-]{4,}",
        # {" or, with blanks, { "
        f"e(?:yJ|yA|wo|w0){_ID}{{8,}}\\.{_ID}*(?:\\.{_ID}*){{0,3}}",
        ("eyJhbGciOiJIUzI1NiJ9|.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLWNhbmFyeQ",
         "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0|.eyJzdWIiOiIxIn0."),
        ("eyJ2IjoiNC4xNi4xIn0.eyJhIjoxfQ", "eyJ2IjoiNC4xNi4xIn0"), jwt,
    ),
    Detector(
        "AWS access key", "A[SKBC][IC]A[A-Z2-7]{4,}", "(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}",
        ("AKIA|IOSFODNN7EXAMPLE", "ASIA|Y34FZKBOKMUTVV7A"),
        ("AKIA", "AIDA" "IOSFODNN7EXAMPLE", "XAKIAIOSFODNN7EXAMPLES", "akiaiosfodnn7example"),
    ),
    Detector(
        "Google API key", "AIza", f"AIza{_ID}{{35}}",
        ("AIza|SyA1234567890abcdefghijklmnopqrstuv",), ("AIzaSyA1234567890", "AIza"),
    ),
    Detector(
        "Google OAuth", "(?:ya29\\.|GOCSPX-|1//0)",
        f"(?:ya29\\.{_ID}{{20,}}|GOCSPX-{_ID}{{20,}}|1//0{_ID}{{40,}})",
        ("ya29|.a0AfH6SMBx-canary_1234567", "GOCSPX-|canary1234567890abcdefghij"),
        ("ya29.short", "1//0", "GOCSPX"),
    ),
    Detector(
        "Azure storage key", "", "[A-Za-z0-9+/]{76}\\+ASt[A-Za-z0-9+/]{6}==",
        ("c2FuYXJ5" * 9 + "|abcd+ASt" "abcdef==",),
        ("c2FuYXJ5" * 9 + "abcd+XYZabcdef==", "+AStabcdef=="),
        alone="", hint="\\+ASt[A-Za-z0-9+/]{6}==",
    ),
    Detector(
        "Azure client secret", "", "[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}",
        ("abc|8Q~canary1234567890canary1234567890",), ("abc8Q~short", "8Q~"),
    ),
    Detector(
        "GitHub token", "(?:gh[pousr]_|github_pat_)",
        "(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})",
        ("ghp|_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17",
         "github_pat|_11ABCDEFG0abcdefghijkl_" + "canary7890" * 5 + "canary789"),
        ("ghp_" + "x" * 36, "ghp_short", "github_pat_11"), crc32,
    ),
    Detector(
        "GitLab token", "gl[a-z]{2,6}-",
        f"gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|oas|soat|ffct)-{_ID}{{20,}}"
        "(?:\\.[a-z0-9.]{2,24})?",
        ("glpat-|canary_1234567890abc", "glrt-|canary1234567890abcd"),
        ("glpat-short", "global-configuration-of-the-thing"),
    ),
    Detector(
        "Slack token", "(?:xox[a-z]-|xapp-)",
        "(?:xox[abceoprs](?:\\.xox[a-z])?|xapp)-[A-Za-z0-9-]{10,}",
        ("xox|b-123456789012-canaryCANARY", "xapp-|1-A012-345-canary"), ("xoxo-kisses", "xoxb-1"),
    ),
    Detector(
        "Slack webhook", "hooks\\.slack\\.com",
        "hooks\\.slack\\.com(?:/|\\\\/|%2F)(?:services|workflows|triggers)(?:/|\\\\/|%2F)"
        "[A-Za-z0-9/\\\\%]{20,}",
        ("hooks.slack.com/ser|vices/T0123ABCD/B0123ABCD/canaryCANARY012345678901",),
        ("hooks.slack.com/services/", "slack.com/services/T0123ABCD/B0123ABCD"),
    ),
    Detector(
        "Stripe key", "(?:[rs]k_(?:live|test)_|whsec_)",
        "(?:[rs]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/]{20,}=*)",
        ("sk_|live_canary1234567890abcdef", "rk_|test_canary1234567890",
         "whsec|_canary1234567890abcdef"),
        ("pk_live_canary1234567890abcdef", "sk_live_1", "task_test_canary1234567890"),
    ),
    Detector(
        "Sentry token", "sntr[a-z]{2}_",
        "sntr(?:ys_eyJ[A-Za-z0-9+/=_-]{20,}|y[ua]_[0-9a-f]{64})",
        ("sntryu|_" + "0123abcd" * 8, "sntrys|_eyJpYXQiOjE3MDAwMDAwMDB9_canarycanary"),
        ("sntryu_0123", "sentry_1234567890"),
    ),
    Detector(
        "Segment token", "sgp_", "sgp_[A-Za-z0-9]{60,}",
        ("sgp|_" + "canary7890" * 6,), ("sgp_short",),
    ),
    Detector(
        "PostHog personal key", "ph[xs]_", "ph[xs]_[A-Za-z0-9]{40,}",
        ("phx|_" + "canary7890" * 4 + "abc",), ("phx_short", "phc_" + "canary7890" * 4),
    ),
    Detector(
        "OpenAI or Anthropic key", "sk-",
        f"sk-(?:ant-{_ID}{{20,}}|(?:proj|svcacct|admin)-{_ID}{{20,}}"
        "|[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20})",
        ("sk-|ant-api03-canary1234567890abcdef", "sk-|proj-canary1234567890abcdef",
         "sk-|canary7890canary7890T3BlbkFJcanary7890canary7890"),
        ("sk-ant", "risk-proj-canary1234567890abcdef", "sk-learn-1.5.0"),
    ),
    Detector(
        "Hugging Face token", "hf_", "hf_[A-Za-z]{34}",
        ("hf|_canaryCANARYcanaryCANARYcanaryABCD",), ("hf_hub_download", "hf_1"),
    ),
    Detector(
        "npm token", "npm_", "npm_[A-Za-z0-9]{36}",
        ("npm|_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17",), ("npm_config_registry", "npm_" + "x" * 36),
        crc32,
    ),
    Detector(
        "PyPI token", "pypi-Ag", f"pypi-AgE[A-Za-z0-9]{{3,13}}{_ID}{{50,}}",
        ("pypi-|AgEIcHlwaS5vcmc" + "canary7890" * 6,), ("pypi-AgE", "pypi-server"),
    ),
    Detector(
        "Docker token", "dckr_", f"dckr_(?:pat|oat)_{_ID}{{20,}}",
        ("dckr|_pat_canary1234567890abcdef",), ("dckr_pat_1",),
    ),
    Detector(
        "DigitalOcean token", "do[opr]_v1_", "do[opr]_v1_[a-f0-9]{64}",
        ("dop|_v1_" + "0123abcd" * 8,), ("dop_v1_0123",),
    ),
    Detector(
        "SendGrid key", "SG\\.[A-Za-z0-9_-]{10}", f"SG\\.{_ID}{{22}}\\.{_ID}{{43}}",
        ("SG|.canary7890canary7890ab.canary7890canary7890canary7890canary7890abc",),
        ("SG.canary", "MSG.canary7890canary7890ab.c"),
    ),
    Detector(
        "Twilio key", "", "SK[0-9a-f]{32}",
        ("SK|0123456789abcdef0123456789abcdef",), 
        ("SK0123", "DESK0123456789abcdef0123456789abcdef"),
    ),
    Detector(
        "Grafana token", "gl(?:sa|c)_",
        "gl(?:sa_[A-Za-z0-9]{32}_[0-9a-f]{8}|c_eyJ[A-Za-z0-9+/=]{32,})",
        ("glsa|_canary7890canary7890canary7890ab_0123abcd",
         "glc|_eyJvIjoiMSIsIm4iOiJjYW5hcnkiLCJrIjoiY2FuYXJ5In0"),
        ("glsa_short", "glc_1"),
    ),
    Detector(
        "Vault token", "hv[sbr]\\.", f"hv[sbr]\\.{_ID}{{20,}}",
        ("hvs|.canary1234567890abcdefgh",), ("hvs.short",),
    ),
    Detector(
        "Terraform token", "", "[A-Za-z0-9]{14}\\.atlasv1\\.[A-Za-z0-9_=-]{60,}",
        ("canary7890abcd|.atlasv1." + "canary7890" * 6 + "abc",), ("x.atlasv1.y",),
    ),
    Detector(
        "Databricks token", "dapi[0-9a-f]{4}", "dapi[0-9a-f]{32}(?:-[0-9])?",
        ("dapi|0123456789abcdef0123456789abcdef",), ("dapi0123", "dapix"),
    ),
    Detector(
        "New Relic key", "NRAK-", "NRAK-[A-Z0-9]{27}",
        ("NRAK-|CANARY7890CANARY7890ABCDEFG",), ("NRAK-1", "NRAK"),
    ),
    Detector(
        "New Relic licence", "", "[0-9a-f]{36}NRAL",
        ("0123abcd" * 4 + "0123|NRAL",), ("NRAL", "0123abcdNRAL"),
    ),
    Detector(
        "Shopify token", "shp[a-z]{2}_", "shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
        ("shpat|_0123456789abcdef0123456789abcdef",), ("shpat_0123",),
    ),
    Detector(
        "age key", "AGE-SECRET-KEY-", "AGE-SECRET-KEY-1[0-9A-Z]{58}",
        ("AGE-SECRET-KEY-|1" + "CANARY7890" * 5 + "ABCDEFGH",), ("AGE-SECRET-KEY-1",),
    ),
    Detector(
        "Telegram token", "", "[0-9]{8,10}:AA[A-Za-z0-9_-]{33}",
        ("123456789|:AAcanary7890canary7890canary7890abc",), ("12345678:AA", "1234567890:30:00"),
    ),
    Detector(
        "card number", "[2-6][0-9]{5}[0-9 +-]*",
        "(?:[2-6][0-9]{13,18}"
        f"|[2-6][0-9]{{3}}(?:{_GAP}[0-9]{{4}}){{3}}(?:{_GAP}[0-9]{{1,3}})?"
        f"|3[0-9]{{3}}{_GAP}[0-9]{{6}}{_GAP}[0-9]{{4,5}})",
        ("4111 1111 |1111 1111", "4242|424242424242", "3782-822463-1|0005", "5555|555555554444",
         "6011|000990139424", "2223|003122003222", "3530|111333300000", "36|227206271667"),
        ("4111111111111112", "4222222222222", "4845780781075913728", "1700000000000",
         "1700000000000000000", "4444444444444444",
         "0.4242424242424242", "4242424242424242.5", "0000000000000000", "42424242424242",
         "4242424242424242e3", "a-4242424242424242-b"),
        card, "number",
    ),
    Detector(
        "IBAN", "[A-Z]{2}[0-9]{2}[A-Z0-9]{4,}",
        "[A-Z]{2}[0-9]{2}(?:[A-Z0-9]{11,29}"
        f"|(?:{_GAP}[A-Z0-9]{{4}}){{2,7}}(?:{_GAP}[A-Z0-9]{{1,3}})?)",
        ("DE89|370400440532013000", "GB82 WEST |1234 5698 7654 32", "NO93|86011117947",
         "FR14|20041010050500013M02606"),
        ("DE88370400440532013000", "DE8937040044053201300", "XX89370400440532013000", "AB12CDEF"),
        iban,
    ),
    *ISSUED,
)  # fmt: skip
