"""A group's help: each command's first sentence stands there whole, however narrow the terminal."""

from typing import Any

from typer.core import TyperGroup

_WHOLE = 1000  # characters, more than any has


class CommandGroup(TyperGroup):
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        shown = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, one.get_short_help_str(_WHOLE)) for name, one in shown if one]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
