import time

import pytest

from app.template import OUTPUT_CAP, TemplateFailed, render


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


def test_time_ends_without_output() -> None:
    loops = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"
    started = time.monotonic()
    with pytest.raises(TemplateFailed, match="longer than"):
        render(loops, {}, html=False)
    assert time.monotonic() - started < 10
