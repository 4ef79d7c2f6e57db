import json
import logging
import os
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from addon.app_client.client import AppApi
from addon.diagnostics.metrics import Measure
from addon.record import logs
from addon.record.logs import LogHandler, install
from addon.record.ship import Shipper
from app.contract.masking.masker import Masker
from app.contract.record import CaptureRecord, Workload
from app.contract.rules import RuleSet
from app.otel.lines import current
from app.otel.metrics import Metrics
from tests.canary import find_secret
from tests.standin import TOKEN, StandIn

MASKER = Masker(RuleSet())
SECRET = "c4n4ry-of-the-token"


class Case:
    def __init__(self, directory: Path) -> None:
        self.app = StandIn()
        self.metrics = Metrics("sidecar")
        self.stderr = BytesIO()
        self.masker = MASKER
        self.shipper = Shipper(
            directory,
            AppApi(self.app.url, lambda: TOKEN),
            lambda: MASKER,
            1 << 20,
            None,
            self.metrics,
            Measure(self.metrics, RuleSet),
        )
        self.shipper.start()
        self.handler = LogHandler(
            self.shipper, lambda: self.masker, Workload(pod="cribl-0"), self.metrics, self.stderr
        )

    def lines(self) -> list[str]:
        return self.stderr.getvalue().decode().splitlines()

    def shipped(self) -> list[CaptureRecord]:
        """After everything was delivered."""
        assert self.shipper.close(5) == 0
        return sorted(self.app.records(), key=lambda r: r.seq)

    def left_out(self) -> float:
        labels = {"telemock_stream": "stderr"}
        return self.metrics.registry.get_sample_value("telemock_output_dropped_total", labels) or 0


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    case = Case(tmp_path / "spool")
    install(case.handler, "INFO")
    yield case
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    for name in logs.OURS:
        logging.getLogger(name).setLevel(logging.NOTSET)
    case.handler.close()
    case.shipper.close(0)
    case.app.stop()


def test_lines_as_json_carry_the_request_and_the_pod(case: Case) -> None:
    handler = LogHandler(
        case.shipper,
        lambda: case.masker,
        Workload(namespace="logs", pod="cribl-0"),
        case.metrics,
        case.stderr,
        as_json=True,
    )
    install(handler, "INFO")
    ids = current.set(("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"))
    logging.getLogger("addon.sidecar").info("hello \x1b[2J%s", "wörld\nforged")
    current.reset(ids)
    handler.close()
    (line,) = case.lines()
    said = json.loads(line)
    assert said.pop("timestamp")[10] == "T"
    assert said == {
        "level": "INFO",
        "logger": "addon.sidecar",
        "message": "hello \x1b[2Jwörld\nforged",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "namespace": "logs",
        "pod": "cribl-0",
    }
    assert line.isascii() and "\x1b" not in line
    (record,) = case.shipped()
    assert (record.trace_id, record.span_id) == (said["trace_id"], said["span_id"])


def test_a_line_goes_to_standard_error_and_to_the_app(case: Case) -> None:
    logging.getLogger("addon.sidecar").info("hello %s", "world")
    case.handler.close()
    (line,) = case.lines()
    assert line.endswith(" INFO addon.sidecar: hello world") and line[10] == "T"
    (record,) = case.shipped()
    assert record.kind == "log" and record.log is not None and record.workload.pod == "cribl-0"
    assert (record.log.level, record.log.logger) == ("INFO", "addon.sidecar")
    assert record.log.message == "hello world"
    names = ("kind", "action", "profile", "rule", "status_class")
    labels = {f"telemock_{n}": "log" if n == "kind" else "" for n in names}
    assert case.metrics.registry.get_sample_value("telemock_captures_total", labels) == 1


def test_libraries_speak_from_warning_on(case: Case) -> None:
    logging.getLogger("mitmproxy.proxy.server").info("client connect")
    logging.getLogger("mitmproxy.proxy.server").warning("trouble")
    logging.getLogger("addon.sidecar").debug("detail")
    case.handler.close()
    assert [x.split(": ", 1)[1] for x in case.lines()] == ["trouble"]
    assert [r.log and r.log.message for r in case.shipped()] == ["trouble"]


def test_debug_shows_more_here_and_ships_no_more(case: Case) -> None:
    install(case.handler, "DEBUG")
    logging.getLogger("mitmproxy.proxy.server").info("client connect")
    logging.getLogger("addon.sidecar").debug("detail")
    case.handler.close()
    assert [x.split(": ", 1)[1] for x in case.lines()] == ["client connect", "detail"]
    assert case.shipped() == []


def test_no_other_handler_is_left_to_print_unmasked(case: Case) -> None:
    logging.getLogger().addHandler(logging.StreamHandler(BytesIO()))  # type: ignore[type-var]
    install(case.handler, "INFO")
    assert logging.getLogger().handlers == [case.handler]


def test_request_heads_are_masked_everywhere(case: Case) -> None:
    head = f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n\r\n"
    logging.getLogger("mitmproxy.proxy.server").warning("bad request: %r %s", head.encode(), head)
    try:
        raise ValueError(head)
    except ValueError:
        logging.getLogger("addon.sidecar").exception("broke")
    case.handler.close()
    records = case.shipped()
    assert len(case.lines()) == len(records) == 2
    assert "Traceback" in case.lines()[1]
    assert not find_secret(case.stderr.getvalue() + b"".join(case.app.posts), SECRET)


def test_hostile_text_stays_one_line(case: Case) -> None:
    evil = "\x1b[31mred\r\nFAKE INFO addon.sidecar: all is well\u2028\u202e\udcff"
    logging.getLogger("addon.sidecar").warning("%s", evil)
    case.handler.close()
    (line,) = case.lines()
    assert line.isprintable() and r"\x1b[31mred\r\nFAKE" in line
    (record,) = case.shipped()
    assert record.log is not None and record.log.message.startswith("\x1b[31mred\r\nFAKE")


class Raising(Masker):
    def line(self, text_: str) -> str:
        raise ValueError(f"cannot mask {text_}")


class Chatty(Masker):
    def line(self, text_: str) -> str:
        logging.getLogger("app.contract.masking.masker").warning("masking %s", text_)
        return text_


def test_what_cannot_be_masked_is_not_printed(case: Case) -> None:
    case.masker = Raising(RuleSet())
    logging.getLogger("addon.sidecar").warning("token %s", SECRET)
    case.handler.close()
    assert case.lines() == [] and case.shipped() == [] and case.left_out() == 1


def test_a_masker_that_logs_does_not_go_round(case: Case) -> None:
    case.masker = Chatty(RuleSet())
    logging.getLogger("addon.sidecar").warning("once")
    case.handler.close()
    assert [x.split(": ", 1)[1] for x in case.lines()] == ["once"]


def test_lines_about_delivery_are_not_delivered(case: Case) -> None:
    for name in logs.NOT_SHIPPED:
        logging.getLogger(name).error("the app refused 1 records")
    case.handler.close()
    assert len(case.lines()) == len(logs.NOT_SHIPPED) and case.shipped() == []


def test_floods_are_cut_and_counted(case: Case) -> None:
    log = logging.getLogger("addon.sidecar")
    for second, number in ((1_000_000, 80), (1_000_001, 60), (1_000_002, 1)):
        for n in range(number):
            record = log.makeRecord(log.name, logging.WARNING, "", 0, f"line {n}", (), None)
            record.created = second + n / 1000
            case.handler.handle(record)
    for n in range(logs.RATE + 4):
        record = log.makeRecord(log.name, logging.WARNING, "", 0, f"line {n}", (), None)
        record.created = 1_000_003
        case.handler.handle(record)
    case.handler.close()
    said = [x.split(": ", 1)[1] for x in case.lines()]
    assert [x for x in said if "left out" in x] == [
        "30 lines left out", "10 lines left out", "4 lines left out"
    ]  # fmt: skip
    assert len(said) == 3 * logs.RATE + 1 + 3 and case.left_out() == 44
    assert len(case.shipped()) == len(said)


def test_the_last_lines_are_printed_after_the_shipper_has_ended(case: Case) -> None:
    assert case.shipped() == []
    logging.getLogger("addon.process").warning("stopping")
    case.handler.close()
    assert [x.split(": ", 1)[1] for x in case.lines()] == ["stopping"]
    assert case.shipper.stats()["reserved"] == 0 and case.shipper.stats()["dropped"] == {}


def test_without_standard_error_lines_still_reach_the_app(case: Case) -> None:
    handler = LogHandler(case.shipper, lambda: MASKER, Workload(), case.metrics, None)
    install(handler, "INFO")
    logging.getLogger("addon.sidecar").info("hello")
    handler.close()
    assert [r.log and r.log.message for r in case.shipped()] == ["hello"] and case.lines() == []


def test_long_lines_are_cut_after_masking(case: Case) -> None:
    logging.getLogger("addon.sidecar").warning("x" * 1_000_000)
    case.handler.close()
    (record,) = case.shipped()
    assert record.log is not None and len(record.log.message) == logs.LINE_SIZE


def test_standard_error_that_nobody_reads_blocks_nobody(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    metrics = Metrics("sidecar")
    shipper = Shipper(
        tmp_path,
        AppApi("http://127.0.0.1:1", str),
        lambda: MASKER,
        1 << 20,
        None,
        metrics,
        Measure(metrics, RuleSet),
    )
    with os.fdopen(write_end, "wb", buffering=0) as stderr:
        handler = LogHandler(shipper, lambda: MASKER, Workload(), metrics, stderr)
        log = logging.getLogger("addon.sidecar")
        for second in range(40):
            record = log.makeRecord(log.name, logging.WARNING, "", 0, "x" * 8000, (), None)
            record.created = second
            handler.handle(record)
        assert os.read(read_end, 1)  # only now, when more was logged than the pipe holds
        drain = threading.Thread(
            target=lambda: [x for x in iter(lambda: os.read(read_end, 9999), b"")]
        )
        drain.start()
        handler.close()
    drain.join(5)
    assert not drain.is_alive()
    os.close(read_end)
    shipper.close(0)
