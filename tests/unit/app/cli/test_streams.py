"""app/cli/streams.py: closed standard streams, and characters that they cannot encode. With real
commands: tests/integration/test_command_line.py."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SETTLED = "import sys, os; from app.cli import streams; streams.settle(); "


def python(code: str, how: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {how}', sys.executable, SETTLED + code],
        env={"PYTHONPATH": str(Path(__file__).parents[4]), **environ},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("how", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_a_file_does_not_take_the_place_of_a_closed_stream(how: str) -> None:
    done = python("sys.exit(os.open('/dev/null', os.O_RDONLY))", how)
    assert done.returncode >= 3


def test_what_is_written_to_closed_output_is_an_error_once() -> None:
    code = (
        "print('x'); e = streams.trouble(); print('y'); sys.exit(e.errno + bool(streams.trouble()))"
    )
    done = python(code, ">&-")
    assert (done.returncode, done.stderr) == (9, b"")  # EBADF
    assert python("print('x'); sys.exit(bool(streams.trouble()))", "").returncode == 0


def test_a_closed_input_cannot_be_read() -> None:
    done = python("\ntry: sys.stdin.buffer.read()\nexcept OSError as e: sys.exit(e.errno)", "<&-")
    assert done.returncode == 9


def test_a_child_finds_them_closed_too() -> None:
    code = "import subprocess; sys.exit(subprocess.call(['sh', '-c', 'echo x']))"
    assert python(code, ">&-").returncode != 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_what_a_stream_cannot_encode_is_escaped_as_in_json(encoding: str) -> None:
    text = "a\u00e9\u6f22\U0001f43f\udcff"
    code = f"import json; print(json.dumps({text!a}, ensure_ascii=False))"
    done = python(code, "", PYTHONIOENCODING=encoding)
    assert done.stderr == b""
    assert json.loads(done.stdout.decode(encoding)) == text
