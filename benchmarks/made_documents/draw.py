"""Write cases with one producer: python -m made_documents.draw PRODUCER CASES.json. Runs in the makers' environment.

The JSON is a list of [case, path]. A case that the producer has no means for is left out.
"""

from __future__ import annotations

from making.printing import write

PRODUCERS = {
    "chromium": "from_html",
    "libreoffice": "from_html",
    "typst": "from_typst",
    "weasyprint": "from_html",
}

if __name__ == "__main__":
    write("made_documents", PRODUCERS)
