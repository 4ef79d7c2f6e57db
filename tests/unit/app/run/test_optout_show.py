"""app/run/optout_show.py: the result as a table; what a product says acts on no terminal."""

from app.run.optout import RESULTS, Audit, SwitchResult
from app.run.optout_show import markdown, results, text
from app.run.trial import Trial

EVIL = "\x1b]0;owned\x07|<b>`x`"


def found(hint: str = "") -> Audit:
    runs = [Trial(exit_code=0), Trial(exit_code=2)]
    one = SwitchResult(switch=f"OFF={EVIL}", result="sends", why=[EVIL], new=[f"POST {EVIL}"],
              note=EVIL, runs=runs)  # fmt: skip
    without = SwitchResult(switch="", result="sends", why=["POST a/b ×1"], runs=runs[:1])  # noqa: RUF001
    return Audit(
        product="acme", title=f"Acme {EVIL}", command=["acme", EVIL], state="a new home",
        removed=["CI"], without=without, switches=[one], again=without, proves=True, holds=False,
        conclusion="silent with 0 of 1", hint=hint,
    )  # fmt: skip


def test_the_table_names_what_still_sends() -> None:
    said = text(found("look"))
    assert not [c for c in said if not c.isprintable() and c != "\n"]
    lines = said.splitlines()
    assert lines[1].split()[:3] == ["without", "a", "switch"]
    assert "the switch itself sends what is not sent without it: POST " in lines[2]
    assert lines[2].endswith("0, 2") and "its vendor: " in lines[2]
    assert lines[3].startswith("without, again")
    assert any(line.startswith("environment: no run has") for line in lines)
    assert lines[-3:] == ["silent with 0 of 1", "", "hint: look"]


def test_markdown_is_inert() -> None:
    said = markdown(found())
    assert said.startswith("## Acme ") and "<b>" not in said and "\x1b" not in said
    rows = [line for line in said.splitlines() if line.startswith("| ")]
    assert len(rows) == 5 and all(line.replace("\\|", "").count("|") == 5 for line in rows)


def test_every_result_is_explained() -> None:
    assert all(f"| {result} | {says} |" in results() for result, says in RESULTS.items())
