"""Write cases with one producer: python -m made_tables.draw PRODUCER CASES.json. Runs in the producers' environment.

The JSON is a list of [case, path]. A case with a block that the producer has no means for is left out.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

PRODUCERS = {
    "chromium": "from_html",
    "weasyprint": "from_html",
    "typst": "from_typst",
    "libreoffice": "from_odt",
    "reportlab": "from_reportlab",
    "fpdf2": "from_fpdf",
}

if __name__ == "__main__":
    producer, listing = sys.argv[1:]
    cases = [(case, Path(path)) for case, path in json.loads(Path(listing).read_text(encoding="utf-8"))]
    getattr(import_module(f"made_tables.{PRODUCERS[producer]}"), producer)(cases)
