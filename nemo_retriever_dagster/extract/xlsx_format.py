"""A spreadsheet's number format, taken apart: its sections, and what stands before and behind their digits."""

from __future__ import annotations

import operator
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_TOKEN = re.compile(r'"([^"]*)"?|\\(.)|\[([^\]]*)\]|[_*].|(general|.)', re.IGNORECASE | re.DOTALL)
_CONDITION = re.compile(r"\s*(<=|>=|<>|<|>|=)\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*")
_COMPARED: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "<>": operator.ne,
}
_NEGATIVE = {"<", "<="}
_DIGITS = frozenset("0#?")
_NOT_FOLLOWED = frozenset("eEaA/@")
"""Scientific notation, fractions, eras, text."""
_LONGEST = 255
"""Characters; a spreadsheet allows no longer format."""
_NUMBERS = 3
"""Sections that are for numbers; a fourth is for text."""


class Condition(NamedTuple):
    """For which values a section is."""

    sign: str
    limit: float

    def holds(self, value: float) -> bool:
        """Whether the section is for this value."""
        return _COMPARED[self.sign](value, self.limit)


class Piece(NamedTuple):
    """The place of one digit (``0``, ``#``, ``?``), or text that stands as it is."""

    text: str
    is_digit: bool = False


class Section(NamedTuple):
    """One section of a number format.

    ``whole`` and ``decimals`` are what stands before and behind the decimal point. ``grouped``: a comma parts
    thousands. ``shift``: the power of ten that the value is multiplied by. ``signed``: a minus is put before negative
    values, as the section is not for them alone.
    """

    whole: tuple[Piece, ...]
    decimals: tuple[Piece, ...]
    grouped: bool
    shift: int
    signed: bool

    @property
    def places(self) -> int:
        """Number of decimals the value is rounded to."""
        return sum(piece.is_digit for piece in self.decimals)


class _Token(NamedTuple):
    text: str
    literal: bool


def section_for(value: float, code: str) -> Section | None:
    """Return the section of ``code`` that ``value`` is shown in; None where the format cannot be followed.

    Not followed are General, scientific notation, fractions and text.
    """
    fitting = (section for condition, section in _sections(code) if condition is None or condition.holds(value))
    return next(fitting, None)


@lru_cache(maxsize=512)
def _sections(code: str) -> tuple[tuple[Condition | None, Section | None], ...]:
    if len(code) > _LONGEST:
        return ()
    parts = _parts(code)[:_NUMBERS]
    if len(parts) > 1 and any(token == _Token("@", literal=False) for token in parts[-1][1]):
        parts.pop()  # the last section is for text
    conditions = _completed([condition for condition, _ in parts])
    return tuple(
        (condition, _section(tokens, signed=condition is None or not _only_negative(condition)))
        for condition, (_, tokens) in zip(conditions, parts, strict=True)
    )


def _parts(code: str) -> list[tuple[Condition | None, list[_Token]]]:
    """Cut a format into its sections, each with the condition it states itself."""
    tokens: list[_Token] = []
    parts: list[tuple[Condition | None, list[_Token]]] = [(None, tokens)]
    for match in _TOKEN.finditer(code):
        bracket, bare = match[3], match[4]
        if bare == ";":
            tokens = []
            parts.append((None, tokens))
        elif bracket is not None:
            tokens.extend([_Token(bracket[1:].partition("-")[0], literal=True)] if bracket.startswith("$") else [])
            parts[-1] = (_condition(bracket) or parts[-1][0], tokens)
        elif match.lastindex is not None:  # else a blank or a filling, which has no text
            tokens.append(_Token(match[match.lastindex], literal=bare is None))
    return parts


def _condition(bracket: str) -> Condition | None:
    match = _CONDITION.fullmatch(bracket)
    try:
        return Condition(match[1], float(match[2])) if match else None
    except ValueError:
        return None


def _completed(own: list[Condition | None]) -> list[Condition | None]:
    """Add the conditions that sections have without stating them: positive, negative, and all else for the last."""
    if len(own) == 1:
        return own
    has_third = len(own) == _NUMBERS
    second = Condition("<", 0.0) if has_third or own[0] is None else None
    return [own[0] or Condition(">" if has_third else ">=", 0.0), own[1] or second, *([None] if has_third else [])]


def _only_negative(condition: Condition) -> bool:
    return condition.sign in _NEGATIVE and condition.limit <= 0


def _section(tokens: list[_Token], *, signed: bool) -> Section | None:
    bare = [token.text for token in tokens if not token.literal]
    if not tokens or any(len(text) > 1 or text in _NOT_FOLLOWED for text in bare):
        return None
    sides: list[list[Piece]] = [[]]
    grouped, shift = False, 2 * bare.count("%")
    for place, token in enumerate(tokens):
        is_digit = not token.literal and token.text in _DIGITS
        if token == _Token(".", literal=False) and len(sides) == 1:
            sides.append([])
        elif token == _Token(",", literal=False) and sides[-1] and sides[-1][-1].is_digit:
            parts_thousands = _is_digit_next(tokens, place)
            grouped |= parts_thousands
            shift -= 0 if parts_thousands else 3
        else:
            sides[-1].append(Piece(token.text, is_digit))
    whole, decimals = sides[0], [piece for side in sides[1:] for piece in side]
    if any(piece.is_digit for piece in decimals) and not any(piece.is_digit for piece in whole):
        whole.append(Piece("#", is_digit=True))  # a number larger than its format is shown whole
    return Section(tuple(whole), tuple(decimals), grouped, shift, signed)


def _is_digit_next(tokens: list[_Token], place: int) -> bool:
    """Whether a digit follows the commas that begin here."""
    following = next((token for token in tokens[place:] if token != _Token(",", literal=False)), None)
    return following is not None and not following.literal and following.text in _DIGITS
