"""app/run/gated.py: what it refuses before a command runs. Whole gates are in
tests/integration/test_gate.py."""

import pytest

from app.gate.statement import StatementError
from app.profiles import ProfileError
from app.run.child import RunError
from app.run.gated import Stated, gated
from app.run.outputs import Outputs
from app.settings import load


@pytest.fixture
def settings(tmp_path):
    return load({"TELEMOCK_DATA": str(tmp_path / "data"), "TELEMOCK_LOGS": str(tmp_path / "logs")})


def test_a_wrong_contract_key_or_command_is_told_before_anything_runs(settings, tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("contract: 2\n")
    ran = tmp_path / "ran"
    command = ["touch", str(ran)]
    with pytest.raises(ProfileError):
        gated(command, settings, contract=file)
    with pytest.raises(StatementError, match="no private key"):
        gated(command, settings, stated=Stated(tmp_path / "s.json", (), file))
    with pytest.raises(RunError, match="no command"):
        gated([], settings)
    with pytest.raises(RunError, match=r"--junit .*: there is no .*/none\n\nhint: "):
        gated(command, settings, told=Outputs(junit=tmp_path / "none" / "x"))
    assert not ran.exists()
    assert not settings.data.exists()
