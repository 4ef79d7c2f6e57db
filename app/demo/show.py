"""Prints the demo's outcome for people. Called by `app.demo.round`."""

import sys
from collections import Counter

import msgspec

from app.contract import names
from app.demo import plan
from app.escape import plain
from app.run import summary


class DemoOutcome(msgspec.Struct, kw_only=True):
    """The demo's result; `--json` prints it."""

    client: str
    sent: list[summary.Sent]
    added_fields: list[str]
    passed: list[str]
    captures: int
    seconds: float
    logs: str
    data: str
    api: str
    running: bool  # the API still answers
    page: str = ""  # a link to the page, which works once
    pids: list[int] = []  # processes that stay up
    trace_id: str = ""  # trace of one answered request, with --otel
    trace: list[str] = []  # its spans, as a tree
    links: dict[str, str] = {}  # URLs that show traces and metrics
    backends_stop: str = ""  # command that stops Jaeger and Prometheus, which stay up


def outcome(found: DemoOutcome) -> None:
    """Prints the outcome on stdout; bold headings on a terminal only."""
    bold = "\033[1m{}\033[0m" if sys.stdout.isatty() else "{}"

    def say(text: str = "") -> None:
        print(plain(text, longest=1000))

    def head(text: str) -> None:
        print("\n" + bold.format(text))

    older, newer = plan.VERSIONS
    say(f"A stand-in Cribl node ({found.client}, an HTTPS client behind the sidecar) ran as")
    say(f"version {older} and {newer}; {found.captures} captures, {found.seconds} s.")
    head("What left")
    print(summary.table(found.sent), end="")
    head(f"Fields that {newer} added")
    for field in found.added_fields:
        say(f"query.{field}")
    head("Passed through untouched (as the real hosts saw it)")
    for line, count in Counter(found.passed).items():
        say(f"{count} x {line}")
    say("The download's hash was right; the second host showed its own certificate, not ours.")
    if found.trace:
        head("One of them as a trace: the sidecar's span, its call to the mock, the mock's span")
        for line in found.trace:
            say(line)
    if found.trace_id:
        head("Where to look at traces and metrics")
        for name, link in found.links.items() or {"trace id": found.trace_id}.items():
            say(f"{name:10} {link}")
        if found.backends_stop:
            say(f"stop them  {found.backends_stop}")
    head("Where it is")
    say(f"log files  {found.logs}/ ({names.LOG_REQUESTS}, {names.LOG_APP}, {names.LOG_SIDECARS})")
    say(f"captures   {found.data}/ (telemock captures list; telemock report)")
    say(f"API        {found.api}{names.PATH_CAPTURES}{'' if found.running else ' (stopped)'}")
    if found.running:
        token = f"{found.data}/{names.FILE_TOKEN}"
        report = f"{found.api}/api/v1/report"
        say(f'           curl -H "Authorization: Bearer $(cat {token})" {report}')
    else:
        say("           make demo KEEP=1 leaves it up")
    if found.pids:
        say(f"stop it    kill {' '.join(map(str, found.pids))}")
    if found.page:
        head("Look at it (the link works once; telemock open makes another)")
        say(found.page)
