"""A process that renders templates: Jinja2 in a sandbox, with limits on memory and time.

`app.profiles.template` starts it as a script of its own, so that it holds nothing of the app: no
key, no file, no connection but the one that it answers on. A template comes from a profile, its
values from anybody's request; one step of it can make gigabytes of a short line (`replace`, `join`,
`~` in a loop), and no inspection finds all. So the kernel sets the limit.

Imports nothing of `app`.
"""

import os
import pickle
import resource
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.compiler import CodeGenerator
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

OUTPUT_CAP = 1 << 20  # characters
MEMORY = 48 << 20  # bytes beyond what the process needs to start
SECONDS = 1.0
OK, FAILED = b"+", b"-"
NEEDED = b"it needed more than %d MiB" % (MEMORY >> 20)
FRAME = struct.Struct("!I")
_FILTERS = (
    "abs", "batch", "capitalize", "default", "dictsort", "e", "escape", "first", "float",
    "forceescape", "int", "items", "join", "last", "length", "list", "lower", "map", "max",
    "min", "reject", "replace", "round", "select", "sort", "string", "sum", "title", "tojson",
    "trim", "truncate", "unique", "upper", "urlencode",
)  # fmt: skip
# Methods that turn a number into a string of any length.
_WIDENING = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs", "format", "format_map"})


class _Unfolded(CodeGenerator):
    """Disables constant folding: profiles are checked in a process without limits."""

    def _output_child_to_const(self, node: nodes.Expr, frame: Any, finalize: Any) -> str:
        if not isinstance(node, nodes.TemplateData):
            raise nodes.Impossible
        return super()._output_child_to_const(node, frame, finalize)


class _Sandbox(ImmutableSandboxedEnvironment):
    code_generator_class = _Unfolded
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
    made = _Sandbox(autoescape=escape, keep_trailing_newline=True, optimized=False)
    made.globals = {"range": made.globals["range"]}
    made.filters = {name: made.filters[name] for name in _FILTERS}
    return made


_environments = {True: _environment(True), False: _environment(False)}


@lru_cache(maxsize=64)
def compiled(source: str, escape: bool) -> Template:
    """Compiles the template without evaluating any of it."""
    environment = _environments[escape]
    tree = environment.parse(source)
    if next(tree.find_all(nodes.ScopedEvalContextModifier), None):
        raise SecurityError("autoescape is decided by the answer's content type")
    return environment.from_string(tree)


def rendered(source: str, values: Mapping[str, Any], escape: bool) -> tuple[bytes, bytes]:
    """Returns OK and the text, or FAILED and the fault, which does not quote the request."""
    parts: list[str] = []
    left = OUTPUT_CAP
    try:
        for part in compiled(source, escape).generate(values):
            parts.append(part)
            left -= len(part)
            if left < 0:
                return FAILED, b"it wrote more than %d characters" % OUTPUT_CAP
    except TemplateError as e:
        # A syntax error's text quotes the template, the others' text names what it lacks.
        return FAILED, f"{type(e).__name__}: {e}".encode("utf-8", "replace")
    except MemoryError:
        raise
    except Exception as e:
        return FAILED, type(e).__name__.encode()
    return OK, "".join(parts).encode("utf-8", "replace")


def receive(connection: socket.socket) -> bytes:
    """Receives one frame; b"" when the other side is gone."""
    head = _exactly(connection, FRAME.size)
    return _exactly(connection, FRAME.unpack(head)[0]) if head else b""


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = connection.recv(min(size, 1 << 20))
        if not part:
            return b""
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return  # macOS enforces no such limit
    most = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> None:
    connection = socket.socket(fileno=0)
    compiled("{{ ''|tojson }}{% for a in [] %}{% endfor %}", True).render()  # loads modules first
    _limit()
    connection.sendall(FRAME.pack(1) + OK)
    while asked := receive(connection):
        # The caller's own timeout comes first; this one is for a caller that is gone.
        signal.setitimer(signal.ITIMER_REAL, 2 * SECONDS)
        try:
            said, text = rendered(*pickle.loads(asked))  # noqa: S301 - of our own app
        except MemoryError:
            # The process may be damaged: exit, so that a new one serves the next request.
            said, text = FAILED, NEEDED
            connection.sendall(FRAME.pack(1 + len(text)) + said + text)
            sys.exit(1)
        connection.sendall(FRAME.pack(1 + len(text)) + said + text)
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
