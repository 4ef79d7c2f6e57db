"""Opens texts and bytes: JSON in a string, base64, percent-encoding, compression, forms, and these
in each other. Used by `read` and by the carriers, one Opener a message.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from app.contract.decoding import compressed, compression, form
from app.contract.decoding.bounds import CHAIN, DEPTH, Left, TooMuch, hit
from app.contract.decoding.charset import decoded
from app.contract.decoding.compression import Aside, Undone
from app.contract.decoding.formats import BINARY, may_be_documents, may_be_packed, may_hold, step
from app.contract.decoding.lenient import documents
from app.contract.decoding.looks import ENOUGH, looks
from app.contract.decoding.tree import TOO_MUCH, Opaque, Opened, Several
from app.contract.record import BODY_CAP

Inside = tuple[tuple[str, ...], Any]  # the decodings of a text, and the value that they find

_TEXT = 16  # bytes of text in base64 that cannot be chance
_NODES = frozenset((dict, list, Several))
_SHORT = 128  # characters of a text that is remembered


class Opener:
    """Within one message's bounds. `bound` is the one that was met: then all texts stay closed."""

    def __init__(self) -> None:
        self.left = Left()
        self.bound = ""

    def met(self, bound: TooMuch) -> None:
        self.bound = str(bound)
        hit(self.bound)

    def undo(self, name: str, data: bytes) -> tuple[Undone | None, str]:
        """The bytes without this compression; or what is wrong with them."""
        cap = min(BODY_CAP, self.left.bytes)
        undone = compression.undo(name, data, cap)
        if undone is not None:
            self.left.decoded(len(undone.content))
            if undone.whole:
                return undone, ""
            if len(undone.content) >= cap:
                hit("bytes")
                return None, f"{name}, {TOO_MUCH}"
        return None, f"{name}, damaged"

    def beside(self, value: Any, asides: Iterable[Aside]) -> Any:
        """The value, and what stands beside it under a name of its own."""
        found = Several(value if isinstance(value, Several) else () if value is None else (value,))
        for name, data in asides:
            inner = self.value(data)
            chain = (name, *inner.chain) if isinstance(inner, Opened) else (name,)
            found.append(Opened("", chain, inner.value if isinstance(inner, Opened) else inner))
        return found

    def within(self, node: Any, depth: int = DEPTH) -> Any:
        """The node, with its texts opened in place."""
        if isinstance(node, str):
            return self.text(node, depth)
        if depth == 0 or not isinstance(node, dict | list):
            return node
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            kind = type(value)
            if kind is str:
                if len(value) <= _SHORT and _holds_nothing(value):
                    continue
                if (new := self.text(value, depth - 1)) is not value:
                    node[key] = new
            elif kind in _NODES and value:
                self.within(value, depth - 1)
        return node

    def text(self, written: str, depth: int = DEPTH) -> Any:
        """The text, Opened if it holds something."""
        if self.bound:
            return written
        try:
            inside = self.inside(written, depth)
        except TooMuch as e:
            self.met(e)
            return written
        return written if inside is None else Opened(written, *inside)

    def value(self, data: bytes, charset: str = "utf-8") -> Any:
        """The value of a carrier's part: a text, opened, or what it seems."""
        if not data or not BINARY.search(data):
            return self.text(decoded(data, charset))
        try:
            chain, value = self.of_bytes(data, DEPTH, packed=True) or ((), "")
        except TooMuch as e:
            self.met(e)
            return Opaque(len(data), looks(data))
        return Opened("", chain, value) if chain else value

    def document(self, data: bytes) -> Any:
        """The value of a part that is JSON as a rule."""
        found = documents(data, self.left)
        return self.within(found) if isinstance(found, dict | list) else self.value(data)

    def inside(self, written: str, depth: int = DEPTH, left: int = CHAIN) -> Inside | None:
        if left == 0 or depth <= 0:
            return None
        found = step(written, self.left)
        if found is None:
            return None
        name, value = found
        if name == "json":
            return ("json",), self.within(value, depth - 1)
        if name == "text":
            return _behind("json", self.inside(value, depth - 1, left - 1))
        if name == "form":
            data = written.encode("utf-8", "surrogatepass")
            return ("form",), self.within(self.fields(data), depth - 1)
        tries = name != "base64" or may_be_packed(written)
        inner = self.of_bytes(value, depth, left - 1, tries=tries)
        if name == "percent" and inner is not None and not inner[0]:
            return None
        return _behind(name, inner)

    def of_bytes(
        self,
        data: bytes,
        depth: int,
        left: int = CHAIN,
        *,
        packed: bool = False,
        tries: bool = True,
    ) -> Inside | None:
        """The same for what a text was encoded to, or for what was `packed`: of that all is
        said. `tries` compressions that have no first bytes of their own."""
        if left == 0 or not data:
            return None
        if name := compressed.named(data, tries=tries):
            undone, wrong = self.undo(name, data)
            if undone is not None:
                inner = self.of_bytes(undone.content, depth, left - 1, packed=True)
                if undone.asides:
                    inner = inner or ((), None)
                    inner = inner[0], self.beside(inner[1], undone.asides)
                return _behind(name, inner)
            if name != "deflate":
                return (), Opaque(len(data), wrong)
        if may_be_documents(data):
            found = documents(data, self.left)
            if isinstance(found, dict | list):
                return ("json",), self.within(found, depth - 1)
        try:
            written = "" if BINARY.search(data) else data.decode()
        except UnicodeDecodeError:
            written = ""
        if not written:
            if len(data) >= _TEXT and (told := self._message(data)):
                return ("protobuf",), told
            if not packed and len(data) < ENOUGH:
                return None
            seems = looks(data)
            return ((), Opaque(len(data), seems)) if packed or seems == "encrypted" else None
        inner = self.inside(written, depth, left - 1)
        if inner is None and (packed or len(data) >= _TEXT):
            return (), written
        return inner

    def _message(self, data: bytes) -> Any:
        from app.contract.decoding.messages import is_evident, message  # they open texts, too

        return message(data, self) if is_evident(data) else None

    def fields(self, data: bytes, charset: str = "utf-8") -> dict[str, Any]:
        """The fields of a form: each Several, as any may be given more than once."""
        self.left.documents(data.count(b"&"))
        found: dict[str, Any] = {}
        for name, start, end in form.split(data) or ():
            found.setdefault(name, Several()).append(form.plain(data[start:end], charset))
        return found


@lru_cache(maxsize=4_096)
def _holds_nothing(written: str) -> bool:
    """Remembered: a product sends most texts again and again."""
    return not may_hold(written) or Opener().text(written) is written


def gathered(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Values by name; Several where a name is repeated."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name not in found:
            found[name] = value
        elif isinstance(found[name], Several):
            found[name].append(value)
        else:
            found[name] = Several((found[name], value))
    return found


def _behind(name: str, inner: Inside | None) -> Inside | None:
    return None if inner is None else ((name, *inner[0]), inner[1])
