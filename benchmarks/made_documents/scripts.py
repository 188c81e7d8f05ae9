"""A case written in another script: letter for letter, so that the words mean nothing and all else stays as it was."""

from __future__ import annotations

import string
import unicodedata
from typing import Any

_LETTERS = {
    "hebrew": "אבגדהוזחטיכלמנסעפצקרשתםןףץ",
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنه",
}
_LANGUAGES = {"hebrew": "he", "arabic": "ar"}
SCRIPTS = tuple(_LETTERS)


def written_in(script: str, case: dict[str, Any]) -> dict[str, Any]:
    """Return a case in a script that runs to the left: letter by letter; numbers and signs are as they were."""
    table = dict(zip(string.ascii_lowercase, _LETTERS[script], strict=True))
    blocks = [
        {key: _spelt(value, table) if key != "kind" else value for key, value in block.items()}
        for block in case["blocks"]
    ]
    look = case["look"] | {"header": _spelt(case["look"]["header"], table), "language": _LANGUAGES[script]}
    return case | {"blocks": blocks, "look": look}


def _spelt(value: Any, table: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_spelt(item, table) for item in value]
    if not isinstance(value, str):
        return value
    plain = unicodedata.normalize("NFKD", value.casefold())
    return "".join(table.get(letter, letter) for letter in plain if not unicodedata.combining(letter))
