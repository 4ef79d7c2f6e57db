import signal

import pytest

from app.run.stopping import SIGNALS, Stop, Stopped, stopping


@pytest.fixture(autouse=True)
def handlers():
    """The tests may run in the background, or under nohup."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    yield
    for number, did in before.items():
        signal.signal(number, did)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_counts_and_none_ends_the_process(number: signal.Signals) -> None:
    with stopping() as stop:
        stop.check()
        signal.raise_signal(number)
        for later in SIGNALS:
            signal.raise_signal(later)
        with pytest.raises(Stopped) as caught:
            stop.check()
    assert (caught.value.code, str(caught.value)) == (128 + number, number.name)


def test_afterwards_each_has_its_handler_again() -> None:
    signal.signal(signal.SIGTERM, handler := lambda *_: None)
    with pytest.raises(ZeroDivisionError), stopping():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGTERM) is handler
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_what_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stopping() as stop:
        signal.raise_signal(signal.SIGHUP)
        stop.came(signal.SIGHUP)  # of those that wait for it, whom the kernel tells all the same
        stop.check()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert stop.signals == (signal.SIGINT, signal.SIGTERM)


def test_without_signals_nothing_stops() -> None:
    Stop().check()
