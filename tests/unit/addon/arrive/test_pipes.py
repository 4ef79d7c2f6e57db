"""addon/arrive/pipes.py: pipes are kept, bounded, and made where the kernel gives no large ones."""

import fcntl
import os
from pathlib import Path

import pytest

from addon.arrive.pipes import KEPT, PIPE_SIZE, Pipes


def files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_empty_pipes_are_used_again_and_few_are_kept() -> None:
    before, pipes = files(), Pipes()
    taken = [pipes.take() for _ in range(KEPT + 3)]
    assert fcntl.fcntl(taken[0].writing, fcntl.F_GETPIPE_SZ) == PIPE_SIZE
    for pipe in taken:
        pipes.give(pipe)
    assert files() - before == 2 * KEPT
    assert pipes.take() in taken
    pipes.close()
    assert files() - before == 2


def test_bytes_of_one_connection_never_reach_another() -> None:
    before, pipes = files(), Pipes()
    pipe = pipes.take()
    pipe.held = os.write(pipe.writing, b"secret")
    pipes.give(pipe)
    assert files() == before


def test_neither_end_blocks() -> None:
    pipe = Pipes().take()
    with pytest.raises(BlockingIOError):
        os.read(pipe.reading, 1)
    assert os.write(pipe.writing, bytes(PIPE_SIZE * 2)) == PIPE_SIZE
    pipe.close()


def test_a_refused_size_costs_nothing_but_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    pipe = Pipes().take()
    assert os.write(pipe.writing, b"x") == 1
    pipe.close()
