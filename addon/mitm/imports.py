"""Imports mitmproxy without the parts that the sidecar never uses.

Its package of addons imports all of them (web frameworks, LDAP, ...); five are used. Its layers
import QUIC, which no listener here speaks. Its commands and option files, unused here, import
parsers. And requests, with which OpenTelemetry's exporter sends, guesses encodings by tables of
4 MiB. msgspec needs typing_extensions for older Pythons only; it is a tenth of a start. Keys with a
passphrase, which need bcrypt, dates of certificates and archives are nothing of ours.

Imported by `addon.__main__` and `addon.proxy` before anything of msgspec and `mitmproxy.addons`.
"""

import importlib
import importlib.util
import sys
import types
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

_ADDONS = "mitmproxy.addons"
_ABSENT = (
    "aioquic",
    "mitmproxy.proxy.layers.quic",
    "mitmproxy.proxy.layers.http._http3",
    "mitmproxy.command_lexer",
)
_REFUSED = ("charset_normalizer", "bcrypt")  # importers have a fall-back
# Imported at first use.
_LATER = (
    "pyparsing", "ruamel.yaml", "mitmproxy.utils.emoji", "msgspec.inspect", "calendar", "zipfile",
)  # fmt: skip
_UNTYPED = "typing_extensions"  # OpenTelemetry needs it, where it is in use


class Absent(types.ModuleType):
    """Gives an empty class for every name imported from it; no object of one is ever made."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (), {"__module__": self.__name__})
        setattr(self, name, made)
        return made


class _Finder(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if any(fullname == name or fullname.startswith(name + ".") for name in _ABSENT):
            return ModuleSpec(fullname, self, is_package=True)
        if fullname not in _LATER:
            return None
        found = PathFinder.find_spec(fullname, path)
        if found is not None and found.loader is not None:
            found.loader = importlib.util.LazyLoader(found.loader)
        return found

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        return Absent(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def install() -> None:
    """Does nothing if the addons are imported already, as in mitmdump."""
    if _ADDONS in sys.modules:
        return
    found = importlib.util.find_spec("mitmproxy")
    if found is None or found.submodule_search_locations is None:
        raise ModuleNotFoundError("No module named 'mitmproxy'", name="mitmproxy")
    # An empty package in its place; its modules are found in the original folder.
    package = types.ModuleType(_ADDONS)
    package.__path__ = [f"{path}/addons" for path in found.submodule_search_locations]
    sys.modules[_ADDONS] = package
    sys.meta_path.insert(0, _Finder())
    sys.modules.update(dict.fromkeys(_REFUSED))  # type: ignore[arg-type]
    _without(_UNTYPED, "msgspec")


def _without(refused: str, name: str) -> None:
    """Imports `name` as if `refused` were not installed."""
    if refused in sys.modules or name in sys.modules:
        return
    sys.modules[refused] = None  # type: ignore[assignment]
    importlib.import_module(name)
    del sys.modules[refused]


install()
