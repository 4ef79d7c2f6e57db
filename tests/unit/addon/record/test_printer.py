import fcntl
import io
import os
import threading
from pathlib import Path

import pytest

from addon.record import printer
from addon.record.printer import Printer
from tests.waiting import wait_for


class Pipe:
    """A pipe of one page, its reading end here."""

    def __init__(self) -> None:
        self.read_end, write_end = os.pipe()
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
        self.stream = os.fdopen(write_end, "wb", buffering=0)
        self.lost = 0
        self.printer = Printer(self.stream, self.count)
        self.printer.start()

    def count(self, number: int) -> None:
        self.lost += number

    def close(self) -> None:
        self.stream.close()
        os.close(self.read_end)


def read_all(fd: int, into: bytearray) -> threading.Thread:
    def run() -> None:
        while data := os.read(fd, 1 << 16):
            into.extend(data)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("blocking", [True, False])
def test_lines_come_whole_and_in_order(blocking: bool) -> None:
    pipe = Pipe()
    os.set_blocking(pipe.stream.fileno(), blocking)
    lines = [f"line {n} {'x' * (n * 37 % 5000)}".encode() for n in range(300)]
    got = bytearray()
    pipe.printer.put(lines)
    reader = read_all(pipe.read_end, got)
    pipe.printer.close(10)
    pipe.stream.close()
    reader.join()
    os.close(pipe.read_end)
    assert bytes(got).split(b"\n") == [*lines, b""]
    assert pipe.lost == 0


def test_a_stream_that_nobody_reads_blocks_nobody() -> None:
    pipe = Pipe()
    line = b"x" * 1000
    number = 3 * printer.QUEUE_SIZE // len(line)
    for _ in range(number):
        pipe.printer.put([line])
    assert 0 < pipe.lost < number
    pipe.printer.close(0.05)
    assert number - 10 <= pipe.lost <= number  # a page of the pipe may have been printed
    got = bytearray()  # the thread is still there; let it go
    reader = read_all(pipe.read_end, got)
    pipe.stream.close()
    reader.join()
    os.close(pipe.read_end)


def test_a_closed_stream_is_counted_and_no_other_file_is_written_to(tmp_path: Path) -> None:
    pipe = Pipe()
    os.close(pipe.read_end)
    number = pipe.stream.fileno()
    pipe.stream.close()
    with (tmp_path / "other").open("wb", buffering=0) as other:
        os.dup2(other.fileno(), number)  # the number belongs to something else now
        pipe.printer.put([b"one", b"two"])
        wait_for(lambda: pipe.lost == 2)
        pipe.printer.put([b"three"])
        pipe.printer.close(5)
        if number != other.fileno():
            os.close(number)
    assert pipe.lost == 3
    assert (tmp_path / "other").read_bytes() == b""


def test_a_torn_line_does_not_spoil_the_next() -> None:
    class Disk(io.BytesIO):
        room = 8

        def write(self, data: bytes) -> int:  # type: ignore[override]
            taken = super().write(data[: self.room])
            self.room -= taken
            if not taken:
                raise OSError(28, "No space left on device")
            return taken

    disk, lost = Disk(), []
    printer = Printer(disk, lost.append)
    printer.start()
    printer.put([b"first", b"second"])
    wait_for(lambda: sum(lost) == 1)
    disk.room = 100
    printer.put([b"third"])
    printer.close(5)
    assert disk.getvalue() == b"first\nse\nthird\n"
    assert sum(lost) == 1


def test_lines_after_the_end_are_counted() -> None:
    stream, lost = io.BytesIO(), []
    printer = Printer(stream, lost.append)
    printer.put([b"before the start"])
    printer.start()
    printer.close(5)
    printer.put([b"late"])
    assert stream.getvalue() == b"before the start\n" and lost == [1]
