"""app/demo/show.py: what a newcomer must find on the screen."""

import msgspec

from app.demo import show
from app.demo.round import DemoOutcome
from app.run.summary import Sent

ROW = Sent(host="\x1b[2Jcdn.cribl.io", method="GET", endpoint="/telemetry/", action="mock",
           kind="exchange", reason="", count=6, bytes_out=100)  # fmt: skip
STOPPED = DemoOutcome(client="Python", sent=[ROW], added_fields=["wpm"], passed=["GET a", "GET a"],
                  captures=6, seconds=1.0, logs="logs", data=".telemock",
                  api="http://127.0.0.1:1", running=False)  # fmt: skip


def test_everything_is_named_and_nothing_acts_on_the_terminal(capsys):
    show.outcome(STOPPED)
    out = capsys.readouterr().out
    for part in ("\\x1b[2Jcdn.cribl.io", "query.wpm", "2 x GET a", "logs/", ".telemock/",
                 "http://127.0.0.1:1/api/v1/captures (stopped)"):  # fmt: skip
        assert part in out
    assert "\x1b" not in out
    assert "kill" not in out


def test_what_stays_up_is_told_with_how_to_ask_and_stop_it(capsys):
    page = "http://127.0.0.1:1/login?code=x"
    show.outcome(msgspec.structs.replace(STOPPED, running=True, pids=[11, 12], page=page))
    out = capsys.readouterr().out
    assert 'curl -H "Authorization: Bearer $(cat .telemock/token)"' in out
    assert "kill 11 12" in out
    assert out.endswith("\nhttp://127.0.0.1:1/login?code=x\n")
