"""How the demo's outcome is shown to people."""

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from app import sent
from app.contract import names
from app.demo import plan
from app.settings import Settings
from app.terminal import plain

if TYPE_CHECKING:
    from app.demo.round import Outcome


def outcome(found: "Outcome", settings: Settings) -> None:
    """Prints it on stdout: tables on a terminal, plain text elsewhere."""
    console = Console(highlight=False, soft_wrap=True)

    def say(text: str = "", style: str = "") -> None:
        console.print(Text(plain(text), style=style))

    older, newer = plan.VERSIONS
    say(f"A stand-in Cribl node ({found.client}, an HTTPS client behind the sidecar) ran as")
    say(f"version {older} and {newer}; {found.captures} captures, {found.seconds} s.")
    say()
    say("What left", "bold")
    wide = Console(highlight=False, width=None if console.is_terminal else 160)
    wide.print(sent.table(found.sent))
    say()
    say(f"Fields that {newer} added", "bold")
    for field in found.added_fields:
        say(f"query.{field}")
    say()
    say("Passed through untouched (as the real hosts saw it)", "bold")
    for line, count in Counter(found.passed).items():
        say(f"{count} x {line}")
    say("The download's hash was right; the second host showed its own certificate, not ours.")
    say()
    say("Where it is", "bold")
    say(f"log files  {found.logs}/ ({names.LOG_REQUESTS}, {names.LOG_APP}, {names.LOG_SIDECARS})")
    say(f"captures   {found.data}/ (telemock captures list; telemock report)")
    say(f"API        {found.api}{names.PATH_CAPTURES}{'' if found.pids else ' (stopped again)'}")
    if found.pids:
        token = settings.data / names.FILE_TOKEN
        report = f"{found.api}/api/v1/report"
        say(f'           curl -H "Authorization: Bearer $(cat {token})" {report}')
        say(f"stop it    kill {' '.join(map(str, found.pids))}")
