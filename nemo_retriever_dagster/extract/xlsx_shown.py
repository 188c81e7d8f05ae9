"""A spreadsheet's value as its number format shows it: dates as ISO 8601, numbers with their decimals, signs, units."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple

from openpyxl.styles.numbers import is_date_format, is_timedelta_format
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, from_excel

_SECTION = re.compile(r';(?=(?:[^"]*"[^"]*")*[^"]*$)')
_CURRENCY = re.compile(r"\[\$([^\]-]*)(?:-[^\]]*)?\]")
_CONDITION = re.compile(r"\[[^\]]*\]")
_SKIPPED = re.compile(r"_.|\*.")
_LITERAL = re.compile(r'"([^"]*)"|\\(.)')
_DIGITS = re.compile(r"[#0?][#0?,]*(?:\.([#0?]*))?(,*)")
_GENERAL = re.compile(r"general|@", re.IGNORECASE)
_ODD = re.compile(r"[EeAa/]")
_MOST_DECIMALS = 30
_NO_DIGITS = -1
_WITH_ZERO = 3
"""Sections a format has when the last of them is for zero."""
_PRECISION = ".15g"


class _Section(NamedTuple):
    """One section of a number format: what stands around the digits, and how they are written."""

    before: str
    after: str
    decimals: int
    grouped: bool
    factor: float


def shown(value: float, code: str, *, mac_epoch: bool = False) -> str:
    """Return ``value`` in the number format ``code``; a format that cannot be followed gives the plain number."""
    if is_date_format(code):
        try:
            return _moment(value, code, mac_epoch=mac_epoch)
        except (ValueError, OverflowError):
            return plain(value)
    sections = _SECTION.split(code)
    own_negative = value < 0 and len(sections) > 1
    own_zero = value == 0 and len(sections) >= _WITH_ZERO
    chosen = _section(sections[1 if own_negative else 2 if own_zero else 0])
    return plain(value) if chosen is None else _number(abs(value) if own_negative else value, chosen)


def plain(value: float) -> str:
    """Return a number without a format, as many digits as a spreadsheet keeps."""
    return format(value, _PRECISION)


def _moment(value: float, code: str, *, mac_epoch: bool) -> str:
    epoch = CALENDAR_MAC_1904 if mac_epoch else CALENDAR_WINDOWS_1900
    found = from_excel(value, epoch=epoch, timedelta=is_timedelta_format(code))
    if isinstance(found, datetime):
        return (
            found.date().isoformat()
            if found.time() == time()
            else found.isoformat(sep=" ", timespec="minutes" if not found.second else "seconds")
        )
    return str(found) if isinstance(found, (date, time, timedelta)) else plain(value)


def _number(value: float, section: _Section) -> str:
    if section.decimals == _NO_DIGITS:
        return section.before.strip() or plain(value)
    digits = format(value * section.factor, f"{',' if section.grouped else ''}.{section.decimals}f")
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    return f"{sign}{section.before}{digits}{section.after}".strip()


@lru_cache(maxsize=512)
def _section(code: str) -> _Section | None:
    """Read a section; None for General, text, fractions and scientific notation, which give the plain number."""
    code = _CONDITION.sub("", _CURRENCY.sub(r'"\1"', code))
    bare = _LITERAL.sub("", code)
    if not code or _GENERAL.search(bare) or _ODD.search(bare):
        return None
    literals: list[str] = []
    code = _LITERAL.sub(lambda match: _kept(match[1] if match[1] is not None else match[2], literals), code)
    code = _SKIPPED.sub("", code)
    digits = _DIGITS.search(code)
    if digits is None:
        return _Section(_restored(code, literals), "", _NO_DIGITS, grouped=False, factor=1.0)
    before, after = (_restored(part, literals) for part in (code[: digits.start()], code[digits.end() :]))
    factor = 100.0 ** (before + after).count("%") / 1000.0 ** len(digits[2])
    decimals = min(len(digits[1] or ""), _MOST_DECIMALS)
    return _Section(before, after, decimals, "," in digits[0].removesuffix(digits[2]), factor)


def _kept(text: str, literals: list[str]) -> str:
    """Put a literal aside behind a sign of the private use area, so that its letters are not taken for a format."""
    literals.append(text)
    return chr(0xE000 + len(literals) - 1)


def _restored(text: str, literals: list[str]) -> str:
    return "".join(literals[place] if 0 <= (place := ord(sign) - 0xE000) < len(literals) else sign for sign in text)
