import shutil
import subprocess
import sys
from pathlib import Path

from app.version import VERSION

ROOT = Path(__file__).parents[3]


def test_it_is_a_version() -> None:
    assert VERSION[0].isdigit()


def test_the_package_has_it(tmp_path: Path) -> None:
    """Read as pip reads it, from a tree that holds of the app no more than the sidecar's image."""
    (tmp_path / "app").mkdir()
    for name in ("pyproject.toml", "LICENSE", "README.md", "app/__init__.py", "app/version.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    code = "from setuptools.build_meta import prepare_metadata_for_build_wheel as p; p('.')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    (metadata,) = tmp_path.glob("*.dist-info/METADATA")
    assert f"\nVersion: {VERSION}\n" in metadata.read_text()
