"""What the made documents hold: headings, paragraphs, lists, and little between them that is none of these.

A case is plain data (it goes to the writers as JSON): ``style`` (the kind of document), ``seed``, ``look`` (how page
and headings are set), and ``blocks``. A block has a ``kind`` and its text: ``heading`` (``level``, ``t``),
``paragraph``, ``centred``, ``quote`` and ``figure`` (``t``, a figure's is its caption), ``list`` (``ordered``,
``items``), ``lines`` and ``code`` (``lines``), and ``break``, which ends a page.
"""

from __future__ import annotations

from random import Random
from typing import Any

from made_tables.words import FAMILIES, NAMES, NOUNS, paragraph, phrase, sentence

Block = dict[str, Any]
Case = dict[str, Any]

PAPERS = ("article", "report", "two columns", "manual")
SHEETS = ("slides", "letter", "faq", "minutes", "resume")
NEWSLETTER = "newsletter"
"""In three narrow columns without hyphens, of long words: every eighth document."""
STYLES = (*PAPERS, *SHEETS, NEWSLETTER)
# Papers have the most to go wrong: they come twice as often.
DRAWN = (*(style for style in PAPERS[:3] for _ in range(2)), *PAPERS[3:], *SHEETS)
PARAGRAPHS = ("paragraph", "centred", "quote", "figure")


def _title(rng: Random) -> str:
    """Return a title; all three forms are drawn whichever is taken."""
    short = phrase(rng, 3)
    forms = short, f"{short} and {phrase(rng, 2).lower()}", f"The {short.lower()} of the {rng.choice(NOUNS)}"
    return rng.choice(forms)


def _person(rng: Random) -> str:
    return f"{rng.choice(NAMES)} {rng.choice(FAMILIES)}"


def _heading(level: int, text: str) -> Block:
    return {"kind": "heading", "level": level, "t": text}


def _paragraph(text: str) -> Block:
    return {"kind": "paragraph", "t": text}


def _paragraphs(rng: Random, least: int, most: int) -> list[Block]:
    return [_paragraph(paragraph(rng)) for _ in range(rng.randint(least, most))]


def _list(items: list[str], *, ordered: bool = False) -> Block:
    return {"kind": "list", "ordered": ordered, "items": items}


def _sentences(rng: Random, least: int, most: int) -> Block:
    return _list([sentence(rng) for _ in range(rng.randint(least, most))])


def letter(rng: Random) -> list[Block]:
    address = [_person(rng), f"{rng.randint(1, 90)} {rng.choice(NOUNS).capitalize()} Street", "Port Harbour"]
    blocks: list[Block] = [{"kind": "lines", "lines": address}]
    blocks += map(_paragraph, [f"{rng.randint(1, 28)} March 2024", f"Dear {rng.choice(NAMES)},"])
    blocks += _paragraphs(rng, 3, 6)
    if rng.random() < 0.5:
        blocks += [_list([sentence(rng) for _ in range(3)]), _paragraph(paragraph(rng))]
    return [*blocks, _paragraph("Yours sincerely,"), _paragraph(_person(rng))]


def faq(rng: Random) -> list[Block]:
    blocks = [_heading(1, _title(rng))]
    for _ in range(rng.randint(5, 9)):
        verb = rng.choice(["happens to", "is", "becomes of"])
        blocks.append(_heading(3, f"What {verb} the {phrase(rng, 2).lower()}?"))
        blocks.append(_paragraph(paragraph(rng, rng.randint(1, 4))))
    return blocks


def minutes(rng: Random) -> list[Block]:
    blocks = [_heading(1, f"Minutes of the {phrase(rng, 2).lower()} meeting")]
    for number in range(1, rng.randint(4, 7) + 1):
        blocks += [_heading(2, f"{number}. {_title(rng)}"), _paragraph(paragraph(rng))]
        if rng.random() < 0.6:
            blocks.append(_sentences(rng, 2, 4))
    return blocks


def resume(rng: Random) -> list[Block]:
    blocks = [_heading(1, _person(rng)), _paragraph("port.harbour@example.org | +44 20 7946 0321")]
    for name in ("Profile", "Experience", "Education", "Skills"):
        blocks.append(_heading(2, name))
        if name == "Experience":
            blocks += [block for _ in range(3) for block in (_heading(3, _title(rng)), _sentences(rng, 2, 4))]
        else:
            blocks.append(_paragraph(paragraph(rng, 2)))
    return blocks


def slides(rng: Random) -> list[Block]:
    blocks: list[Block] = []
    for _ in range(rng.randint(3, 6)):
        blocks.append(_heading(1, _title(rng)))
        points = [phrase(rng, 4) if rng.random() < 0.5 else sentence(rng) for _ in range(rng.randint(3, 6))]
        blocks += [_list(points), {"kind": "break"}]
    return blocks


def paper(rng: Random, *, numbered: bool, abstract: bool) -> list[Block]:
    """Return an article, report or manual: a title, perhaps authors and an abstract, and sections of two levels."""
    blocks = [_heading(1, _title(rng))]
    if rng.random() < 0.7:
        authors = [_person(rng) for _ in range(rng.randint(1, 3))]
        blocks.append({"kind": "centred", "t": ", ".join(authors)})
    if abstract:
        blocks += [_heading(2, "Abstract"), _paragraph(paragraph(rng, 4))]
    for number in range(1, rng.randint(3, 6) + 1):
        blocks += _section(rng, number, numbered=numbered)
    return blocks


def _section(rng: Random, number: int, *, numbered: bool) -> list[Block]:
    mark = f"{number}{rng.choice(['', '.'])} " if numbered else ""
    blocks = [_heading(2, mark + _title(rng)), *_paragraphs(rng, 1, 3)]
    for below in range(1, rng.randint(0, 2) + 1):
        mark = f"{number}.{below} " if numbered else ""
        blocks += [_heading(3, mark + _title(rng)), *_paragraphs(rng, 1, 3), *_extra(rng, f"{number}{below}")]
    return blocks


def _extra(rng: Random, figure: str) -> list[Block]:
    """Return what a subsection has besides its paragraphs, often nothing."""
    share = rng.random()
    makers = ((0.25, _bullets), (0.4, _steps), (0.5, _quote), (0.6, _figure), (0.68, _code), (0.8, _aside))
    return next(([maker(rng, figure)] for limit, maker in makers if share < limit), [])


def _bullets(rng: Random, _figure: str) -> Block:
    return _list([sentence(rng) if rng.random() < 0.6 else phrase(rng) for _ in range(rng.randint(2, 5))])


def _steps(rng: Random, _figure: str) -> Block:
    items = [sentence(rng) if rng.random() < 0.6 else paragraph(rng, 2) for _ in range(rng.randint(2, 5))]
    return _list(items, ordered=True)


def _quote(rng: Random, _figure: str) -> Block:
    return {"kind": "quote", "t": paragraph(rng, 2)}


def _figure(rng: Random, figure: str) -> Block:
    return {"kind": "figure", "t": f"Figure {figure}: {phrase(rng, 3)}"}


def _code(_rng: Random, _figure: str) -> Block:
    return {"kind": "code", "lines": ["def run(x):", "    total = x + 1", "    return total * 2"]}


def _aside(rng: Random, _figure: str) -> Block:
    return _paragraph(paragraph(rng, 2))


def newsletter(rng: Random) -> list[Block]:
    blocks = [_heading(1, _long_word(rng))]
    for _ in range(rng.randint(4, 6)):
        blocks.append(_heading(2, f"{_long_word(rng)} und {_long_word(rng)}"))
        blocks += [_paragraph(" ".join(_long_words(rng) for _ in range(rng.randint(2, 5)))) for _ in range(2)]
    return blocks


def _long_words(rng: Random) -> str:
    """Return a sentence of long words, some short ones between."""
    verb, adverb = rng.choice(["beschließt", "begrüßte", "prüft"]), rng.choice(["ausdrücklich", "nicht", "im Juni"])
    return f"Die {_long_word(rng)} {verb} {adverb} die {_long_word(rng)} an der {_long_word(rng)}."


def _long_word(rng: Random) -> str:
    stem = rng.choice(["Verwaltungs", "Wissenschafts", "Verbraucher", "Forschungs", "Energie", "Landes"])
    return stem + rng.choice(["kammer", "zahlung", "ordnung", "versorgung", "behörde"])


OTHERS = {
    "newsletter": newsletter,
    "letter": letter,
    "faq": faq,
    "minutes": minutes,
    "resume": resume,
    "slides": slides,
}


def _look(rng: Random, style: str) -> Block:
    """Return how the document is set; ``section`` and ``subsection`` are the looks of their headings."""
    return {
        "columns": _columns(style),
        "landscape": style == "slides",
        "size": _size(rng, style),
        "serif": rng.random() < 0.5,
        "justify": rng.random() < (1 if style == NEWSLETTER else 0.6),
        "hyphens": style != NEWSLETTER,
        "section": rng.choice(["large", "bold", "caps", "colour", "bold italic"]),
        "subsection": rng.choice(["bold", "bold", "bold italic", "larger"]),
        "centred": rng.random() < 0.3,
        "header": "" if style in {"letter", "slides"} else rng.choice(["", "", _title(rng)]),
        "page numbers": rng.random() < 0.7,
        "indent": style in {"article", "two columns"} and rng.random() < 0.5,
        "paper": rng.choice(["A4", "letter"]),
        "language": "en",
    }


def _columns(style: str) -> int:
    return {"two columns": 2, NEWSLETTER: 3}.get(style, 1)


def _size(rng: Random, style: str) -> float:
    size = rng.choice([9, 10, 10.5, 11, 12])
    return 22 if style == "slides" else size


def make_case(seed: int) -> Case:
    """Return the document of a seed."""
    rng = Random(seed)
    drawn = rng.choice(DRAWN)
    style = NEWSLETTER if seed % 8 == 7 else drawn
    numbered = rng.random() < 0.5
    if style in PAPERS:
        blocks = paper(rng, numbered=numbered, abstract=style in {"article", "two columns"})
    else:
        blocks = OTHERS[style](rng)
    return {"style": style, "seed": seed, "look": _look(rng, style), "blocks": blocks}
