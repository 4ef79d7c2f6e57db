import asyncio
import os
import random
import re
import socket
import tempfile
import threading
import time
from pathlib import Path

import pytest

from app.profiles import sandbox, template
from app.profiles.template import OUTPUT_CAP, TemplateFailed, check, render, rendered


def test_values_are_shown() -> None:
    values = {"request": {"query": {"v": "1"}}, "counter": 3}
    assert render("{{ request.query.v }} {{ counter * 2 }}\n", values, html=False) == b"1 6\n"
    assert render("{{ {'a': [1]}|tojson }}", {}, html=False) == b'{"a": [1]}'


def test_html_is_escaped() -> None:
    assert render("{{ v }}", {"v": "<b>"}, html=True) == b"&lt;b&gt;"
    assert render("{{ v }}", {"v": "<b>"}, html=False) == b"<b>"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{% if %}", "TemplateSyntaxError"),
        ("{{ a.b.c }}", "UndefinedError"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{{ 'a' * 10**9 }}", "SecurityError"),
        ("{{ 2 ** 99 ** 99 }}", "SecurityError"),
        ("{{ '%99999999999d' % 1 }}", "SecurityError"),
        ("{{ '{:99999999999}'.format(1) }}", "SecurityError"),
        ("{{ 'a'.center(99999999999) }}", "SecurityError"),
        ("{{ 'a'|center(99999999999) }}", "No filter named"),
        ("{{ lipsum(n=100000) }}", "UndefinedError"),
        ("{% include 'x' %}", "TypeError|TemplateNotFound"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "RecursionError"),
    ],
)
def test_what_a_template_may_not(source: str, why: str) -> None:
    with pytest.raises(TemplateFailed, match=why):
        render(source, {}, html=False)


def test_output_ends() -> None:
    with pytest.raises(TemplateFailed, match=f"more than {OUTPUT_CAP}"):
        render("{% for a in range(100000) %}{{ 'a' }}0123456789012{% endfor %}", {}, html=False)


LONG = [
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "{% for a in range(100000) %}{{ range(100000)|sum and '' }}{% endfor %}",
    "{{ [range(90000)|list|string]|map('replace', '1', '2')|list|length }}" * 300,
]


def grown(start: str, step: str, times: int) -> str:
    """Begins with one expression, and makes another of it again and again."""
    return f"{{% set s = {start} %}}" + f"{{% set s = {step} %}}" * times + "{{ s|length }}"


LARGE = [
    grown("'aaaaaaaa'", "s|replace('a', 'aaaaaaaa')", 10),
    "{{ 'aaaaaaaa'" + "|replace('a', 'aaaaaaaa')" * 10 + "|length }}",
    "{{ v" + ".replace('a', 'aaaaaaaa')" * 10 + "|length }}",
    grown("v", "s ~ s ~ s ~ s", 16),
    grown("v", "s + s + s + s", 16),
    grown("[1]", "s + s + s + s", 16),
    grown("range(1000)|list|string", "[s, s, s, s]|join(s)", 8),
    grown("v", "s.join([s, s, s, s])", 16),
    grown("v", "[s|tojson, s|tojson]|tojson", 24),
    grown("'<<<<'", "s|forceescape|replace('&', '&&&&')", 12),
    grown("'%%%%'", "s|urlencode|replace('%', '%%%%')", 12),
    grown("v", "s.translate({97: s, 98: s})", 12),
    grown("range(99999)|map('string')|list", "s|map('replace', '9', '99' ~ v)|list", 9),
    "{% set s %}{% for a in range(90000) %}{{ range(1000)|join }}{% endfor %}{% endset %}{{ s }}",
    "{{ (1).to_bytes(999999999)|length }}",
]


def peak(pid: int) -> int:
    """Bytes of memory that a process ever used."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.parametrize("source", LONG, ids=range(len(LONG)))
def test_time_ends_without_output(source: str) -> None:
    started = time.monotonic()
    with pytest.raises(TemplateFailed, match=r"longer than|needed more"):
        render(source, {}, html=False)
    assert time.monotonic() - started < 10
    started = time.monotonic()
    with pytest.raises(TemplateFailed):
        render(source, {}, html=False)
    assert time.monotonic() - started < sandbox.SECONDS  # it rests
    assert render("{{ 1 + 1 }}", {}, html=False) == b"2"


@pytest.mark.parametrize("source", LARGE, ids=range(len(LARGE)))
def test_memory_ends_whatever_makes_it_grow(source: str) -> None:
    before = peak(os.getpid())
    check(source)
    with pytest.raises(TemplateFailed, match=r"needed more than 48 MiB|longer than"):
        render(source, {"v": "a" * 50}, html=False)
    assert peak(os.getpid()) - before < 20 << 20  # nothing is evaluated at the check either


def test_nothing_a_template_makes_is_larger_than_its_process_may_be() -> None:
    """Whatever the steps are: a thousand random ones, of few of which anybody knows the size."""
    chosen = random.Random(12)
    steps = [
        "|replace('a', 'aaaa')", "|replace('', 'ab')", "|join('aaaa')", "|list", "|string", "|e",
        "|tojson", "|urlencode", "|batch(3)|list", "|sort", "|unique|list", "|map('string')|list",
        " ~ v", " ~ v ~ v ~ v", "|title", "|length", "|default('a')", "|items|list", "|sum",
        ".replace('a', v)", ".join([v, v, v])", ".split('a')", ".encode()", "|trim",
    ]  # fmt: skip
    before, failed = peak(os.getpid()), 0
    for _ in range(60):
        source = "{% set s = v %}"
        for _ in range(chosen.randint(5, 30)):
            source += "{% set s = (s" + chosen.choice(steps) + ") %}"
        try:
            check(source)
            render(source + "{{ s|length }}", {"v": "a" * 20}, html=False)
        except (TemplateFailed, ValueError):
            failed += 1
    assert 0 < failed < 60
    assert peak(os.getpid()) - before < 20 << 20


def test_the_next_one_is_rendered_after_one_that_needed_too_much() -> None:
    for n in range(20):
        with pytest.raises(TemplateFailed, match="needed more"):
            render("{{ 'a'|batch(999999999, 'x')|list|length }}" + str(n), {}, html=False)
        assert render("{{ n }}", {"n": n}, html=False) == str(n).encode()


def test_others_are_rendered_while_one_takes_its_time() -> None:
    render("{{ 1 }}", {}, html=False)

    def long() -> None:
        with pytest.raises(TemplateFailed):
            render(LONG[0] + "{# 2 #}", {}, html=False)

    rendered_meanwhile, attempts = 0, 0
    while rendered_meanwhile < 2:  # on a busy machine the long one may be over before
        attempts += 1
        assert attempts <= 50
        slow = threading.Thread(target=long)
        slow.start()
        while slow.is_alive():
            assert render("{{ 1 + 1 }}", {}, html=False) == b"2"
            rendered_meanwhile += slow.is_alive()
        slow.join()


async def test_the_event_loop_goes_on() -> None:
    slow = asyncio.create_task(rendered(LONG[0] + "{# 3 #}", {}, html=False))
    longest, last = 0.0, time.monotonic()
    while not slow.done():
        await asyncio.sleep(0.005)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    assert isinstance(slow.exception(), TemplateFailed)
    assert longest < sandbox.SECONDS


def test_the_process_holds_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    template.close()
    monkeypatch.setenv("TELEMOCK_TEST", "secret")
    with tempfile.TemporaryFile() as ours, socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_inheritable(ours.fileno(), True)
        os.set_inheritable(listener.fileno(), True)
        assert render("{{ 1 }}", {}, html=False) == b"1"
        (worker,) = template._pool._idle
        process = Path(f"/proc/{worker._process.pid}")
        assert b"TELEMOCK" not in (process / "environ").read_bytes()
        assert {fd.name for fd in (process / "fd").iterdir()} <= {"0", "1", "2", "3"}
        limits = (process / "limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)
        assert "Max address space         unlimited" not in limits
    worker._process.kill()
    worker._process.wait()
    assert render("{{ 2 }}", {}, html=False) == b"2"  # another one
    template.close()


def test_a_check_says_what_is_wrong_and_evaluates_nothing() -> None:
    for source in (
        "{% if %}",
        "{{ 1|center }}",
        "{{ 1 is nonsense }}",
        "{% nonsense %}",
        "{{ '" * 5,
    ):
        with pytest.raises(ValueError, match=r"^line \d"):
            check(source)
    with pytest.raises(ValueError, match="too deeply"):
        check("{{ " + "(" * 5000 + ")" * 5000 + " }}")
    with pytest.raises(ValueError, match="autoescape"):
        check("{% autoescape 'a'|replace('a', 'b') %}{% endautoescape %}")
    for source in LARGE + LONG:
        check(source)
