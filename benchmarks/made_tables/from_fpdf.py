"""A case by fpdf2."""

# ruff: noqa: PLR0912, TC003 - one branch a kind of block

from __future__ import annotations

from pathlib import Path
from typing import Any

_LOOKS = {
    "all": "ALL",
    "rows": "HORIZONTAL_LINES",
    "book": "SINGLE_TOP_LINE",
    "head": "SINGLE_TOP_LINE",
    "none": "NONE",
    "zebra": "NONE",
}


def _table(pdf: Any, table: dict[str, Any], size: float) -> None:
    from fpdf.fonts import FontFace

    sides = {"l": "LEFT", "r": "RIGHT", "c": "CENTER"}
    width = len(table["align"])
    with pdf.table(
        borders_layout=_LOOKS[table["look"]],
        num_heading_rows=table["heads"],
        text_align=tuple(sides[a] for a in table["align"]),
        col_widths=tuple(table.get("widths", [1.4, *([1] * (width - 1))])),
        width=pdf.epw if table["full"] or width > 4 else 0.7 * pdf.epw,
        line_height=1.25 * size + (0 if "widths" in table else table["pad"]),
        padding=(table["pad"] if "widths" in table else 0, 2),
        cell_fill_color=(226, 234, 242) if table["look"] == "zebra" else None,
        cell_fill_mode="EVEN_ROWS" if table["look"] == "zebra" else "NONE",
        headings_style=FontFace(emphasis="BOLD" if table["bold"] else None),
        align="LEFT",
        v_align="T",
    ) as made:
        for row in table["rows"]:
            line = made.row()
            for cell in row:
                line.cell(cell["t"], colspan=cell["cs"], rowspan=cell["rs"], align="CENTER" if cell["cs"] > 1 else None)


def _block(pdf: Any, block: dict[str, Any], case: dict[str, Any]) -> None:
    kind, size = block["kind"], case["size"]
    line = 1.25 * size

    def put(text: str, *, gap: float = 4, align: str = "L", indent: float = 0) -> None:
        pdf.set_x(pdf.l_margin + indent)
        pdf.multi_cell(0, line, text, align=align, new_x="LMARGIN", new_y="NEXT")
        pdf.ln(gap)

    if kind == "table":
        _table(pdf, block, size)
        pdf.ln(8)
    elif kind == "heading":
        pdf.set_font(style="B", size=1.3 * size)
        put(block["t"])
        pdf.set_font(style="", size=size)
    elif kind in {"para", "caption"}:
        put(block["t"], align="J" if case["justify"] else "L")
    elif kind == "list":
        for i, item in enumerate(block["items"], start=1):
            put(f"{f'{i}.' if block['ordered'] else '-'} {item}", gap=2, indent=12)
    elif kind == "toc":
        for number, title, page in block["entries"]:
            text, end = f"{number}  {title} ", f" {page}"
            blank = "." if block["dots"] else " "
            room = pdf.epw - 10 - pdf.get_string_width(text + end)
            put(text + blank * int(room / pdf.get_string_width(blank)) + end, gap=0)
    elif kind == "form":
        for a, b in zip(block["labels"][::2], block["labels"][1::2], strict=True):
            for label in (a, b):
                pdf.cell(pdf.epw / 2, 2 * line, f"{label}: {'_' * 20}")
            pdf.ln(2 * line)
    elif kind == "pair":
        start = pdf.y
        for x, side in ((pdf.l_margin, "left"), (pdf.l_margin + 300, "right")):
            pdf.set_y(start)
            for text in block[side]:
                pdf.set_x(x)
                pdf.cell(0, line, text, new_y="NEXT")
        pdf.ln(20)
    elif kind == "code":
        pdf.set_font("courier", size=0.85 * size)
        for text in block["lines"]:
            put(text, gap=0)
        pdf.set_font("times" if case["serif"] else "helvetica", size=size)
    else:
        raise KeyError(kind)


def fpdf2(cases: list[tuple[dict[str, Any], Path]]) -> None:
    from fpdf import FPDF

    for case, out in cases:
        if case["columns"] > 1:
            continue
        pdf = FPDF(unit="pt", format="A4", orientation="landscape" if case["landscape"] else "portrait")
        pdf.set_margin(60)
        pdf.add_page()
        pdf.set_font("times" if case["serif"] else "helvetica", size=case["size"])
        try:
            for block in case["blocks"]:
                _block(pdf, block, case)
        except KeyError:
            continue
        pdf.output(str(out))
