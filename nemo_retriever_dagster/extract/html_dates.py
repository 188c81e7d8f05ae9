"""When a web page says that it was published and changed: the metadata of its head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.dates import Dates, of_iso, of_mail

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser

_CREATED = (
    "article:published_time",
    "datepublished",
    "dcterms.created",
    "dcterms.issued",
    "dc.date.created",
    "dc.date.issued",
    "dcterms.date",
    "dc.date",
    "date",
)
_MODIFIED = (
    "article:modified_time",
    "datemodified",
    "dcterms.modified",
    "dc.date.modified",
    "og:updated_time",
    "last-modified",
)
_NAMED_BY = ("property", "itemprop", "name", "http-equiv")


def html_dates(document: LexborHTMLParser) -> Dates:
    """Return the dates of a parsed page; of several for one, the most telling that is a date."""
    said: dict[str, str] = {}
    for node in document.css("meta[content]"):
        date = _date(node.attributes.get("content") or "")
        for name in filter(None, (node.attributes.get(key) for key in _NAMED_BY)):
            if date:
                said.setdefault(name.lower(), date)
    return Dates(created=_first(said, _CREATED), modified=_first(said, _MODIFIED))


def _date(text: str) -> str:
    return of_iso(text) or of_mail(text)


def _first(said: dict[str, str], names: tuple[str, ...]) -> str:
    return next((said[name] for name in names if name in said), "")
