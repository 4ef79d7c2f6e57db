"""app/gate/contract_file.py: what is written is read back, what is wrong named with its place."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gate.contract_file import Contract, ContractEndpoint, ContractField, read, written
from app.gate.sarif import lines_of
from app.profiles.problems import ProfileError
from app.store.inventory import PATH

FILE = """\
contract: 1
profile: cribl
version: 4.16.1
hosts:
  - cdn.cribl.io
documented_unseen:
  - Instance GUID
endpoints:
  - host: cdn.cribl.io
    method: GET
    route: /telemetry/*
    every: 60s
    events:
      - started
    fields:
      query.os: {types: ['null', string], presence: sometimes, rate: 0.5}
      query.v: {types: [string], classes: [identifier], documented: true, presence: always}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "p.yaml"


def test_the_file_is_canonical(file: Path) -> None:
    file.write_text(FILE)
    found = read(file)
    assert written(found) == FILE
    turned = found.model_copy(update={"endpoints": [
        e.model_copy(update={"fields": dict(reversed((e.fields or {}).items()))})
        for e in found.endpoints
    ]})  # fmt: skip
    assert written(turned, ["frozen today\nby us", "\x1b[2J"]) == (
        "# frozen today\\nby us\n# \\x1b[2J\n" + FILE
    )


def test_that_the_vendor_has_no_list_is_read_back(file: Path) -> None:
    text = FILE.replace("documented_unseen:\n  - Instance GUID", "documented_none: docs, 2026-11")
    file.write_text(text.replace(" documented: true,", ""))
    assert written(read(file)) == file.read_text()


LONG = (
    "😀" * 115,  # in escapes more than YAML's readers take for a key in one line
    "a" * 40 + "😀" * 87,
    '"\\\n' * 60,
    "\\xed\\xa0\\x80" * (PATH - 6),  # as the store writes characters that are no text
)


@pytest.mark.parametrize("name", LONG, ids=range(len(LONG)))
def test_a_name_of_many_escapes_is_read_back(file: Path, name: str) -> None:
    fields = {f"query.{name}": ContractField(types=["string"], presence="few")}
    one = ContractEndpoint(host="a.example", method="GET", route="/", fields=fields)
    contract = Contract(contract=1, profile="p", hosts=["a.example"], endpoints=[one])
    file.write_text(written(contract))
    assert read(file) == contract
    (line,) = [at for key, at in lines_of(file.read_text()).items() if len(key) == 4]
    assert "query." in file.read_text().splitlines()[line - 1]


@given(
    st.dictionaries(st.text(max_size=PATH - 6).map("query.".__add__), st.just(
        ContractField(types=["string"], presence="few")), max_size=5),
    st.lists(st.text(max_size=50), unique=True, max_size=5),
    st.text(max_size=50),
)  # fmt: skip
def test_any_name_that_a_client_sends_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    fields: dict[str, ContractField],
    events: list[str],
    route: str,
) -> None:
    one = ContractEndpoint(
        host="a.example", method="GET", route=route, events=sorted(events), fields=fields
    )
    contract = Contract(contract=1, profile="p", hosts=["a.example"], endpoints=[one])
    file = tmp_path_factory.mktemp("names") / "p.yaml"
    file.write_text(written(contract))
    assert read(file) == contract
    assert file.read_text().isascii()


@pytest.mark.parametrize(
    ("old", "new", "place", "says", "remedy"),
    [
        ("types: [string]", "types: [strng]", "endpoints[0].fields.query.v.types[0]", "'strng'",
         "write one of string"),
        ("version: 4.16.1", "version: 4.10", "version", "4.10", "quotes"),
        ("- cdn.cribl.io", "- CDN.cribl.io", "hosts[0]", "'CDN.cribl.io'", "write 'cdn.cribl.io'"),
        ("query.v", "quer.v", "endpoints[0]", "'quer.v'", "such as query.v"),
        ("presence: always", "presence: alway", "endpoints[0].fields.query.v.presence", "'alway'",
         "always"),
        ("presence: always", "presense: always", "endpoints[0].fields.query.v.presense",
         "'presense'", "did you mean 'presence'"),
        ("presence: sometimes", "presence: always", "endpoints[0].fields.query.os", "rate 0.5",
         "remove `rate`"),
        ("rate: 0.5", "rate: 7", "endpoints[0].fields.query.os.rate", "7", ""),
        ("identifier", "secrets", "endpoints[0].fields.query.v.classes[0]", "'secrets'",
         "write one of"),
        (FILE[FILE.index("    fields:"):], "    fields:\n", "endpoints[0].fields",
         "would leave them open", "write `fields: {}`"),
        ("60s", "often", "endpoints[0].every", "'often'", "60s"),
        ("contract: 1", "contract: 2", "contract", "2", "1"),
        ("documented_unseen:", "documented_none: nothing\ndocumented_unseen:", "",
         "`documented_none` says that there is no list", "remove `documented_none`"),
        ("documented_unseen:\n  - Instance GUID", "documented_none: nothing", "",
         "`documented_none` says that there is no list", "remove `documented_none`"),
        ("  - host: cdn", "  - host: ftp", "", "'ftp.cribl.io'", "add it"),
        ("profile: cribl", "profile: !!python/object:os.system x", "line 2", "python/object", ""),
        ("profile: cribl", "profile: &a cribl\nx: *a", "line 3", "alias *a", "write it out"),
        ("profile: cribl", "profile: " + "[" * 60, "line 2", "more than 50 deep", ""),
        ("profile: cribl", "profile: cribl\nprofile: x", "line 3", "twice", ""),
        ("profile: cribl", "profile: \x00", "", "not valid YAML", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    file: Path, old: str, new: str, place: str, says: str, remedy: str
) -> None:
    assert old in FILE
    file.write_text(FILE.replace(old, new, 1))
    with pytest.raises(ProfileError) as raised:
        read(file)
    first = str(raised.value.problems[-1])
    assert first.startswith(f"{file}: {place}")
    assert says in first
    assert remedy in first


@pytest.mark.parametrize("text", ["", "[1]", "id: cribl", "1"])
def test_what_is_no_contract(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ProfileError, match="telemock contract freeze"):
        read(file)


def test_an_endpoint_stands_there_once(file: Path) -> None:
    head, _, endpoint = FILE.partition("endpoints:\n")
    file.write_text(f"{head}endpoints:\n{endpoint}{endpoint}")
    with pytest.raises(ProfileError, match="twice"):
        read(file)


def test_a_large_file_is_not_read(file: Path) -> None:
    with file.open("wb") as f:
        f.truncate(100 << 20)
    with pytest.raises(ProfileError, match="is larger than 1 MiB"):
        read(file)
