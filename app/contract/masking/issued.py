"""Tokens that begin with their issuer's sign, keys without a line BEGIN, and hashes of passwords:
rows of the table of detectors.

A word behind a short prefix is a token where its letters are drawn by lot, whoever issued it. The
other rows are for what is shorter, or of fewer letters.
"""

import re
from itertools import pairwise

from app.contract.masking.coded import begins
from app.contract.masking.detector import Detector

_LOT = 0.45  # of two neighbours drawn by lot from 62, 63 in 100 differ in kind; in camelCase 30
_KINDS = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZbcdefghijklmnopqrstuvwxyz123456789", "A" * 26 + "a" * 25 + "0" * 9
)
# Sums, and keys that are meant for everybody.
_PUBLIC = re.compile(r"(?:sha[0-9]+|md5|h1|spki|pk|phc|pub\w*|nonce|etag)[_.-]", re.IGNORECASE)


def by_lot(value: str) -> bool:
    """True if the longest part of a token is drawn by lot from capitals, small letters and digits,
    which no name, path or hexadecimal sum is."""
    kinds = max(re.split("[_.-]", value), key=len).translate(_KINDS)
    changes = sum(a != b for a, b in pairwise(kinds))
    if begins(value[:32]) or _PUBLIC.match(value):  # URL-safe base64 of a text
        return False
    drawn = changes >= _LOT * len(kinds) and len(re.findall("0+", kinds)) > 1
    return drawn and len(set(kinds)) == 3


def product_key(value: str) -> bool:
    """True if all groups but one have letters and digits, which words and numbers have not."""
    groups = value.split("-")
    return sum(not g.isalpha() and not g.isdigit() for g in groups) >= len(groups) - 1


_ID = "[A-Za-z0-9_-]"
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LINES = "(?:(?:\\s|\\\\[nr])+[A-Za-z0-9+/=]{20,})*"  # more lines of base64
_DRAWN = "x7Qb2Lk9Zt4Rv1Wm" * 2 + "P3nY8s"

ISSUED = (
    Detector(
        "token with a prefix", "",
        "(?:[a-z][a-z0-9]{1,11}"
        "|[A-Z][A-Z0-9]{1,11})(?:[_.-][A-Za-z0-9]{1,24}){0,3}[_.-][A-Za-z0-9]{32,}",
        ("gsk|_" + _DRAWN, "tskey-|auth-k1CNTRL-" + _DRAWN, "dp.|st.prd." + _DRAWN),
        ("pk_live_" + _DRAWN, "sha256-" + _DRAWN, "build-" + "0123456789abcdef" * 2,
         "my-service-ThisIsTheVeryLongNameOfAClassV2Builder",
         "_gsk_" + _DRAWN, "gsk_" + _DRAWN[:30]),
        by_lot, "token", "[_.-][A-Za-z0-9]{32}",
    ),
    Detector(
        "key sk-", "", f"sk-(?:[a-z0-9]{{1,8}}-){{0,3}}(?:[0-9a-f]{{32,64}}|{_UUID})",
        ("sk-|or-v1-" + "0123abcd" * 8, "sk-|" + "0123abcd" * 4,
         "sk-|lf-0123abcd-0123-0123-0123-0123456789ab"),
        ("sk-0123", "risk-" + "0123abcd" * 4), None, "token",
    ),
    Detector(
        "token in hexadecimal", "",
        "(?:(?:key|pul|bkua|rubygems|sbp|lsv2_pt|lsv2_sk|xkeysib|PMAK|NRAA|NRJS)[_-][0-9a-f]{19,64}"
        "(?:[_-][A-Za-z0-9]{10,40})?|[0-9a-f]{32}-us[0-9]{1,2}"
        "|dt0c[0-9]{2}\\.[A-Z0-9]{24}\\.[A-Z0-9]{64}"
        "|st(?:\\.[0-9a-f]{24,32}){3}|pat[A-Za-z0-9]{14}\\.[0-9a-f]{64}"
        f"|[0-9]/[0-9]{{16}}(?:/[0-9]{{16}})?:[0-9a-f]{{32}}|access-(?:sandbox|development"
        f"|production)-{_UUID}"
        "|access_token\\$(?:production|sandbox)\\$[0-9a-z]{16}\\$[0-9a-f]{32}"
        "|v1\\.0-[0-9a-f]{24}-[0-9a-f]{146})",
        ("key-|" + "0123abcd" * 4, "0123abcd" * 4 + "|-us12", "PMAK-|" + "0123abcd" * 3,
         "access-|production-0123abcd-0123-0123-0123-0123456789ab"),
        ("key-0123", "cache-key-" + "0123abcd" * 4, "0123abcd" * 4 + "-eu1"), None, "token",
        "(?:(?:key|pul|bkua|rubygems|sbp|lsv2_pt|lsv2_sk|xkeysib|PMAK|NRAA|NRJS)[_-][0-9a-f]{8}"
        "|[0-9a-f]{4}-us[0-9]|dt0c[0-9]{2}\\.|st\\.[0-9a-f]{8}|pat[A-Za-z0-9]{14}\\.|/[0-9]{16}[/:]"
        "|access-(?:sandbox|development|production)-|access_token\\$|v1\\.0-[0-9a-f]{8})",
    ),
    Detector(
        "token with a sign", "",
        "(?:AKCp[0-9A-Za-z]{60,}|oy2[a-z0-9]{43}|GR1348941[A-Za-z0-9_-]{20}|glwt-[A-Za-z0-9_-]{20,}"
        "|cio[A-Za-z0-9]{32}|EAA[A-Za-z0-9]{60,}|A21AA[A-Za-z0-9_-]{80,}"
        "|AT[AC]TT3[A-Za-z0-9_=-]{80,}"
        "|ATBB[A-Za-z0-9]{32}|HRKU-[A-Za-z0-9_-]{30,}|FlyV1 fm[0-9]_[A-Za-z0-9+/=_,-]{60,}"
        "|CLOJARS_[a-z0-9]{60}|CCIPAT_[A-Za-z0-9]{22}_[0-9a-f]{40}"
        "|re_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}"
        "|NRII-[A-Za-z0-9_-]{32}|hcaik_[a-z0-9]{50,}|napi_[a-z0-9]{60,}|sq0(?:atp"
        "|csp)-[A-Za-z0-9_-]{22,}"
        "|sk_org_(?:live|test)_[A-Za-z0-9]{20,}|xoxd-[A-Za-z0-9%+/=-]{40,}|xwfp-[A-Za-z0-9-]{20,}"
        "|sb_secret_[A-Za-z0-9_-]{20,}|api_org_[A-Za-z]{34}|ops_eyJ[A-Za-z0-9_=-]{100,}"
        "|ABSK[A-Za-z0-9+/]{100,}=*|amzn\\.mws\\." + _UUID + "|eyJrIjoi[A-Za-z0-9+/=]{40,}"
        f"|[MNO][A-Za-z0-9_-]{{23,27}}\\.{_ID}{{6}}\\.{_ID}{{27,38}}"
        "|[xyzt]prv[1-9A-Za-z0]{100,})",
        ("AKCp|8" + "canary7890" * 6, "NRII-|" + "canary7890" * 3 + "ab",
        "glwt-|canary1234567890abcd"),
        ("AKCp8", "oy2k", "EAAB", "cio" + "x" * 40, "NRII-short"), None, "token",
        "(?:AKCp|oy2[a-z0-9]{8}|GR1348941|glwt-|cio[A-Za-z0-9]{8}|EAA[A-Za-z0-9]{8}|A21AA"
        "|AT[AC]TT3|ATBB"
        "|HRKU-|FlyV1 |CLOJARS_|CCIPAT_|re_[A-Za-z0-9]{8}_|NRII-|hcaik_|napi_|sq0(?:atp"
        "|csp)-|sk_org_|xoxd-"
        "|xwfp-|sb_secret_|api_org_|ops_eyJ|ABSK|amzn\\.mws|eyJrIjoi"
        "|\\.[A-Za-z0-9_-]{6}\\.[A-Za-z0-9_-]{8}"
        "|[xyzt]prv)",
    ),
    Detector(
        "Azure key", "",
        "[A-Za-z0-9+/]{30,80}(?:JQQJ9[9DH]|\\+A(?:Eh|Io|CR|Ba|MC|RM)|Az(?:Se|Fu)|ACDb)"
        "[A-Za-z0-9+/]{3,34}={0,2}",
        ("canary7890" * 5 + "ab|JQQJ99" + "canary7890" * 2, "canary7890" * 3 + "abc|+AEhcanary="),
        ("JQQJ99", "canary7890" * 5 + "JQQJ11" + "canary7890"), None, "token",
        "(?:JQQJ9[9DH]|\\+A(?:Eh|Io|CR|Ba|MC|RM)|Az(?:Se|Fu)|ACDb)[A-Za-z0-9+/]{3}",
    ),
    Detector(
        "webhook", "(?:discord(?:app)?\\.com|webhook\\.office\\.com)",
        "(?:discord(?:app)?\\.com/api/webhooks/"
        "|webhook\\.office\\.com/webhookb2/)[A-Za-z0-9/@_-]{20,}",
        ("discord.com|/api/webhooks/123456789012345678/canary7890",),
        ("discord.com/api/webhooks/", "discord.com/api/v10/channels"),
    ),
    Detector(
        "private key without a line BEGIN", "",
        "(?:MII[A-Z][A-Za-z0-9+/]{2}IBADANBgkqhki|MII[A-Z][A-Za-z0-9+/]{2}IBAAKC[A-Z]"
        "|MI[A-Z][A-Za-z0-9]AgEAM[A-Za-z0-9]{2}GByqGSM49|MC4CAQAwBQYDK2V|MHcCAQEEI|MIGkAgEBBD"
        "|b3BlbnNzaC1rZXktdjE|RWRTY0Iy)[A-Za-z0-9+/_-]{20,}={0,2}" + _LINES,
        ("MIIEvQIBADANBgkqhki|G9w0BAQEFAASCcanary7890canary", "b3BlbnNzaC1rZXktdjE|" + "AAAA" * 9,
         "MHcCAQEEI|" + "canary7890" * 3),
        ("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAcanary7890canary7890",
         "MIIDdzCCAlgAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBa", "MHcCAQEEI"),
    ),
    Detector(
        "private key in another frame", "",
        "(?:---- BEGIN [A-Z0-9 ]{0,24}PRIVATE KEY ----[^-\"]*|Private-Lines: [0-9]+" + _LINES +
        "|\\$ANSIBLE_VAULT;[0-9.]+;[A-Z0-9]+(?:\\s|\\\\[nr]|[0-9a-f])+)",
        ("Private-Lines: 1|\ncanary7890canary7890canary", "$ANSIBLE|_VAULT;1.1;AES256\n3031323334"),
        ("Public-Lines: 1\nAAAAC3NzaC1lZDI1NTE5", "$ANSIBLE_VAULT"), None, "",
    ),
    Detector(
        "PASETO", "v[1-4]\\.(?:local|public)\\.",
        f"v[1-4]\\.(?:local|public)\\.{_ID}{{20,}}(?:\\.{_ID}+)?",
        ("v4|.local.canary7890canary7890",), ("v4.local.x", "v4.public", "v1.2.3"),
    ),
    Detector(
        "Fernet token", "gAAAAA", f"gAAAAA{_ID}{{60,}}={{0,2}}",
        ("gAAAAA|" + "canary7890" * 7,), ("gAAAAABcanary",),
    ),
    Detector(
        "macaroon", "", f"MDA[w-z][MNOQYZ][WGm2]xvY2F0aW9u{_ID}{{20,}}",
        ("MDAyMWxvY2F0aW9u|" + "canary7890" * 3,), ("MDAyMWxvY2F0aW9u",),
    ),
    Detector(
        "hash of a password", "",
        "(?:\\$2[abxy]?\\$[0-9]{2}\\$[./A-Za-z0-9]{53}|\\$argon2(?:id|i"
        "|d)\\$[A-Za-z0-9$=,+/.-]{40,}"
        "|\\$(?:[1567y]|gy|apr1|sha1)\\$[./A-Za-z0-9=$]{28,}"
        "|pbkdf2_sha[0-9]+\\$[A-Za-z0-9$+/=]{30,}"
        "|(?:scrypt:[0-9:]+|pbkdf2:sha[0-9]+:[0-9]+)\\$[A-Za-z0-9$]{30,}"
        "|\\{S?SHA[0-9]*\\}[A-Za-z0-9+/]{27,}=*)",
        ("$2b$12$|" + "canary7890" * 5 + "abc",
        "$argon2id|$v=19$m=65536,t=3,p=4$canary7890$" + "canary7890" * 4,
         "{SSHA}|" + "canary7890" * 3),
        ("$1$2$3", "$2b$12$short", "pbkdf2_sha256", "{SHA}"), None, "",
    ),
    Detector(
        "product key", "", "[A-Z0-9]{5}(?:-[A-Z0-9]{5}){3,5}",
        ("C4N4R|-7890A-B1C2D-E3F4G-H5J6K",), ("HELLO-WORLD-AGAIN-THERE-FOLKS",
        "12345-67890-12345-67890"),
        product_key, "token", "-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}",
    ),
)  # fmt: skip
