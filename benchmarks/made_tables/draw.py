"""Write cases with one producer: python -m made_tables.draw PRODUCER CASES.json. Runs in the producers' environment.

The JSON is a list of [case, path]. A case with a block that the producer has no means for is left out.
"""

from __future__ import annotations

from making.printing import write

PRODUCERS = {
    "chromium": "from_html",
    "weasyprint": "from_html",
    "typst": "from_typst",
    "libreoffice": "from_odt",
    "reportlab": "from_reportlab",
    "fpdf2": "from_fpdf",
}

if __name__ == "__main__":
    write("made_tables", PRODUCERS)
