"""Stock mitmdump's script: what somebody would write who has no telemock. Run by `mitmdump -s`.

Telemetry is answered here; requests for TELEMETRY_AT_APP go to the app, with the word that keeps it
from recording them, so that it does for both proxies the same.
"""

import os

from mitmproxy import http

LINE = b"cribl /// living the stream!\n"
APP, _, PORT = os.environ["BENCH_APP"].partition(":")
AT_APP = os.environ["BENCH_AT_APP"]
HEADER_RECORD = os.environ["BENCH_HEADER_RECORD"]


def request(flow: http.HTTPFlow) -> None:
    if flow.request.path.startswith(AT_APP):
        name = flow.request.host_header
        flow.request.scheme, flow.request.host, flow.request.port = "http", APP, int(PORT)
        flow.request.host_header = name
        flow.request.headers[HEADER_RECORD] = "bench-1"
    else:
        flow.response = http.Response.make(200, LINE, {"content-type": "text/html"})
