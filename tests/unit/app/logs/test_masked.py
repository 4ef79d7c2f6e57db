import io
import json
import logging
import time
from datetime import datetime
from pathlib import Path

import pytest

from app.contract.masking.masker import Masker
from app.logs.files import LogFiles
from app.logs.masked import MaskedFormatter, masked_logging
from app.otel.lines import current
from app.profiles import load_profiles

SECRET = "canary-lic-0123456789"


@pytest.fixture
def masker() -> Masker:
    return Masker(load_profiles(["cribl"]))


def test_a_line_is_masked_with_its_traceback(masker: Masker) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(MaskedFormatter(lambda: masker))
    logger = logging.Logger("somewhere")
    logger.addHandler(handler)
    try:
        raise ValueError(f"bad url https://cdn.cribl.io/telemetry/?lic={SECRET}")
    except ValueError:
        logger.exception("GET /telemetry/?v=1&lic=%s HTTP/1.1\nforged", SECRET)
    text = stream.getvalue()
    assert SECRET not in text
    lines = text.splitlines()
    assert "ERROR somewhere: GET /telemetry/?v=1&lic=***" in lines[0]
    assert lines[0].endswith("\\nforged")
    assert len(lines) > 2 and all(line.startswith("    ") for line in lines[1:])


def test_json_is_one_masked_object_with_the_ids_of_the_request(masker: Masker) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(MaskedFormatter(lambda: masker, as_json=True))
    logger = logging.Logger("somewhere")
    logger.addHandler(handler)
    before = current.set(("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"))
    try:
        raise ValueError(f"bad url https://cdn.cribl.io/telemetry/?lic={SECRET}")
    except ValueError:
        logger.exception("GET /telemetry/?v=1&lic=%s HTTP/1.1\n\x1b[2Jforged é", SECRET)
    finally:
        current.reset(before)
    logger.warning("later")
    text = stream.getvalue()
    assert SECRET not in text and text.isascii() and "\x1b" not in text
    first, later = map(json.loads, text.splitlines())
    assert first.pop("exception").startswith("Traceback ")
    assert abs(datetime.fromisoformat(first.pop("timestamp")).timestamp() - time.time()) < 60
    assert first == {
        "level": "ERROR",
        "logger": "somewhere",
        "message": "GET /telemetry/?v=1&lic=*** HTTP/1.1\n\x1b[2Jforged é",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
    }
    assert (later["message"], later["trace_id"], later["span_id"]) == ("later", "", "")
    assert "exception" not in later


def test_lines_that_standard_error_does_not_take_are_counted(
    masker: Masker, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[str] = []
    full = io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True)
    with full, monkeypatch.context() as patch:
        patch.setattr("sys.stderr", full)
        with masked_logging("INFO", lambda: masker, lost=lost.append):
            logging.getLogger("other").warning("one")
            logging.getLogger("other").warning("%d", "no number")
    assert lost == ["stderr", "stderr"]


def test_every_logger_goes_through_and_is_given_back(
    masker: Masker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uvicorn = logging.getLogger("uvicorn")
    access = logging.getLogger("uvicorn.access")
    raw = logging.StreamHandler(io.StringIO())
    uvicorn.addHandler(raw)
    before = (uvicorn.propagate, access.propagate, logging.getLogger().level)
    files = LogFiles(tmp_path)
    with masked_logging("INFO", lambda: masker, [files.handler()]):
        logging.getLogger("uvicorn.error").info("failed at ?lic=%s", SECRET)
        logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" 403', "a", "not shown")
        logging.getLogger("other").debug("not shown")
        # uvicorn writes its access log only when there is a handler.
        assert not access.hasHandlers()
        logging.getLogger("other").warning("%d", "no number " + SECRET)
    uvicorn.removeHandler(raw)
    assert (uvicorn.propagate, access.propagate, logging.getLogger().level) == before
    assert raw.stream.getvalue() == ""
    written = (tmp_path / "mock_server.log").read_text()
    for text in (written, capsys.readouterr().err):
        assert "INFO uvicorn.error: failed at ?lic=***" in text
        assert SECRET not in text
        assert "not shown" not in text
