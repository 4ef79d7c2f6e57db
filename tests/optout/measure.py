"""Tries the switches of real products, and writes what came of it into `results.json`, which
docs/concepts/optout.md shows:

    python -m tests.optout.measure [PRODUCT…]

as root, after `make clients`: each audit runs in a network of its own that leads nowhere.
"""

import datetime
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.clients.table import INSTALLED
from tests.netns import PATH, ROOT
from tests.optout.table import PLACE, PRODUCTS, Product

RESULTS = Path(__file__).with_name("results.json")
# As root, with loopback up and no other network.
ALONE = ["unshare", "--net", "--mount", "sh", "-ec", 'ip link set lo up; exec "$@"', "-"]


def programs(product: Product) -> Path:
    """The folder with the product's programs."""
    if product.is_npm:
        return PLACE / product.profile / "node_modules/.bin"
    if "==" in product.packages[0]:
        return PLACE / product.profile / "bin"
    return INSTALLED / "bin"


def install(product: Product) -> None:
    folder = PLACE / product.profile
    if programs(product).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    if product.is_npm:
        command = ["npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit",
                   "--no-fund", "--loglevel", "error", *product.packages]  # fmt: skip
    else:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        command = [str(folder / "bin/pip"), "install", "--quiet", *product.packages]
    subprocess.run(command, check=True)


def version(product: Product) -> str:
    name = product.packages[0]
    if product.is_npm:
        return name
    if "==" in name:
        return name.replace("==", " ")
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    python = programs(product) / "python"
    said = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    return f"{name} {said.stdout.strip()}"


def audit(product: Product, folder: Path, *more: str) -> dict[str, Any]:
    """The audit's JSON; `more` are options of telemock's."""
    for name, text in product.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    if product.is_npm:
        (folder / "node_modules").symlink_to(PLACE / product.profile / "node_modules")
    also = [word for one in product.also for word in ("--also", one)]
    done = subprocess.run(
        [*ALONE, sys.executable, "-P", "-m", "app.cli", "optout", product.profile, "--json",
         *also, *more, "--", *shlex.split(product.command)],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": f"{programs(product)}:{PATH}", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    if not done.stdout or done.returncode not in (0, 1):
        sys.exit(f"{product.profile}: {done.returncode}: {done.stderr}")
    return dict(json.loads(done.stdout))


def brief(product: Product, found: dict[str, Any]) -> dict[str, Any]:
    ways = [("without a switch", found["without"])]
    ways += [(one["switch"], one) for one in found["switches"]]
    ways += [("without, again", found["again"])]
    return {
        "product": found["title"],
        "version": version(product),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": product.command,
        "conclusion": found["conclusion"],
        "rows": [[name, one["result"], "; ".join(one["why"])] for name, one in ways],
    }


def main(asked: list[str]) -> None:
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for product in PRODUCTS:
        if asked and product.profile not in asked:
            continue
        install(product)
        with tempfile.TemporaryDirectory() as folder:
            found = audit(product, Path(folder))
        results[product.profile] = brief(product, found)
        print(f"{product.profile}: {found['conclusion']}", flush=True)
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
