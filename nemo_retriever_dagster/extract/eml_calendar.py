"""The invitation in a mail (``text/calendar``, RFC 5545): what takes place, when, where and with whom."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LABELS = {
    "SUMMARY": "Summary",
    "DTSTART": "Start",
    "DTEND": "End",
    "DUE": "Due",
    "LOCATION": "Location",
    "ORGANIZER": "Organizer",
    "ATTENDEE": "Attendee",
    "DESCRIPTION": "Description",
}
_SHOWN = {"VEVENT", "VTODO", "VJOURNAL"}
_FOLD = re.compile(r"\n[ \t]")
_LINE = re.compile(r'([A-Za-z-]++)((?:;[^;:="]++=(?:"[^"]*+"|[^":;])*+)*+):(.*)')
_PARAMETER = re.compile(r';([^;:="]++)=(?:"([^"]*+)"|([^;]*+))')
_ESCAPED = re.compile(r"\\(.)")
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d(Z?))?$")


def events(text: str) -> list[str]:
    """Return one text an event, a line a property; a calendar without events is returned as it is."""
    found = [event for event in _events(text) if event]
    return ["\n".join(event) for event in found] or [text.strip()]


def _events(text: str) -> Iterator[list[str]]:
    inside = [""]
    event: list[str] = []
    for line in _FOLD.sub("", text).split("\n"):
        match = _LINE.match(line)
        name, parameters, value = match.groups() if match else ("", "", "")
        name = name.upper()
        if name == "BEGIN":
            inside.append(value.strip().upper())
        elif name == "END" and len(inside) > 1:
            if inside.pop() in _SHOWN:
                yield event
                event = []
        elif name in _LABELS and value.strip() and inside[-1] in _SHOWN:
            event.append(f"{_LABELS[name]}: {_shown(parameters, value.strip())}")
    yield event  # of a calendar that is cut off


def _shown(parameters: str, value: str) -> str:
    given = {name.upper(): quoted or plain for name, quoted, plain in _PARAMETER.findall(parameters)}
    if time := _TIME.match(value):
        year, month, day, hour, minute, utc = time.groups()
        zone = "UTC" if utc else given.get("TZID", "")
        return " ".join(filter(None, (f"{year}-{month}-{day}", hour and f"{hour}:{minute}", zone)))
    value = _ESCAPED.sub(lambda sign: "\n" if sign[1] in "nN" else sign[1], value)
    address = value[len("mailto:") :] if value.lower().startswith("mailto:") else value
    return f"{given['CN']} <{address}>" if given.get("CN") else address
