"""Generates files from the profiles and their schema: `python -m app.generate`.

The sidecar loads `app/contract/builtin.json`, which spares it YAML and pydantic; editors and people
use `app/profiles/schema.json` and `app/gate/schema.json`. All are committed, and a test compares
them.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
from pydantic import BaseModel

from app.contract.rules import Bundle, dump
from app.gate.contract_file import Contract
from app.profiles import load_profiles
from app.profiles.read import DEFAULT
from app.profiles.schema import ProfileFile

_APP = Path(__file__).parent


def generated() -> Mapping[Path, bytes]:
    """Maps each file to its content; the same every time."""
    bundle = dump(Bundle(load_profiles(DEFAULT)))
    schemas: Mapping[str, type[BaseModel]] = {"profiles": ProfileFile, "gate": Contract}
    return {
        _APP / "contract/builtin.json": msgspec.json.format(bundle, indent=2) + b"\n",
        **{_APP / room / "schema.json": _schema(of) for room, of in schemas.items()},
    }


def _schema(of: type[BaseModel]) -> bytes:
    return json.dumps(of.model_json_schema(), indent=2).encode() + b"\n"


def main() -> None:
    for path, content in generated().items():
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
            sys.stdout.write(f"wrote {path.relative_to(_APP.parent)}\n")


if __name__ == "__main__":
    main()
