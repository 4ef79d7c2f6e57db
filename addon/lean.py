"""mitmproxy's addons without the import of all of them: that of the package itself costs a third
of the start and of the memory (web frameworks, LDAP, ...), and five are used.

Imported by `addon.proxy` before anything of `mitmproxy.addons`.
"""

import importlib.util
import sys
import types

_PACKAGE = "mitmproxy.addons"


def install() -> None:
    """Puts an empty package in its place, whose modules are found where they are. Does nothing
    where the package is already imported, as in mitmdump."""
    if _PACKAGE in sys.modules:
        return
    found = importlib.util.find_spec("mitmproxy")
    if found is None or found.submodule_search_locations is None:
        raise ModuleNotFoundError("No module named 'mitmproxy'", name="mitmproxy")
    package = types.ModuleType(_PACKAGE)
    package.__path__ = [f"{path}/addons" for path in found.submodule_search_locations]
    sys.modules[_PACKAGE] = package


install()
