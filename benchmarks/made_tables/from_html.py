"""A case as HTML, for the producers that print it: Chromium and WeasyPrint."""

# ruff: noqa: E501, PLR0911 - markup reads best in one piece, a kind of block in one line each

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from making.printing import by_chromium, by_weasyprint

if TYPE_CHECKING:
    from pathlib import Path

_RULES = {
    "all": "td,th{border:.6pt solid #444}",
    "rows": "tr{border-bottom:.5pt solid #777}",
    "book": "table{border-top:1pt solid;border-bottom:1pt solid} thead tr:last-child{border-bottom:.6pt solid}",
    "head": "thead tr:last-child{border-bottom:.8pt solid #333}",
    "none": "",
    "zebra": "tbody tr:nth-child(even){background:#e8eef4} thead tr{background:#c9d6e2}",
}


def _scoped(look: str, name: str) -> str:
    rules = [rule for rule in _RULES[look].split("}") if rule.strip()]
    parts = [tuple(rule.split("{")) for rule in rules]
    return "".join(
        ",".join(f"table.{name}" if s.strip() == "table" else f"table.{name} {s.strip()}" for s in selectors.split(","))
        + f"{{{body}}}"
        for selectors, body in parts
    )


def _table(table: dict[str, Any]) -> str:
    name = f"t{abs(id(table))}"
    css = f"table.{name}{{border-collapse:collapse;margin:8pt 0;{'width:100%;' if table['full'] else ''}}}"
    css += f"table.{name} td,table.{name} th{{padding:{table['pad']}pt 5pt;vertical-align:top;"
    css += f"font-weight:normal}}{_scoped(table['look'], name)}"
    if table["bold"]:
        css += f"table.{name} th{{font-weight:bold}}"
    if table.get("total"):
        css += f"table.{name} tbody tr:last-child{{border-top:.8pt solid;font-weight:bold}}"
    columns = "".join(f'<col style="width:{100 * w / sum(table["widths"])}%">' for w in table.get("widths", []))
    lines = [
        "".join(_cells(row, table, "th" if i < table["heads"] else "td", i)) for i, row in enumerate(table["rows"])
    ]
    heads, body = lines[: table["heads"]], lines[table["heads"] :]
    return (
        f"<style>{css}</style><table class={name}>{columns}<thead>{''.join(f'<tr>{x}</tr>' for x in heads)}</thead>"
        f"<tbody>{''.join(f'<tr>{x}</tr>' for x in body)}</tbody></table>"
    )


def _cells(row: list[dict[str, Any]], table: dict[str, Any], tag: str, number: int) -> list[str]:
    at = len(table["align"]) - sum(cell["cs"] for cell in row) if number else 0
    made = []
    for cell in row:
        align = {"l": "left", "r": "right", "c": "center"}[
            "c" if cell["cs"] > 1 and tag == "th" else table["align"][at]
        ]
        spans = f' colspan="{cell["cs"]}" rowspan="{cell["rs"]}"'
        made.append(f'<{tag}{spans} style="text-align:{align}">{escape(cell["t"])}</{tag}>')
        at += cell["cs"]
    return made


def _formula(text: str) -> str:
    import re

    text = re.sub(
        r"([\^_])(\([^)]*\)|\w+)",
        lambda m: f"<{'sup' if m[1] == '^' else 'sub'}>{m[2]}</{'sup' if m[1] == '^' else 'sub'}>",
        text,
    )
    return text.replace("sum", "&sum;")


def _block(block: dict[str, Any]) -> str:
    kind = block["kind"]
    if kind == "table":
        return _table(block)
    if kind == "beside":
        return f'<div style="display:flex;justify-content:space-between">{"".join(f"<div>{_table(t)}</div>" for t in block["tables"])}</div>'
    if kind == "heading":
        return f"<h2>{escape(block['t'])}</h2>"
    if kind in {"para", "caption"}:
        return f"<p class={kind}>{escape(block['t'])}</p>"
    if kind == "list":
        tag = "ol" if block["ordered"] else "ul"
        return f"<{tag}>{''.join(f'<li>{escape(item)}</li>' for item in block['items'])}</{tag}>"
    if kind == "toc":
        dots = "border-bottom:1.2pt dotted #555;" if block["dots"] else ""
        row = '<div style="display:flex"><span>{} {}</span><span style="flex:1;margin:0 3pt 3pt 3pt;{}"></span><span>{}</span></div>'
        return "".join(row.format(number, escape(title), dots, page) for number, title, page in block["entries"])
    if kind == "form":
        row = '<div style="display:flex;margin:9pt 0">{}</div>'
        field = '<span>{}:</span><span style="flex:1;border-bottom:.6pt solid;margin:0 8pt 0 4pt"></span>'
        pairs = zip(block["labels"][::2], block["labels"][1::2], strict=True)
        return "".join(row.format("".join(field.format(label) for label in pair)) for pair in pairs)
    if kind == "pair":
        sides = (f"<div>{'<br>'.join(map(escape, block[side]))}</div>" for side in ("left", "right"))
        return f'<div style="display:flex;justify-content:space-between;margin:12pt 0">{"".join(sides)}</div>'
    if kind == "code":
        return f"<pre>{escape(chr(10).join(block['lines']))}</pre>"
    if kind == "formula":
        return f'<div style="display:flex;margin:6pt 0"><span style="flex:1;text-align:center"><i>{_formula(block["t"])}</i></span><span>({block["number"]})</span></div>'
    raise KeyError(kind)


def page(case: dict[str, Any]) -> str:
    """Return the case as a page of HTML."""
    font = "Liberation Serif" if case["serif"] else "Liberation Sans"
    css = f"@page{{size:A4{' landscape' if case['landscape'] else ''};margin:20mm}}"
    css += f"body{{font:{case['size']}pt '{font}';margin:0;column-count:{case['columns']};column-gap:8mm}}"
    css += f"p{{text-align:{'justify' if case['justify'] else 'left'};margin:5pt 0;line-height:1.25}}"
    css += "h2{font-size:130%} .caption{font-size:92%;font-style:italic} pre{font:85% 'Liberation Mono'}"
    body = "".join(map(_block, case["blocks"]))
    return f"<!DOCTYPE html><html><head><meta charset=utf-8><style>{css}</style></head><body>{body}</body></html>"


def weasyprint(cases: list[tuple[dict[str, Any], Path]]) -> None:
    by_weasyprint((page(case), out) for case, out in cases)


def chromium(cases: list[tuple[dict[str, Any], Path]]) -> None:
    by_chromium((page(case), out) for case, out in cases)
