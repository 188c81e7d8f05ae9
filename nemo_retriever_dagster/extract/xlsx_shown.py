"""A spreadsheet's value as its number format shows it: dates as ISO 8601, durations, numbers with signs and units."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import TYPE_CHECKING

from openpyxl.styles.numbers import is_date_format
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, from_excel

from nemo_retriever_dagster.extract.xlsx_format import section_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.xlsx_format import Piece, Section

_ELAPSED = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_SECONDS = re.compile(r"s+\]?(?:\.(0+))?", re.IGNORECASE)
_DAY = 86_400
_MINUTE = 60
_THOUSAND = 3
_PRECISION = ".15g"
_EXACT = Context(prec=1_000)
"""Enough for the largest float with the decimals of the longest format."""


def shown(value: float, code: str, *, mac_epoch: bool = False) -> str:
    """Return ``value`` in the number format ``code``; a format that cannot be followed gives the plain number."""
    if not math.isfinite(value):
        return plain(value)
    if is_date_format(code):
        elapsed = _ELAPSED.search(code)
        try:
            return _duration(value, code, elapsed[1]) if elapsed else _moment(value, mac_epoch=mac_epoch)
        except (ValueError, ArithmeticError):
            return plain(value)
    section = section_for(value, code)
    return (_number(value, section) if section is not None else "") or plain(value)


def plain(value: float) -> str:
    """Return a number without a format, as many digits as a spreadsheet keeps."""
    return format(value, _PRECISION)


def _moment(value: float, *, mac_epoch: bool) -> str:
    found = from_excel(value, epoch=CALENDAR_MAC_1904 if mac_epoch else CALENDAR_WINDOWS_1900)
    if isinstance(found, datetime):
        return (
            found.date().isoformat()
            if found.time() == time()
            else found.isoformat(sep=" ", timespec="minutes" if not found.second else "seconds")
        )
    return str(found) if isinstance(found, (date, time)) else plain(value)


def _duration(value: float, code: str, unit: str) -> str:
    """Return days as ``30:00``: hours and minutes, or from the unit in brackets on; minutes are cut, not rounded."""
    seconds = _SECONDS.search(code)
    places = len(seconds[1] or "") if seconds else 0
    total = abs(_rounded(Decimal(plain(value)) * _DAY, places))
    whole = int(total)
    parts = {"h": (whole // _MINUTE**2, whole // _MINUTE % _MINUTE), "m": (whole // _MINUTE,), "s": ()}[unit[0].lower()]
    rest = total if not parts else total % _MINUTE
    texts = [str(part) if not place else f"{part:02}" for place, part in enumerate(parts)]
    if seconds:
        texts.append(f"{rest:0{2 + (places and places + 1)}.{places}f}" if parts else f"{rest:.{places}f}")
    return ("-" if value < 0 else "") + ":".join(texts)


def _number(value: float, section: Section) -> str:
    amount = _rounded(Decimal(plain(value)).scaleb(section.shift), section.places)
    whole, _, decimals = format(amount.copy_abs(), "f").partition(".")
    front = _whole(section.whole, whole.lstrip("0"), grouped=section.grouped)
    text = (front + _decimals(section.decimals, decimals)).strip()
    return f"-{text}" if text and value < 0 and section.signed else text


def _rounded(amount: Decimal, places: int) -> Decimal:
    """Round half away from zero, as spreadsheets do, on the digits they keep and not on the binary value."""
    return amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _EXACT)


def _whole(pieces: Sequence[Piece], digits: str, *, grouped: bool) -> str:
    """Fill the places before the decimal point from the right; the first place takes all digits that are left."""
    remaining = sum(piece.is_digit for piece in pieces)
    count = 0
    backwards: list[str] = []
    for piece in reversed(pieces):
        if not piece.is_digit:
            backwards.append(piece.text)
            continue
        remaining -= 1
        taken, digits = (digits[-1:], digits[:-1]) if remaining else (digits, "")
        for digit in reversed(taken or ("0" if piece.text == "0" else "")):
            backwards.append("," if grouped and count and not count % _THOUSAND else "")
            backwards.append(digit)
            count += 1
    return "".join(reversed(backwards))


def _decimals(pieces: Sequence[Piece], digits: str) -> str:
    """Fill the places behind the decimal point; zeros at the end stand in places of ``0`` only."""
    places = [piece.text for piece in pieces if piece.is_digit]
    kept = len(digits)
    while kept and digits[kept - 1] == "0" and places[kept - 1] != "0":
        kept -= 1
    remaining = iter(digits[:kept])
    text = "".join(next(remaining, "") if piece.is_digit else piece.text for piece in pieces)
    return f".{text}" if kept else text
