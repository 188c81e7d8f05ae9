"""A case by Typst, which sets pages much as TeX does: kerned and hyphenated text, thin rules, real formulas."""

# ruff: noqa: PLR0911, TC003 - one return a kind of block

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def _text(text: str) -> str:
    return f"#{json.dumps(text, ensure_ascii=False)}"


def _table(table: dict[str, Any]) -> str:
    width, look = len(table["align"]), table["look"]
    columns = [f"{w}fr" for w in table["widths"]] if "widths" in table else ["1fr" if table["full"] else "auto"] * width
    align = {"l": "left", "r": "right", "c": "center"}
    options = [f"columns: ({', '.join(columns)},)", f"align: ({', '.join(align[a] for a in table['align'])},)"]
    options.append(f"inset: (x: 5pt, y: {table['pad'] + 1}pt)")
    options.append(f"stroke: {'0.5pt' if look == 'all' else 'none'}")
    if look == "zebra":
        options.append("fill: (_, y) => if calc.even(y) { rgb(226, 234, 242) }")
    rule, top = "table.hline(stroke: 0.5pt)", "table.hline(stroke: 1pt)"
    lines = [", ".join(_cells(row, table, i)) for i, row in enumerate(table["rows"])]
    heads, body = lines[: table["heads"]], lines[table["heads"] :]
    parts = [top] if look == "book" else []
    parts.append(f"table.header({', '.join(heads)})")
    if look in {"book", "head", "rows"}:
        parts.append(rule)
    for i, line in enumerate(body, start=1):
        last = i == len(body)
        if last and table.get("total"):
            parts.append(rule)
        parts.append(line)
        if look == "rows" or (look == "book" and last):
            parts.append(rule if not last else top)
    return f"#table({', '.join([*options, *parts])})"


def _cells(row: list[dict[str, Any]], table: dict[str, Any], number: int) -> list[str]:
    made = []
    for cell in row:
        body = _text(cell["t"]) if cell["t"] else ""
        body = f"#strong[{body}]" if body and table["bold"] and number < table["heads"] else body
        middle = ", align: center" if cell["cs"] > 1 and number < table["heads"] else ""
        made.append(f"table.cell(colspan: {cell['cs']}, rowspan: {cell['rs']}{middle})[{body}]")
    return made


def _block(block: dict[str, Any]) -> str:
    kind = block["kind"]
    if kind == "table":
        return _table(block)
    if kind == "beside":
        both = ", ".join(f"[{_table(table)}]" for table in block["tables"])
        return f"#grid(columns: (auto, auto), column-gutter: 1fr, {both})"
    if kind == "heading":
        return f"= {_text(block['t'])}"
    if kind == "para":
        return _text(block["t"])
    if kind == "caption":
        return f"#emph[{_text(block['t'])}]"
    if kind == "list":
        return "\n".join(f"{'+' if block['ordered'] else '-'} {_text(item)}" for item in block["items"])
    if kind == "toc":
        leader = "#box(width: 1fr, repeat[.])" if block["dots"] else "#h(1fr)"
        return "\n\n".join(f"{_text(f'{n} {title}')} {leader} {page}" for n, title, page in block["entries"])
    if kind == "form":
        field = "{}: #box(width: 1fr, line(length: 95%, stroke: 0.5pt))"
        pairs = zip(block["labels"][::2], block["labels"][1::2], strict=True)
        return "\n\n".join(" ".join(field.format(_text(label)) for label in pair) for pair in pairs)
    if kind == "pair":
        sides = (" \\ ".join(map(_text, block[side])) for side in ("left", "right"))
        return f"#grid(columns: (1fr, auto), {', '.join(f'[{side}]' for side in sides)})"
    if kind == "code":
        return "```\n" + "\n".join(block["lines"]) + "\n```"
    if kind == "formula":
        return f"$ {block['t']} $"
    raise KeyError(kind)


def source(case: dict[str, Any]) -> str:
    """Return the case as Typst markup."""
    font = '"New Computer Modern"' if case["serif"] else '"Liberation Sans"'
    return (
        f'#set page("a4", flipped: {str(case["landscape"]).lower()}, margin: 22mm, columns: {case["columns"]})\n'
        f"#set text(font: {font}, size: {case['size']}pt)\n#set par(justify: {str(case['justify']).lower()})\n"
        '#set math.equation(numbering: "(1)")\n' + "\n\n".join(map(_block, case["blocks"]))
    )


def typst(cases: list[tuple[dict[str, Any], Path]]) -> None:
    import typst as engine

    for case, out in cases:
        out.write_bytes(engine.compile(source(case).encode()))
