"""addon/mitm/hooks.py: addons are called as mitmproxy's own manager calls them."""

from typing import Any

import pytest
from mitmproxy import exceptions
from mitmproxy.addonmanager import AddonManager
from mitmproxy.proxy.server_hooks import ClientConnectedHook
from mitmproxy.test import taddons, tflow

from addon.mitm.hooks import Hooks


class Child:
    def __init__(self, name: str, calls: list[str], error: Exception | None = None) -> None:
        self.name, self.calls, self.error = name, calls, error

    def client_connected(self, client: Any) -> None:
        self.calls.append(self.name)
        if self.error is not None:
            raise self.error


class Waiting(Child):
    async def client_connected(self, client: Any) -> None:
        self.calls.append(self.name)


class Parent(Child):
    def __init__(self, name: str, calls: list[str], *addons: Child) -> None:
        super().__init__(name, calls)
        self.addons = list(addons)


@pytest.mark.parametrize("manager", [AddonManager, Hooks])
async def test_all_are_called_in_order_until_one_halts(
    manager: Any, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []
    with taddons.context() as context:
        hooks = manager(context.master)
        hooks.add(
            Parent("one", calls, Child("two", calls)),
            Child("three", calls, ValueError("wrong")),
            Waiting("four", calls),
            Child("five", calls, exceptions.AddonHalt()),
            Child("six", calls),
        )
        event = ClientConnectedHook(tflow.tclient_conn())
        for _ in range(2):
            calls.clear()
            await hooks.handle_lifecycle(event)
            assert sorted(calls[:2]) == ["one", "two"]
            assert calls[2:] == ["three", "four", "five"]
        assert "Addon error: wrong" in caplog.text
        hooks.remove(hooks.get("five"))
        hooks.add(late := Child("seven", calls))
        calls.clear()
        await hooks.handle_lifecycle(event)
        assert calls[2:] == ["three", "four", "six", "seven"]
        assert late in hooks
