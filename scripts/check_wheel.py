"""Install the wheel where nothing of the checkout can be seen, and check that it holds the package and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path


def main(wheel: str) -> None:
    """Check the wheel at the given path."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    foreign = {top for top in tops if top != "nemo_retriever_dagster" and not top.endswith(".dist-info")}
    if foreign:
        sys.exit(f"the wheel holds more than the package: {sorted(foreign)}")
    for name in ("py.typed", "preview/preview.css", "preview/preview.js"):
        if f"nemo_retriever_dagster/{name}" not in names:
            sys.exit(f"the wheel lacks {name}")
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
        subprocess.run([*pip, str(Path(wheel).absolute())], check=True)  # noqa: S603 - our own wheel
        program = (
            "import sys; sys.path.insert(0, sys.argv[1]);"
            "import nemo_retriever_dagster as n; print(n.__file__); n.Ingestor"
        )
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-P", "-c", program, folder], check=True, cwd=folder, capture_output=True, text=True
        )
        if folder not in done.stdout:
            sys.exit(f"another copy than the wheel's was imported: {done.stdout}")
    print(f"{Path(wheel).name}: {len(names)} files, only the package")


if __name__ == "__main__":
    main(*sys.argv[1:])
