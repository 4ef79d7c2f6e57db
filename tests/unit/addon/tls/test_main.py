"""addon/tls/__main__.py: the authority that it makes is the one that the sidecar then takes."""

import subprocess
import sys

from addon.tls import ca
from addon.tls.constraints import constraints


def test_the_sidecar_takes_the_authority_that_was_made_before(tmp_path):
    subprocess.run(
        [sys.executable, "-P", "-m", "addon.tls", str(tmp_path)], check=True, text=True,
        input="cdn.cribl.io\nstats.grafana.org",
    )  # fmt: skip
    made = (tmp_path / "ca.pem").read_bytes()
    assert (tmp_path / "bundle.pem").read_bytes().endswith(made)
    ca.ensure(tmp_path, wanted=constraints(["stats.grafana.org"]))
    assert (tmp_path / "ca.pem").read_bytes() == made
    ca.ensure(tmp_path, wanted=constraints(["another.test"]))
    assert (tmp_path / "ca.pem").read_bytes() != made
