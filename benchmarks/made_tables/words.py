"""Words, amounts and sentences to fill made pages with; all from a seeded generator."""

# ruff: noqa: SIM905 - one word a line would fill pages

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

NOUNS = """harbour valve budget licence survey region engine payment station sample garden clinic contract library
voltage farmer museum reservoir bridge orchard tenant archive furnace pension vessel teacher insurer tariff glacier
warehouse surgeon canal printer satellite mineral grant parcel battery cinema railway voter hospital sensor""".split()
ADJECTIVES = """northern annual public remote spare minor coastal digital former rural joint direct early local mixed
technical average seasonal heavy narrow eastern modern domestic quiet common private steady urban""".split()
VERBS = """requires describes replaced supports delayed measured covers exceeds approved follows carried reported
reached limits joined improved supplied reduced inspected opened""".split()
LINKS = """because although while after before since unless where""".split()
NAMES = """Amara Bjorn Chidi Daria Emil Farah Goran Hanna Ines Jonas Kofi Leila Marek Nadia Oscar Petra""".split()
FAMILIES = """Lindqvist Okafor Novak Tanaka Moreau Silva Haddad Kowalski Brandt Eriksen Castillo Mbeki Rossi""".split()
UNITS = "kg mm kWh days hours litres".split()
HEADS = {
    "count": ["Units", "Sites", "Visits", "Staff", "Orders"],
    "large": ["Output", "Volume", "Load", "Receipts"],
    "decimal": ["Mean", "Ratio", "Score", "Depth"],
    "money": ["Price", "Cost", "Budget", "Revenue", "Net income"],
    "share": ["Share", "Change", "Growth"],
    "date": ["Date", "Due", "Signed"],
    "word": ["Status", "Type", "Grade", "Colour"],
    "phrase": ["Item", "Description", "Remark", "Purpose"],
    "name": ["Contact", "Owner", "Author"],
    "code": ["Code", "Ref.", "Part no."],
    "long": ["Notes", "Comment", "Finding"],
    "yesno": ["Done", "Valid", "Open"],
}


def phrase(rng: Random, longest: int = 3) -> str:
    """Return a label of one to ``longest`` words."""
    words = [*rng.sample(ADJECTIVES, rng.randint(0, longest - 1)), rng.choice(NOUNS)]
    return " ".join(words).capitalize()


def sentence(rng: Random) -> str:
    """Return a sentence of eight to twenty words."""
    parts = [f"the {rng.choice(ADJECTIVES)} {rng.choice(NOUNS)} {rng.choice(VERBS)} the {rng.choice(NOUNS)}"]
    if rng.random() < 0.6:
        parts.append(f"of {rng.randint(2, 90)} {rng.choice(NOUNS)}s" if rng.random() < 0.3 else "in every case")
    if rng.random() < 0.7:
        parts.append(f"{rng.choice(LINKS)} a {rng.choice(NOUNS)} {rng.choice(VERBS)} its {rng.choice(ADJECTIVES)} use")
    text = " ".join(parts)
    return text[0].upper() + text[1:] + "."


def paragraph(rng: Random, sentences: int = 0) -> str:
    return " ".join(sentence(rng) for _ in range(sentences or rng.randint(3, 6)))


def value(rng: Random, kind: str) -> str:
    """Return the text of a cell of a kind."""
    sign = "-" if rng.random() < 0.12 else ""
    makers = {
        "count": lambda: str(rng.randint(1, 999)),
        "large": lambda: f"{rng.randint(1000, 9_999_999):,}",
        "decimal": lambda: f"{sign}{rng.uniform(0, 40):.2f}",
        "money": lambda: _money(rng),
        "share": lambda: f"{sign}{rng.uniform(0, 60):.1f}%",
        "date": lambda: f"{rng.randint(1, 28):02d}/{rng.randint(1, 12):02d}/20{rng.randint(10, 25)}",
        "word": lambda: rng.choice([*ADJECTIVES, *NOUNS]).capitalize(),
        "phrase": lambda: phrase(rng),
        "name": lambda: f"{rng.choice(NAMES)} {rng.choice(FAMILIES)}",
        "code": lambda: f"{rng.choice('ABCDKRX')}-{rng.randint(100, 9999)}",
        "long": lambda: sentence(rng).rstrip("."),
        "yesno": lambda: rng.choice(["Yes", "No"]),
    }
    return makers[kind]()


def _money(rng: Random) -> str:
    amount = f"{rng.randint(1, 99999):,}" if rng.random() < 0.7 else f"{rng.uniform(1, 900):.2f}"
    return f"(${amount})" if rng.random() < 0.15 else f"${amount}"
