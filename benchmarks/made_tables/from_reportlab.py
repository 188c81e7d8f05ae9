"""A case by ReportLab's Platypus."""

# ruff: noqa: PLR0911, TC003 - one return a kind of block

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any


class _Writer:
    def __init__(self, case: dict[str, Any]) -> None:
        from reportlab.lib.styles import ParagraphStyle

        self.case = case
        family = ("Times-Roman", "Times-Bold") if case["serif"] else ("Helvetica", "Helvetica-Bold")
        self.font, self.bold = family
        size = case["size"]
        self.body = ParagraphStyle("body", fontName=self.font, fontSize=size, leading=1.25 * size, spaceAfter=6)
        self.body.alignment = 4 if case["justify"] else 0
        self.cell = ParagraphStyle("cell", parent=self.body, alignment=0, spaceAfter=0)
        self.head = ParagraphStyle(
            "head", parent=self.body, fontName=self.bold, fontSize=1.3 * size, leading=1.6 * size
        )
        self.code = ParagraphStyle("code", fontName="Courier", fontSize=0.85 * size, leading=size)
        width, height = (842, 595) if case["landscape"] else (595, 842)
        self.size, self.width = (width, height), (width - 120) if case["columns"] == 1 else (width - 140) / 2

    def table(self, table: dict[str, Any]) -> Any:
        from reportlab.platypus import Table

        width, heads, look = len(table["align"]), table["heads"], table["look"]
        grid: list[list[Any]] = [[""] * width for _ in table["rows"]]
        spans, taken = [], set()
        for r, row in enumerate(table["rows"]):
            c = 0
            for cell in row:
                while (r, c) in taken:
                    c += 1
                end = c + cell["cs"] - 1, r + cell["rs"] - 1
                taken |= {(y, x) for y in range(r, end[1] + 1) for x in range(c, end[0] + 1)}
                grid[r][c] = self.wrapped(cell["t"]) if "widths" in table else cell["t"]
                if cell["cs"] > 1 or cell["rs"] > 1:
                    spans += [("SPAN", (c, r), end)] + ([("ALIGN", (c, r), end, "CENTER")] if r < heads else [])
                c = end[0] + 1
        sides = {"l": "LEFT", "r": "RIGHT", "c": "CENTER"}
        style: list[tuple[Any, ...]] = [
            ("FONT", (0, 0), (-1, -1), self.font, self.case["size"]),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
        style += [("ALIGN", (i, 0), (i, -1), sides[a]) for i, a in enumerate(table["align"])]
        style += [("TOPPADDING", (0, 0), (-1, -1), table["pad"]), ("BOTTOMPADDING", (0, 0), (-1, -1), table["pad"])]
        if table["bold"]:
            style.append(("FONT", (0, 0), (-1, heads - 1), self.bold, self.case["size"]))
        style += {
            "all": [("GRID", (0, 0), (-1, -1), 0.5, "black")],
            "rows": [("LINEBELOW", (0, 0), (-1, -1), 0.5, "grey")],
            "book": [
                ("LINEABOVE", (0, 0), (-1, 0), 1, "black"),
                ("LINEBELOW", (0, -1), (-1, -1), 1, "black"),
                ("LINEBELOW", (0, heads - 1), (-1, heads - 1), 0.5, "black"),
            ],
            "head": [("LINEBELOW", (0, heads - 1), (-1, heads - 1), 0.8, "black")],
            "none": [],
            "zebra": [("ROWBACKGROUNDS", (0, 0), (-1, -1), ("#e2eaf2", None))],
        }[look]
        if table.get("total"):
            style.append(("LINEABOVE", (0, -1), (-1, -1), 0.8, "black"))
        shares = table.get("widths", [1] * width)
        full = table["full"] or "widths" in table
        return Table(
            grid,
            colWidths=[self.width * s / sum(shares) for s in shares] if full else None,
            style=[*style, *spans],
            repeatRows=heads,
            hAlign="LEFT" if self.case["seed"] % 2 else "CENTER",
            spaceBefore=8,
            spaceAfter=8,
        )

    def wrapped(self, text: str) -> Any:
        from reportlab.platypus import Paragraph

        return Paragraph(escape(text), self.cell)

    def block(self, block: dict[str, Any]) -> list[Any]:
        from reportlab.pdfbase.pdfmetrics import stringWidth
        from reportlab.platypus import ListFlowable, Paragraph, Preformatted, Table

        kind, size = block["kind"], self.case["size"]
        if kind == "table":
            return [self.table(block)]
        if kind == "beside":
            return [Table([[self.table(one) for one in block["tables"]]], style=[("VALIGN", (0, 0), (-1, -1), "TOP")])]
        if kind in {"heading", "para", "caption"}:
            return [Paragraph(escape(block["t"]), self.head if kind == "heading" else self.body)]
        if kind == "list":
            items = [Paragraph(escape(item), self.cell) for item in block["items"]]
            return [ListFlowable(items, bulletType="1" if block["ordered"] else "bullet", bulletFontSize=size)]
        if kind == "toc":
            lines = []
            for number, title, page in block["entries"]:
                room = self.width - stringWidth(f"{number} {title} {page}  ", self.font, size)
                blank = "." if block["dots"] else "\u00a0"
                lines.append(
                    Paragraph(
                        f"{number} {escape(title)} {blank * int(room / stringWidth(blank, self.font, size))} {page}",
                        self.cell,
                    )
                )
            return lines
        if kind == "form":
            pairs = zip(block["labels"][::2], block["labels"][1::2], strict=True)
            return [
                Paragraph("\u00a0\u00a0\u00a0".join(f"{label}: {'_' * 24}" for label in pair), self.body)
                for pair in pairs
            ]
        if kind == "code":
            return [Preformatted("\n".join(block["lines"]), self.code)]
        raise KeyError(kind)

    def write(self, out: Path) -> None:
        from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate

        story = [part for block in self.case["blocks"] for part in self.block(block)]
        document = BaseDocTemplate(str(out), pagesize=self.size)
        frames = [
            Frame(60 + i * (self.width + 20), 60, self.width, self.size[1] - 120, 0, 0, 0, 0)
            for i in range(self.case["columns"])
        ]
        document.addPageTemplates([PageTemplate("all", frames)])
        document.build(story)


def reportlab(cases: list[tuple[dict[str, Any], Path]]) -> None:
    for case, out in cases:
        try:
            _Writer(case).write(out)
        except KeyError:
            continue
