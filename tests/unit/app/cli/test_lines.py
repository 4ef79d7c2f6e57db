"""Lines cannot act on the terminal, and say the same."""

import json

from app.cli.lines import harmless


def test_harmless_json_says_the_same() -> None:
    line = json.dumps({"a": "\x1b\x7f\x9b\u202eé\U000e0001", "b": "\n"}, ensure_ascii=False)
    assert json.loads(harmless(line.encode())) == json.loads(line)
    assert harmless(line.encode()).isprintable()
    assert "é" in harmless(line.encode())
