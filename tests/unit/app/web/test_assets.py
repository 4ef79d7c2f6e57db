import gzip
import hashlib
from pathlib import Path

from app.web.assets import ASSETS, VENDORED
from tests.serving import Served

STATIC = Path(__file__).parents[4] / "app/web/static"


def test_files_of_others_are_as_they_were_published() -> None:
    found = {
        p.relative_to(STATIC).as_posix()
        for p in (STATIC / "vendor").iterdir()
        if p.suffix != ".txt"
    }
    assert found == set(VENDORED)
    for name, of in VENDORED.items():
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == of.sha256, name
        assert of.version in name
        licence = STATIC / "vendor" / f"{Path(name).name.removesuffix('.min.js')}.LICENSE.txt"
        assert licence.stat().st_size > 200


def test_no_file_of_ours_names_another_site() -> None:
    for name in ASSETS.keys() - VENDORED.keys():
        text = (STATIC / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert "//" not in text.replace("// ", "") or name.endswith(".js"), name
        assert "http:" not in text and "https:" not in text, name


def test_files_are_served_packed_typed_and_for_good(served: Served) -> None:
    for name, asset in ASSETS.items():
        plain = served.bare.get(asset.url, headers={"accept-encoding": "identity"})
        assert plain.content == (STATIC / name).read_bytes()
        assert "immutable" in plain.headers["cache-control"]
        assert plain.headers["x-content-type-options"] == "nosniff"
        packed = served.bare.get(asset.url)
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == plain.content
        assert gzip.decompress(asset.packed) == asset.content
    assert served.bare.get("/assets/x/page.css").status_code == 404
    assert served.bare.get("/assets/../page.py").status_code == 404
