"""mitmproxy's addon manager, with a cache of which addons have which hook.

Used by `addon.proxy`: a connection has eight hooks, a forwarded request five, most with no addon.
"""

import inspect
from collections.abc import Callable
from typing import Any

from mitmproxy import exceptions, hooks
from mitmproxy.addonmanager import AddonManager, safecall
from mitmproxy.master import Master

_Functions = tuple[Callable[..., Any], ...]


class Hooks(AddonManager):
    def __init__(self, master: Master) -> None:
        super().__init__(master)  # type: ignore[no-untyped-call]
        self._called: dict[str, _Functions] = {}

    def register(self, addon: Any) -> Any:
        self._called.clear()
        return super().register(addon)  # type: ignore[no-untyped-call]

    def remove(self, addon: Any) -> None:
        super().remove(addon)  # type: ignore[no-untyped-call]
        self._called.clear()

    async def trigger_event(self, event: hooks.Hook) -> None:
        for function in self._of(event):
            try:
                with safecall():
                    result = function(*event.args())
                    if inspect.isawaitable(result):
                        await result
            except exceptions.AddonHalt:
                return

    def _of(self, event: hooks.Hook) -> _Functions:
        called = self._called.get(event.name)
        if called is None:
            found = [f for addon in self.chain for _, f in self._iter_hooks(addon, event)]
            called = self._called[event.name] = tuple(found)
        return called
