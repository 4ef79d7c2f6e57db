"""`profiles list` and `profiles show`: what comes with telemock."""

import json

import yaml

from app.profiles.read import BUILT_IN, built_in
from tests.unit.app.cli.conftest import Telemock


def test_list_names_every_product_and_its_hosts(telemock: Telemock) -> None:
    done = telemock("profiles", "list")
    assert (done.code, done.err) == (0, "")
    listed = json.loads(telemock("profiles", "list", "--json").out)
    assert [one["profile"] for one in listed] == built_in()
    assert all(one["hosts"] and one["title"] for one in listed)
    assert {one["every"] for one in listed if one["profile"] == "loki"} == {"4h"}


def test_show_prints_the_file_itself(telemock: Telemock) -> None:
    done = telemock("profiles", "show", "vllm")
    assert done.out == (BUILT_IN / "vllm.yaml").read_text()
    assert yaml.safe_load(done.out)["id"] == "vllm"


def test_show_of_another_name_lists_what_there_is(telemock: Telemock) -> None:
    done = telemock("profiles", "show", "../read")
    assert done.code == 2 and "'../read'" in done.err and "vllm" in done.err
