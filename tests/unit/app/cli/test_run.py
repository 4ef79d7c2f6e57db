"""app/cli/run.py: options that do not go together. Whole runs are in tests/integration/test_run.py
and test_gate.py."""

import pytest

from tests.unit.app.cli.conftest import Telemock


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--nothing", "--contract", "p.yaml"], "--nothing and --contract are two gates"),
        (["--nothing", "--canary"], "--canary and --open are no gate's"),
        (["--contract", "p.yaml", "--open", "a.test"], "--canary and --open are no gate's"),
        (["--own-home"], "--own-home is for planted values"),
        (["--allow", "a.test"], "a gate's alone"),
        (["--statement", "s.json", "--sarif", "s"], "--statement, --sarif: a gate's alone"),
        (["--junit", "j"], "a gate's alone"),
        (["--markdown", "m"], "a gate's alone"),
        (["--nothing", "--key", "k.pem"], "--subject and --key are of a statement"),
        (["--subject", "a"], "--subject and --key are of a statement"),
    ],
    ids=" ".join,
)
def test_options_that_do_not_go_together_are_wrong_usage(
    telemock: Telemock, options: list[str], said: str
) -> None:
    done = telemock("run", *options, "--", "true")
    assert done.code == 2
    assert said in done.err and "hint: " in done.err
