"""A case as a flat OpenDocument text, printed by LibreOffice Writer."""

# ruff: noqa: E501, PLR0911 - markup reads best in one piece

from __future__ import annotations

from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING, Any

from making.printing import by_libreoffice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SPACES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{path}:1.0"'
    for name, path in {
        "office": "office",
        "style": "style",
        "text": "text",
        "table": "table",
        "fo": "xsl-fo-compatible",
    }.items()
)
_HEAVY, _THIN = "1pt solid #000000", "0.5pt solid #555555"


class _Writer:
    """Collects automatic styles while the body is written."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case, self.styles, self.count = case, [], 0
        self.font = "Liberation Serif" if case["serif"] else "Liberation Sans"

    def style(self, family: str, inner: str) -> str:
        self.count += 1
        name = f"S{self.count}"
        self.styles.append(f'<style:style style:name="{name}" style:family="{family}">{inner}</style:style>')
        return name

    def par(
        self,
        text: str,
        *,
        align: str = "start",
        bold: bool = False,
        scale: float = 1.0,
        gap: float = 4.0,
        tabs: str = "",
        font: str = "",
    ) -> str:
        inner = f'<style:paragraph-properties fo:text-align="{align}" fo:margin-top="{gap}pt" fo:margin-bottom="{gap}pt">{tabs}</style:paragraph-properties>'
        inner += f'<style:text-properties fo:font-family="{font or self.font}" fo:font-size="{self.case["size"] * scale}pt" fo:font-weight="{"bold" if bold else "normal"}"/>'
        return f'<text:p text:style-name="{self.style("paragraph", inner)}">{text}</text:p>'

    def table(self, table: dict[str, Any]) -> str:
        width = len(table["align"])
        total = 170.0 if self.case["columns"] == 1 else 80.0
        total = total + 87 if self.case["landscape"] else total
        shares = table.get("widths", [1] * width)
        total = total if table["full"] or width > 4 else total * 0.7
        own = self.style(
            "table",
            f'<style:table-properties style:width="{total}mm" table:align="left" fo:margin-top="5pt" fo:margin-bottom="5pt"/>',
        )
        columns = "".join(
            f'<table:table-column table:style-name="{self.style("table-column", self.width(total * w / sum(shares)))}"/>'
            for w in shares
        )
        taken: set[tuple[int, int]] = set()
        lines = [self.row(row, i, table, taken) for i, row in enumerate(table["rows"])]
        heads = "".join(lines[: table["heads"]])
        body = "".join(lines[table["heads"] :])
        return f'<table:table table:style-name="{own}">{columns}<table:table-header-rows>{heads}</table:table-header-rows>{body}</table:table>'

    @staticmethod
    def width(size: float) -> str:
        return f'<style:table-column-properties style:column-width="{size:.1f}mm"/>'

    def row(self, row: list[dict[str, Any]], number: int, table: dict[str, Any], taken: set[tuple[int, int]]) -> str:
        cells, at, rest = "", 0, iter(row)
        width, head = len(table["align"]), number < table["heads"]
        while at < width:
            if (number, at) in taken:
                cells += "<table:covered-table-cell/>"
                at += 1
                continue
            cell = next(rest)
            taken |= {(number + r, at + c) for r in range(cell["rs"]) for c in range(cell["cs"])}
            align = {"l": "start", "r": "end", "c": "center"}["c" if cell["cs"] > 1 and head else table["align"][at]]
            text = self.par(escape(cell["t"]), align=align, bold=head and table["bold"], gap=0)
            spans = f' table:number-columns-spanned="{cell["cs"]}" table:number-rows-spanned="{cell["rs"]}"'
            style = self.style("table-cell", self.borders(number, table, number + cell["rs"] >= table["heads"]))
            cells += f'<table:table-cell table:style-name="{style}"{spans}>{text}</table:table-cell>'
            cells += "<table:covered-table-cell/>" * (cell["cs"] - 1)
            at += cell["cs"]
        return f"<table:table-row>{cells}</table:table-row>"

    @staticmethod
    def borders(number: int, table: dict[str, Any], ends_head: bool) -> str:  # noqa: FBT001 - one caller
        look, last = table["look"], number == len(table["rows"]) - 1
        sides = ""
        if look == "all":
            sides = f'fo:border="{_THIN}"'
        else:
            below = {"rows": _THIN, "book": _HEAVY if last else None}.get(look)
            if number < table["heads"] and ends_head and look in {"book", "head"}:
                below = _THIN
            sides = f'fo:border-bottom="{below}"' if below else ""
            if look == "book" and number == 0:
                sides += f' fo:border-top="{_HEAVY}"'
            elif table.get("total") and last:
                sides += f' fo:border-top="{_THIN}"'
        shade = ' fo:background-color="#e2eaf2"' if look == "zebra" and number % 2 == 0 else ""
        return f'<style:table-cell-properties {sides}{shade} fo:padding="{table["pad"]}pt"/>'

    def block(self, block: dict[str, Any]) -> str:
        kind = block["kind"]
        if kind == "table":
            return self.table(block)
        if kind == "heading":
            return self.par(escape(block["t"]), bold=True, scale=1.3, gap=7)
        if kind == "para":
            return self.par(escape(block["t"]), align="justify" if self.case["justify"] else "start")
        if kind == "caption":
            return self.par(escape(block["t"]), scale=0.9)
        if kind == "list":
            tabs = '<style:tab-stops><style:tab-stop style:position="7mm"/></style:tab-stops>'
            marks = [f"{i}." if block["ordered"] else "\u2022" for i in range(1, len(block["items"]) + 1)]
            return "".join(
                self.par(f"{m}<text:tab/>{escape(t)}", tabs=tabs, gap=1)
                for m, t in zip(marks, block["items"], strict=True)
            )
        if kind == "toc":
            leader = ' style:leader-style="dotted" style:leader-text="."' if block["dots"] else ""
            tabs = f'<style:tab-stops><style:tab-stop style:position="170mm" style:type="right"{leader}/></style:tab-stops>'
            return "".join(self.par(f"{n} {escape(t)}<text:tab/>{p}", tabs=tabs, gap=2) for n, t, p in block["entries"])
        if kind == "form":
            tabs = '<style:tab-stops><style:tab-stop style:position="85mm"/></style:tab-stops>'
            pairs = zip(block["labels"][::2], block["labels"][1::2], strict=True)
            return "".join(self.par(f"{a}: {'_' * 22}<text:tab/>{b}: {'_' * 22}", tabs=tabs, gap=6) for a, b in pairs)
        if kind == "pair":
            tabs = '<style:tab-stops><style:tab-stop style:position="110mm"/></style:tab-stops>'
            lines = max(len(block["left"]), len(block["right"]))
            left, right = ([*block[side], *[""] * (lines - len(block[side]))] for side in ("left", "right"))
            return "".join(
                self.par(escape(a) + (f"<text:tab/>{escape(b)}" if b else ""), tabs=tabs, gap=0)
                for a, b in zip(left, right, strict=True)
            )
        if kind == "code":
            lines = (escape(line).replace("  ", '<text:s text:c="2"/>') for line in block["lines"])
            return "".join(self.par(line, gap=0, scale=0.85, font="Liberation Mono") for line in lines)
        if kind == "formula":
            tabs = '<style:tab-stops><style:tab-stop style:position="60mm"/><style:tab-stop style:position="170mm" style:type="right"/></style:tab-stops>'
            return self.par(f"<text:tab/>{escape(block['t'])}<text:tab/>({block['number']})", tabs=tabs)
        raise KeyError(kind)

    def document(self) -> str:
        case = self.case
        body = "".join(map(self.block, case["blocks"]))
        if case["columns"] > 1:
            section = self.style(
                "section",
                '<style:section-properties><style:columns fo:column-count="2" fo:column-gap="8mm"/></style:section-properties>',
            )
            body = f'<text:section text:style-name="{section}" text:name="all">{body}</text:section>'
        size = ("297mm", "210mm") if case["landscape"] else ("210mm", "297mm")
        layout = f'<style:page-layout style:name="P"><style:page-layout-properties fo:page-width="{size[0]}" fo:page-height="{size[1]}" fo:margin="20mm"/></style:page-layout>'
        master = '<office:master-styles><style:master-page style:name="Standard" style:page-layout-name="P"/></office:master-styles>'
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><office:document {_SPACES} office:version="1.3" '
            'office:mimetype="application/vnd.oasis.opendocument.text">'
            f"<office:automatic-styles>{''.join(self.styles)}{layout}</office:automatic-styles>{master}"
            f"<office:body><office:text>{body}</office:text></office:body></office:document>"
        )


def _documents(cases: list[tuple[dict[str, Any], Path]]) -> Iterator[tuple[str, Path]]:
    for case, out in cases:
        with suppress(KeyError):
            yield _Writer(case).document(), out


def libreoffice(cases: list[tuple[dict[str, Any], Path]]) -> None:
    by_libreoffice(_documents(cases), ".fodt")
