"""mitmproxy's addon manager, which looks up once who has a hook, and not for every event.

Used by `addon.proxy`: a connection has eight hooks, a forwarded request five, and most have nobody.
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from mitmproxy import exceptions, hooks
from mitmproxy.addonmanager import AddonManager, safecall
from mitmproxy.master import Master


class Hooks(AddonManager):
    def __init__(self, master: Master) -> None:
        super().__init__(master)  # type: ignore[no-untyped-call]
        self._called: dict[str, _Called] = {}

    def register(self, addon: Any) -> Any:
        self._called.clear()
        return super().register(addon)  # type: ignore[no-untyped-call]

    def remove(self, addon: Any) -> None:
        super().remove(addon)  # type: ignore[no-untyped-call]
        self._called.clear()

    def trigger_now(self, event: hooks.Hook) -> bool:
        """Calls who has the hook, unless somebody may wait in it: then nothing is done."""
        called = self._of(event)
        if called.waits:
            return False
        if called.functions:
            given = event.args()
            for function in called.functions:
                try:
                    with safecall():
                        function(*given)
                except exceptions.AddonHalt:
                    break
        return True

    async def trigger_event(self, event: hooks.Hook) -> None:
        for function in self._of(event).functions:
            try:
                with safecall():
                    result = function(*event.args())
                    if inspect.isawaitable(result):
                        await result
            except exceptions.AddonHalt:
                return

    def _of(self, event: hooks.Hook) -> "_Called":
        called = self._called.get(event.name)
        if called is None:
            found = [f for addon in self.chain for _, f in self._iter_hooks(addon, event)]
            waits = any(map(inspect.iscoroutinefunction, found))
            called = self._called[event.name] = _Called(tuple(found), waits)
        return called


class _Called(NamedTuple):
    functions: tuple[Callable[..., Any], ...]
    waits: bool
