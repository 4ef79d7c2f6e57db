"""Templates of answers: Jinja2 in a sandbox, with an end to output and time.

Called by `app.mock`, and by `app.profiles` for a check. A template comes from a profile, so from
the operator; what it shows of the request comes from anybody.
"""

import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from types import FrameType
from typing import Any

from jinja2 import Template, TemplateError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

OUTPUT_CAP = 1 << 20  # characters
SECONDS = 1.0
_FILTERS = (
    "abs", "batch", "capitalize", "default", "dictsort", "e", "escape", "first", "float",
    "forceescape", "int", "items", "join", "last", "length", "list", "lower", "map", "max",
    "min", "reject", "replace", "round", "select", "sort", "string", "sum", "title", "tojson",
    "trim", "truncate", "unique", "upper", "urlencode",
)  # fmt: skip
# Methods that make a string of any length out of a number.
_WIDENING = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs", "format", "format_map"})


class TemplateFailed(Exception):
    """The text names the fault without quoting the request."""


class _Sandbox(ImmutableSandboxedEnvironment):
    # Each makes gigabytes out of a short line, in one step that no deadline interrupts.
    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        small = isinstance(left, int | float) and isinstance(right, int | float)
        if not small or (operator == "**" and (abs(left) > 1e6 or abs(right) > 100)):
            raise SecurityError(f"{operator} is for small numbers only")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str | bytes) and attr in _WIDENING:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        return None  # jinja's own wrapper would let `format` through before the question above


def _environment(escape: bool) -> _Sandbox:
    made = _Sandbox(autoescape=escape, keep_trailing_newline=True)
    made.globals = {"range": made.globals["range"]}
    made.filters = {name: made.filters[name] for name in _FILTERS}
    return made


_environments = {True: _environment(True), False: _environment(False)}


@lru_cache(maxsize=256)
def _compiled(source: str, escape: bool) -> Template:
    return _environments[escape].from_string(source)


def check(source: str) -> None:
    """For the profiles' compiler. Raises ValueError with line and fault when it is no template."""
    try:
        _compiled(source, False)
    except TemplateError as e:
        raise ValueError(f"line {getattr(e, 'lineno', 1)}: {e.message}") from None
    except (RecursionError, SyntaxError, MemoryError):  # of Python, for what Jinja made of it
        raise ValueError("it is nested too deeply") from None


def render(source: str, values: Mapping[str, Any], *, html: bool) -> bytes:
    """The rendered text. Takes up to SECONDS: call it in a thread. Raises TemplateFailed."""
    deadline = time.monotonic() + SECONDS

    def watch(frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename != "<template>":
            return None
        if time.monotonic() > deadline:
            raise TemplateFailed(f"it ran longer than {SECONDS:g} s")
        return watch

    parts: list[str] = []
    left = OUTPUT_CAP
    # A loop without output gives no other chance to stop it, and a thread cannot be killed.
    before = sys.gettrace()
    try:
        template = _compiled(source, html)
        sys.settrace(watch)
        for part in template.generate(values):
            parts.append(part)
            left -= len(part)
            if left < 0:
                raise TemplateFailed(f"it wrote more than {OUTPUT_CAP} characters")
    except TemplateFailed:
        raise
    except TemplateError as e:
        # The text of a syntax error quotes the template, the others name what is missing in it.
        raise TemplateFailed(f"{type(e).__name__}: {e}") from None
    except Exception as e:
        raise TemplateFailed(type(e).__name__) from None
    finally:
        sys.settrace(before)
    return "".join(parts).encode("utf-8", "replace")
