"""The pytest plugin, in pytests of its own: the documented example, and what each check says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import netns
from tests.integration.test_ci_gate import CONTRACT, PROFILE

ROOT = Path(__file__).parents[2]
DOCUMENTED = (ROOT / "docs/operations/ci.md").read_text()
SEND = "curl -s -d '{\"a\": 1}' -H 'content-type: application/json' https://t.acme.test/v1/usage"
RUN = """
import os, subprocess, sys
os.chdir(sys.argv[1])
done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *sys.argv[2:]],
                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
print(done.stdout)
"""
pytestmark = pytest.mark.root


def in_a_pytest(folder: Path, tests: str, *options: str) -> str:
    netns.require()
    (folder / "test_it.py").write_text(tests)
    (folder / "acme.yaml").write_text(PROFILE)
    (folder / "pytest.ini").write_text(
        "[pytest]\ntelemock_profiles = acme.yaml grafana\n"
        "asyncio_default_fixture_loop_scope = session\n"
    )
    return netns.run(RUN, str(folder), *options, seconds=110)


def test_the_documented_tests_pass_side_by_side(tmp_path: Path) -> None:
    (example,) = re.findall(
        r"<!-- a test runs this -->\n```python\n(.*?)```", DOCUMENTED, re.DOTALL
    )
    (tmp_path / "acme-1.0.yaml").write_text(CONTRACT)
    said = in_a_pytest(tmp_path, example, "--telemock", "-n", "2")
    assert "3 passed" in said, said


def test_without_the_option_they_are_skipped_with_a_reason(tmp_path: Path) -> None:
    said = in_a_pytest(tmp_path, "def test_it(telemock): raise AssertionError", "-rs")
    assert "1 skipped" in said and "it runs commands through telemock: pytest --telemock" in said


FAILING = f'''
import pytest
SEND = """{SEND}"""
def test_sent(telemock):
    telemock.run("true")
    telemock.sent(host="t.acme.test")
def test_count(telemock):
    telemock.run(SEND)
    telemock.sent(path="/v1/*", count=2)
def test_never(telemock):
    telemock.run(["sh", "-c", SEND + "; exit 4"])
    telemock.never_sent(profile="?*")
def test_never_before(telemock):
    telemock.never_sent()
def test_not_complete(telemock):
    telemock.run(["sh", "-c", "sleep 60 &"], wait=0.1)
    telemock.never_sent()
def test_matches(telemock):
    telemock.run(SEND.replace("usage", "other"))
    telemock.matches("contract.yaml")
def test_not_found(telemock):
    telemock.run("no-such-command")
def test_late(telemock):
    telemock.run("sleep 90", timeout=4)
'''


def test_a_failure_says_what_was_seen(tmp_path: Path) -> None:
    (tmp_path / "contract.yaml").write_text(CONTRACT)
    said = in_a_pytest(tmp_path, FAILING, "--telemock", "-n", "2", "--tb=short")
    assert "8 failed" in said, said
    for line in (
        "Failed: nothing with host t.acme.test was sent\nE   nothing was seen:",
        "Failed: something with endpoint /v1/* was sent once, not 2 times",
        "once: POST t.acme.test/v1/usage (answered)",
        "Failed: something with profile ?* was sent: once",
        "Failed: nothing was run, so that nothing was sent says nothing",
        "Failed: whether something was sent is not known: sh -c 'sleep 60 &': not complete: ",
        "/v1/other",
        "Failed: no-such-command: ",
        "Failed: sleep 90: not ended after 4 s",
    ):
        assert line in said, (line, said)


def test_it_costs_nothing_where_it_is_not_asked_for() -> None:
    code = "import pytest, sys; before = set(sys.modules); import telemock_pytest; " \
           "print(*(set(sys.modules) - before))"  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True,
        env={n: v for n, v in os.environ.items() if n != "PYTHONPATH"}, cwd="/",
    )  # fmt: skip
    names = {name.partition(".")[0] for name in done.stdout.split()} - {"telemock_pytest"}
    assert names <= sys.stdlib_module_names  # above all no `app`, as a project's own may be called
