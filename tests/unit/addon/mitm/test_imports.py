"""addon/mitm/imports.py, in a process of its own: what the sidecar imports, and what not."""

import subprocess
import sys

from tests.sidecar import ROOT


def ran(code: str) -> str:
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return made.stdout.strip()


def test_the_sidecar_imports_only_the_addons_that_it_uses() -> None:
    shown = ran(
        "import sys, addon.proxy; print(*sorted(m for m in sys.modules"
        " if m.startswith('mitmproxy.addons.') or m in ('flask', 'ldap3', 'tornado', 'urwid')))"
    )
    assert shown.split() == [
        f"mitmproxy.addons.{name}"
        for name in ("core", "next_layer", "proxyserver", "termlog", "tlsconfig")
    ]


def test_what_is_imported_already_stays() -> None:
    assert ran(
        "import mitmproxy.addons as a; before = a.default_addons; import addon.proxy;"
        " import mitmproxy.addons; print(mitmproxy.addons.default_addons is before)"
    ) == "True"  # fmt: skip


def test_what_is_never_used_is_not_imported() -> None:
    shown = ran(
        "import sys, addon.proxy; print(*sorted(m for m in sys.modules if m.startswith("
        "('pyparsing.', 'ruamel.yaml.', 'pylsqpack', 'mitmproxy.contentviews', 'service_identity',"
        " 'bcrypt.', 'zipfile.')"
        ")), type(sys.modules['aioquic']).__name__)"
    )
    assert shown == "Absent"


def test_a_start_without_opentelemetry_needs_no_typing_extensions() -> None:
    assert ran(
        "import sys, addon.__main__, addon.proxy, msgspec;"
        " print('typing_extensions' in sys.modules,"
        " msgspec.json.decode(b'[1]', type=tuple[int]), msgspec.inspect.type_info(int))"
    ) == "False (1,) IntType(gt=None, ge=None, lt=None, le=None, multiple_of=None)"  # fmt: skip


def test_what_is_left_out_until_it_is_used_works_then() -> None:
    assert ran(
        "import addon.proxy; from mitmproxy import options, optmanager;"
        "o = options.Options(); optmanager.load(o, 'confdir: /elsewhere'); print(o.confdir)"
    ) == "/elsewhere"  # fmt: skip
    assert ran(
        "import addon.proxy, calendar, zipfile;"
        "print(calendar.timegm((1970, 1, 1, 0, 0, 1)), zipfile.is_zipfile('/dev/null'))"
    ) == "1 False"  # fmt: skip


def test_requests_does_without_what_guesses_encodings() -> None:
    shown = ran(
        "import sys, addon.proxy, app.otel.session; print('requests.sessions' in sys.modules,"
        " *(m for m in sys.modules if m.startswith('charset_normalizer.')))"
    )
    assert shown == "True"


def test_an_absent_class_is_a_class_that_nothing_is_of() -> None:
    assert ran(
        "import addon.proxy; from aioquic.quic import Connection, Event, Event as Again;"
        "print(Event is Again, Event is Connection, isinstance(1, Event))"
    ) == "True False False"  # fmt: skip
