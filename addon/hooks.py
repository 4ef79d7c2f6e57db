"""mitmproxy's addon manager, which looks up once who has a hook, and not for every event.

Used by `addon.proxy`: a connection has eight hooks, a forwarded request five, and most have nobody.
"""

import inspect
from collections.abc import Callable
from typing import Any

from mitmproxy import exceptions, hooks
from mitmproxy.addonmanager import AddonManager, safecall
from mitmproxy.master import Master


class Hooks(AddonManager):
    def __init__(self, master: Master) -> None:
        super().__init__(master)  # type: ignore[no-untyped-call]
        self._called: dict[str, tuple[Callable[..., Any], ...]] = {}

    def register(self, addon: Any) -> Any:
        self._called.clear()
        return super().register(addon)  # type: ignore[no-untyped-call]

    def remove(self, addon: Any) -> None:
        super().remove(addon)  # type: ignore[no-untyped-call]
        self._called.clear()

    async def trigger_event(self, event: hooks.Hook) -> None:
        called = self._called.get(event.name)
        if called is None:
            called = tuple(f for addon in self.chain for _, f in self._iter_hooks(addon, event))
            self._called[event.name] = called
        for function in called:
            try:
                with safecall():
                    result = function(*event.args())
                    if inspect.isawaitable(result):
                        await result
            except exceptions.AddonHalt:
                return
