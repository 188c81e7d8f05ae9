"""Dates of documents, written as the reference writes them: ISO 8601 to the second (``2026-03-01T10:00:00``).

A time that names its zone is turned into UTC, one that names none is taken as it stands; of a date that names no more
than a year, a month or a day, it is the beginning. What is no date is "".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 64
_NEVER = (1, 1601)
"""Years by which programs say that there is no date: where their clocks begin."""
_COARSE = re.compile(r"\d{4}(-\d\d)?")
_PDF = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:([-+Z])(?:(\d\d)'?(\d\d)?'?)?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dates:
    """When a document was made and last changed, as it says itself; "" where it does not."""

    created: str = ""
    modified: str = ""


def of_moment(moment: datetime) -> str:
    """Write a moment."""
    try:
        utc = moment.astimezone(UTC) if moment.tzinfo is not None else moment
    except OverflowError:
        return ""
    return "" if utc.year in _NEVER else utc.replace(tzinfo=None).isoformat(timespec="seconds")


def of_seconds(seconds: float) -> str:
    """Write a file's time, in seconds since 1970."""
    try:
        return of_moment(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return ""


def of_iso(text: str) -> str:
    """Write a date that is in ISO 8601, or as W3C has it: a year or a month will do."""
    found = text.strip()
    if coarse := _COARSE.fullmatch(found):
        found += "-01" if coarse[1] else "-01-01"
    return _parsed(datetime.fromisoformat, found)


def of_mail(text: str) -> str:
    """Write a date as mail and web servers have it (RFC 5322): ``Sun, 01 Mar 2026 10:00:00 +0000``."""
    return _parsed(parsedate_to_datetime, text.strip())


def of_pdf(text: str) -> str:
    """Write a date as PDF has it (``D:20260301100000+01'00'``); some programs put ISO 8601 in its place."""
    found = _PDF.fullmatch(text.strip().rstrip("\0"))
    if found is None:
        return of_iso(text)
    year, month, day, hour, minute, second, sign, hours, minutes = found.groups()
    zone = "" if sign is None else f"{'+' if sign == 'Z' else sign}{hours or '00'}:{minutes or '00'}"
    return of_iso(f"{year}-{month or '01'}-{day or '01'}T{hour or '00'}:{minute or '00'}:{second or '00'}{zone}")


def of_exif(text: str, offset: str = "") -> str:
    """Write a date as pictures have it (``2026:03:01 10:00:00``); ``offset`` is its zone (``+01:00``), where told."""
    day, _, time = text.strip("\0 ").partition(" ")
    zone = offset.strip("\0 ")
    return of_iso(f"{day.replace(':', '-')}T{time}{zone}") if time else ""


def _parsed(parse: Callable[[str], datetime], text: str) -> str:
    if not text or len(text) > _LONGEST:
        return ""
    try:
        return of_moment(parse(text))
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""
