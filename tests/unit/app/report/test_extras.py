import sys

import pytest

from app.report.export import FORMATS
from app.report.extras import MissingPackageError, extra


def test_what_is_installed_is_imported() -> None:
    assert extra("json", "json", "json").loads("1") == 1


@pytest.mark.parametrize(
    "format, module, package",
    [("xlsx", "xlsxwriter", "XlsxWriter"), ("parquet", "pyarrow", "pyarrow")],
)
def test_without_the_package_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, format: str, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError) as said:
        next(FORMATS[format]([]))
    assert str(said.value) == (
        f"--format {format} needs the package {package}\n\nhint: pip install 'telemock[{format}]'"
    )
