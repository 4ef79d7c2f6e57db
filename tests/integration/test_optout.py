"""`telemock optout`: a made-up product with one switch of each kind, and a real one."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests import netns
from tests.clients.table import INSTALLED
from tests.optout.measure import audit
from tests.optout.table import PRODUCTS

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]  # a dozen runs

PROFILE = """
id: acme
title: Acme
hosts: [t.acme.test]
opt_out:
  - {env: {ACME_OFF: "1"}}
  - {args: [--off, now]}
  - {files: {"~/.acme/off": "yes"}}
  - {env: {ACME_IGNORED: "1"}, note: "it says so"}
  - {env: {ACME_FAILS: "1"}}
  - {setting: "acme.off: true"}
rules:
  - {id: usage, match: {methods: [POST], path: /v1/usage}, action: mock}
  - {id: optout, match: {methods: [POST], path: /v1/optout}, action: mock}
"""
PRODUCT = """
send() { curl -s -d '{"a": 1}' "https://t.acme.test/v1/$1"; }
[ -z "$ACME_FAILS" ] || { echo "no such setting" >&2; exit 2; }
[ "$ACME_OFF" != 1 ] && [ "$(cat "$HOME/.acme/off" 2>/dev/null)" != yes ] || exit 0
case "$*" in
  "run --off now")
    [ -e "$HOME/.told" ] || { send optout; touch "$HOME/.told"; };;
  *) send usage;;
esac
"""
RUN = """
import json, os, subprocess, sys
os.chdir(sys.argv[1])
done = subprocess.run([sys.executable, "-P", "-m", "app.cli", "optout", "acme.yaml", "--json",
                       *sys.argv[2:]], capture_output=True, text=True)
print(json.dumps([done.returncode, done.stdout, done.stderr]))
"""


def audited(folder: Path, profile: str, *options: str) -> tuple[int, dict[str, Any]]:
    netns.require()
    (folder / "acme.yaml").write_text(profile)
    (folder / "acme.sh").write_text(PRODUCT)
    command = ["--", "sh", "acme.sh", "run", "{args}"]
    code, out, err = json.loads(
        netns.run(RUN, str(folder), *options, *command, seconds=300,
                  files={"/etc/hosts": "127.0.0.1 localhost\n203.0.114.9 t.acme.test\n"})
    )  # fmt: skip
    assert err == "" and out, err
    return code, json.loads(out)


def test_each_kind_of_switch_is_tried_and_told(tmp_path: Path) -> None:
    code, found = audited(tmp_path, PROFILE)
    told = {one["switch"]: (one["result"], *one["why"][:1]) for one in found["switches"]}
    assert told == {
        "ACME_OFF=1": ("silent",),
        "--off now": ("sends", "POST t.acme.test/v1/optout ×1"),  # noqa: RUF001
        "a file ~/.acme/off": ("silent",),
        "ACME_IGNORED=1": ("sends", "POST t.acme.test/v1/usage ×1"),  # noqa: RUF001
        "ACME_FAILS=1": ("failed", "it ended with 2 (no such setting); without a switch with 0"),
        "acme.off: true": ("by hand",),
    }
    assert [one["new"] for one in found["switches"] if one["new"]] == [
        ["POST t.acme.test/v1/optout"]
    ]
    assert (code, found["proves"], found["holds"]) == (1, True, False)
    assert found["conclusion"] == "silent, with complete coverage, with 2 of 5 switches"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["acme.sh", "acme.yaml"]


def test_a_beacon_of_the_first_run_alone_is_found_and_silence_is_exit_code_0(
    tmp_path: Path,
) -> None:
    before, _, _ = PROFILE.partition("  - {env")
    rules = PROFILE[PROFILE.index("rules:") :]
    both = "rules:\n  - {id: both, match: {methods: [POST], path: {prefix: /v1/}}, action: mock}\n"
    for several in (rules, both):
        switch = f"{before}  - {{args: [--off, now]}}\n{several}"
        _, found = audited(tmp_path, switch, "--repeat", "2", "--wait", "1")
        (one,) = found["switches"]
        assert one["why"][0] == "POST t.acme.test/v1/optout ×1, 0 in turn"  # noqa: RUF001
        assert one["new"] == ["POST t.acme.test/v1/optout"]
    code, found = audited(tmp_path, f'{before}  - {{env: {{ACME_OFF: "1"}}}}\n{rules}')
    assert (code, found["holds"]) == (0, True), found["conclusion"]


def test_a_product_that_sends_once_makes_silence_worthless(tmp_path: Path) -> None:
    """Its state lies in the working directory, which all runs share."""
    global_state = PRODUCT.replace("*) send usage;;", "*) [ -e sent ] || send usage; touch sent;;")
    netns.require()
    before, _, _ = PROFILE.partition("  - {args")
    (tmp_path / "acme.yaml").write_text(before + PROFILE[PROFILE.index("rules:") :])
    (tmp_path / "acme.sh").write_text(global_state)
    out = netns.run(RUN, str(tmp_path), "--", "sh", "acme.sh", "run", seconds=200)
    code, told, _ = json.loads(out)
    found = json.loads(told)
    assert (code, found["proves"]) == (1, False)
    assert "was seen to send first, and not in the end" in found["conclusion"]


@pytest.mark.parametrize("profile", ["huggingface", "dbt"])
def test_a_real_products_documented_switches_keep_it_silent(tmp_path: Path, profile: str) -> None:
    if os.geteuid() or not (INSTALLED / "bin/python").exists():
        pytest.skip("the clients are not installed: make clients, as root")
    netns.require()
    product = next(one for one in PRODUCTS if one.profile == profile)._replace(also=())
    found = audit(product, tmp_path)
    assert found["holds"], found


def test_the_results_in_the_documents_are_of_the_table() -> None:
    results = json.loads(Path("tests/optout/results.json").read_text())
    assert list(results) == [one.profile for one in PRODUCTS] and len(results) >= 6
    commands = {one.profile: one.command for one in PRODUCTS}
    assert {name: one["command"] for name, one in results.items()} == commands
