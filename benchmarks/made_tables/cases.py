"""What the made pages hold: blocks of prose, lists, code ... and tables whose cells are known.

A case is plain data (it goes to the writers as JSON): ``style``, ``producer``-independent page options (``columns``,
``landscape``, ``serif``, ``size``), and ``blocks``. A table has ``rows`` of cells ``{"t", "cs", "rs"}`` in the order of
HTML (places that a span covers are left out), ``heads`` (header rows), ``align`` a column, ``look``, and ``pad``.
"""

from __future__ import annotations

from random import Random
from typing import Any

from made_tables.words import HEADS, UNITS, paragraph, phrase, sentence, value

Block = dict[str, Any]
Case = dict[str, Any]

LOOKS = ("all", "rows", "book", "head", "none", "zebra")
NUMBERS = ("count", "large", "decimal", "money", "share")
TEXTS = ("word", "phrase", "name", "code", "date", "yesno")


def _cell(text: str, across: int = 1, down: int = 1) -> Block:
    return {"t": text, "cs": across, "rs": down}


def _align(kinds: list[str], rng: Random) -> list[str]:
    numbers = rng.choice("rrrc")
    return [numbers if kind in NUMBERS else "l" for kind in kinds]


def table(rng: Random, kinds: list[str], height: int, look: str | None = None) -> Block:
    """Return a table with a header row and ``height`` rows of cells of the ``kinds``."""
    heads = []
    for kind in kinds:
        free = [head for head in HEADS[kind] if head not in heads]
        heads.append(rng.choice(free) if free else f"{rng.choice(HEADS[kind])} {len(heads) + 1}")
    rows = [[_cell(head) for head in heads]]
    rows += [[_cell(value(rng, kind)) for kind in kinds] for _ in range(height)]
    return {
        "kind": "table",
        "rows": rows,
        "heads": 1,
        "align": _align(kinds, rng),
        "look": look or rng.choice(LOOKS),
        "pad": rng.choice([1.5, 2.5, 4.0]),
        "bold": rng.random() < 0.7,
        "full": rng.random() < 0.4,
    }


def kinds_of(rng: Random, width: int, numbers: float = 0.7) -> list[str]:
    """Return the kinds of ``width`` columns: a label first, then amounts and words."""
    rest = [rng.choice(NUMBERS if rng.random() < numbers else TEXTS) for _ in range(width - 1)]
    return [rng.choice(["phrase", "phrase", "code", "name"]), *rest]


def para(rng: Random, sentences: int = 0) -> Block:
    return {"kind": "para", "t": paragraph(rng, sentences)}


def heading(rng: Random) -> Block:
    return {"kind": "heading", "t": phrase(rng, 3)}


def _framed(rng: Random, *blocks: Block) -> list[Block]:
    """Put blocks between prose, with a caption or without."""
    before = [heading(rng), para(rng)]
    if rng.random() < 0.4:
        before.append(
            {"kind": "caption", "t": f"Table {rng.randint(1, 9)}: {phrase(rng, 3)} by {phrase(rng, 2).lower()}"}
        )
    return [*before, *blocks, para(rng), para(rng)]


def _plain(look: str) -> Any:
    def make(rng: Random) -> list[Block]:
        return _framed(rng, table(rng, kinds_of(rng, rng.randint(3, 6)), rng.randint(4, 12), look))

    return make


def money(rng: Random) -> list[Block]:
    kinds = ["phrase", *(["money"] * rng.randint(2, 4))]
    made = table(rng, kinds, rng.randint(5, 10), rng.choice(["none", "head", "book", "zebra"]))
    for i, year in enumerate(range(2019, 2019 + len(kinds) - 1), start=1):
        made["rows"][0][i]["t"] = str(year)
    made["rows"][0][0]["t"] = rng.choice(["", "In thousands"])
    made["align"] = ["l", *("r" * (len(kinds) - 1))]
    return _framed(rng, made)


def texts(rng: Random) -> list[Block]:
    return _framed(rng, table(rng, kinds_of(rng, rng.randint(3, 5), 0.0), rng.randint(4, 10), None))


def multiline(rng: Random) -> list[Block]:
    kinds = [
        rng.choice(["phrase", "code"]),
        "long",
        *(rng.choice(["count", "word", "money"]) for _ in range(rng.randint(1, 2))),
    ]
    made = table(rng, kinds, rng.randint(3, 6))
    return _framed(
        rng, {**made, "full": True, "pad": rng.choice([3.0, 5.0]), "widths": [2, 4, *([1.3] * (len(kinds) - 2))]}
    )


def spanned(rng: Random) -> list[Block]:
    groups, each = rng.randint(2, 3), 2
    kind = rng.choice(NUMBERS)
    made = table(rng, ["phrase", *([kind] * (groups * each))], rng.randint(4, 8))
    top = [_cell(made["rows"][0][0]["t"], 1, 2), *(_cell(f"{phrase(rng, 2)}", each) for _ in range(groups))]
    below = [_cell(str(year)) for _ in range(groups) for year in (2023, 2024)]
    made["rows"] = [top, below, *made["rows"][1:]]
    made["heads"] = 2
    return _framed(rng, made)


def wide(rng: Random) -> list[Block]:
    kinds = ["word", *(rng.choice(["count", "decimal", "share"]) for _ in range(rng.randint(8, 11)))]
    made = table(rng, kinds, rng.randint(6, 14))
    for i, cell in enumerate(made["rows"][0][1:], start=1):
        cell["t"] = f"{rng.choice(['Q', 'T', 'M'])}{i}"
    return _framed(rng, {**made, "full": True})


def small(rng: Random) -> list[Block]:
    height, width = rng.randint(1, 2), rng.randint(2, 3)
    made = table(rng, kinds_of(rng, width, 0.8), height)
    return [heading(rng), para(rng), para(rng), made, para(rng), para(rng), heading(rng), para(rng), para(rng)]


def beside(rng: Random) -> list[Block]:
    look = rng.choice(LOOKS)
    pair = [table(rng, kinds_of(rng, 3), rng.randint(4, 7), look) for _ in range(2)]
    return _framed(rng, {"kind": "beside", "tables": [{**one, "full": False} for one in pair]})


def column(rng: Random) -> list[Block]:
    made = table(
        rng, ["word", *(rng.choice(["count", "decimal", "share"]) for _ in range(rng.randint(1, 3)))], rng.randint(3, 7)
    )
    return [para(rng, 5), made, *(para(rng, 5) for _ in range(7))]


def empties(rng: Random) -> list[Block]:
    made = table(rng, kinds_of(rng, rng.randint(3, 6)), rng.randint(5, 9))
    for row in made["rows"][1:]:
        for cell in row[1:]:
            if rng.random() < 0.3:
                cell["t"] = ""
    return _framed(rng, made)


def total(rng: Random) -> list[Block]:
    kinds = ["phrase", *(rng.choice(["large", "money"]) for _ in range(rng.randint(2, 4)))]
    made = table(rng, kinds, rng.randint(4, 8))
    made["rows"].append([_cell("Total"), *(_cell(value(rng, kind)) for kind in kinds[1:])])
    return _framed(rng, {**made, "total": True})


def grouped(rng: Random) -> list[Block]:
    """Return a table whose rows come in groups under a label that spans the width."""
    kinds = kinds_of(rng, 4, 1.0)
    made = table(rng, kinds, rng.randint(5, 8))
    for at in (4, 1):
        made["rows"].insert(at, [_cell(f"{phrase(rng, 2)}s", len(kinds))])
    return _framed(rng, made)


def properties(rng: Random) -> list[Block]:
    """Return a table of two columns: what is measured, and its amount with a unit."""
    made = table(rng, ["phrase", "count"], rng.randint(4, 9))
    for row in made["rows"][1:]:
        row[1]["t"] += f" {rng.choice(UNITS)}"
    return _framed(rng, {**made, "full": False})


def top(rng: Random) -> list[Block]:
    return [table(rng, kinds_of(rng, rng.randint(3, 5)), rng.randint(4, 9)), para(rng), para(rng)]


def bottom(rng: Random) -> list[Block]:
    return [
        *(para(rng) for _ in range(rng.randint(5, 7))),
        table(rng, kinds_of(rng, rng.randint(3, 5)), rng.randint(3, 8)),
    ]


def continuing(rng: Random) -> list[Block]:
    kinds = ["code", *kinds_of(rng, rng.randint(2, 4))]
    made = table(rng, kinds, rng.randint(55, 62))
    for i, row in enumerate(made["rows"][1:]):
        row[0]["t"] = f"K{1000 + 7 * i}"
    return [para(rng), made, para(rng)]


def turned(rng: Random) -> list[Block]:
    return _framed(rng, table(rng, kinds_of(rng, rng.randint(4, 7)), rng.randint(5, 10)))


# ---- pages without tables


def prose(rng: Random) -> list[Block]:
    return [block for _ in range(3) for block in (heading(rng), para(rng), para(rng))]


def prose_columns(rng: Random) -> list[Block]:
    return [block for _ in range(5) for block in (heading(rng), para(rng, 4), para(rng, 5))]


def lists(rng: Random) -> list[Block]:
    def items(ordered: bool) -> Block:  # noqa: FBT001 - one local caller
        texts = [sentence(rng) if rng.random() < 0.5 else phrase(rng, 3) for _ in range(rng.randint(4, 8))]
        return {"kind": "list", "ordered": ordered, "items": texts}

    return [heading(rng), para(rng), items(ordered=False), para(rng), items(ordered=True), para(rng)]


def contents(rng: Random) -> list[Block]:
    page, entries = 1, []
    for i in range(1, rng.randint(5, 8)):
        entries.append((f"{i}", phrase(rng, 3), page))
        for k in range(1, rng.randint(1, 4)):
            page += rng.randint(1, 4)
            entries.append((f"{i}.{k}", phrase(rng, 3), page))
        page += rng.randint(1, 6)
    return [{"kind": "heading", "t": "Contents"}, {"kind": "toc", "dots": rng.random() < 0.7, "entries": entries}]


def form(rng: Random) -> list[Block]:
    labels = ["Full name", "Date of birth", "Street", "Town", "Telephone", "Employer", "Signature", "Place"]
    return [heading(rng), para(rng, 2), {"kind": "form", "labels": rng.sample(labels, 6)}, para(rng, 2)]


def letter(rng: Random) -> list[Block]:
    def address() -> list[str]:
        return [
            value(rng, "name"),
            f"{rng.randint(1, 99)} {phrase(rng, 2)} Street",
            f"{rng.randint(10000, 99999)} {phrase(rng, 1)}town",
        ]

    pair = {
        "kind": "pair",
        "left": address(),
        "right": [*address(), f"Tel. 0{rng.randint(100, 999)} {rng.randint(10000, 99999)}"],
    }
    return [
        pair,
        para(rng, 1),
        *(para(rng) for _ in range(4)),
        {"kind": "pair", "left": ["Yours faithfully,", value(rng, "name")], "right": []},
    ]


def code(rng: Random) -> list[Block]:
    def listing() -> Block:
        name, other = rng.sample(["count", "limit", "offset", "buffer", "index"], 2)
        lines = [
            f"def {name}_of(items, {other}=0):",
            f"    result = []          # {phrase(rng, 2).lower()}",
            f"    for item in items:   # {phrase(rng, 2).lower()}",
            f"        if item.{other} > {rng.randint(1, 99)}:",
            f"            result.append(item.{name})",
            "    return result",
            "",
            f"{name}    = {rng.randint(1, 999)}",
            f"{other}   = {rng.randint(1, 999)}",
        ]
        return {"kind": "code", "lines": lines[: rng.randint(6, 9)]}

    return [heading(rng), para(rng), listing(), para(rng), listing(), para(rng)]


def formulas(rng: Random) -> list[Block]:
    def one() -> Block:
        a, b, c = rng.sample("abcpqrxyz", 3)
        body = rng.choice(
            [f"{a} = {b}^2 + {rng.randint(2, 9)} {c}", f"sum_(i=1)^n {a}_i = ({b} + 1)/({c} - {rng.randint(2, 9)})"]
        )
        return {"kind": "formula", "t": body, "number": rng.randint(1, 20)}

    return [heading(rng), *(block for _ in range(4) for block in (para(rng), one(), one()))]


def references(rng: Random) -> list[Block]:
    def entry() -> str:
        title = f"{phrase(rng, 3)} and {phrase(rng, 2).lower()}"
        pages = f"{rng.randint(1, 90)}-{rng.randint(91, 200)}"
        return f"{value(rng, 'name')}, {title}, {rng.randint(1980, 2024)}, pp. {pages}."

    return [
        {"kind": "heading", "t": "References"},
        {"kind": "list", "ordered": True, "items": [entry() for _ in range(12)]},
    ]


MAKERS: dict[str, Any] = {
    "ruled": _plain("all"),
    "lines between rows": _plain("rows"),
    "booktabs": _plain("book"),
    "rule under the head": _plain("head"),
    "no rules": _plain("none"),
    "zebra": _plain("zebra"),
    "money": money,
    "words only": texts,
    "multi-line cells": multiline,
    "spanning heads": spanned,
    "wide": wide,
    "small": small,
    "side by side": beside,
    "in a column": column,
    "empty cells": empties,
    "total row": total,
    "groups of rows": grouped,
    "two columns": properties,
    "top of the page": top,
    "bottom of the page": bottom,
    "over a page break": continuing,
    "turned page": turned,
}
WITHOUT: dict[str, Any] = {
    "prose": prose,
    "prose in columns": prose_columns,
    "lists": lists,
    "contents": contents,
    "form": form,
    "letter": letter,
    "code": code,
    "formulas": formulas,
    "references": references,
}


def make_case(style: str, seed: int) -> Case:
    """Return the case of a style and a seed."""
    rng = Random(f"{style}/{seed}")
    blocks = {**MAKERS, **WITHOUT}[style](rng)
    return {
        "style": style,
        "seed": seed,
        "columns": 2 if style in {"in a column", "prose in columns"} else 1,
        "landscape": style == "turned page",
        "serif": rng.random() < 0.5,
        "size": 8.5 if style == "wide" else rng.choice([9.5, 10.5, 11.5]),
        "justify": rng.random() < 0.6,
        "blocks": blocks,
    }


def tables_of(case: Case) -> list[Block]:
    """Return the tables of a case in their order."""
    found: list[Block] = []
    for block in case["blocks"]:
        found += block["tables"] if block["kind"] == "beside" else [block] if block["kind"] == "table" else []
    return found
