"""Mail (.eml): who wrote to whom, when and about what, the message, pictures in it; attachments by name.

Of the forms of one message (``multipart/alternative``) the richest that says something is read, as a mail program does,
and the invitation beside it. A forwarded message stands inside, under its own subject.
"""

from __future__ import annotations

import codecs
import re
from email import message_from_bytes
from email.policy import Compat32
from itertools import islice
from typing import TYPE_CHECKING

from nemo_retriever_dagster.dates import Dates, of_mail
from nemo_retriever_dagster.errors import CorruptFileError, DataError, EmptyFileError, LimitExceededError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.eml_calendar import events
from nemo_retriever_dagster.extract.encoding import decode, normalize
from nemo_retriever_dagster.extract.html import html_elements
from nemo_retriever_dagster.extract.html_scan import check_depth
from nemo_retriever_dagster.extract.image import may_hold_more, read_picture
from nemo_retriever_dagster.extract.ooxml_picture import wanted_elements
from nemo_retriever_dagster.extract.text import paragraphs
from nemo_retriever_dagster.model import Element, Kind, Origin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message
    from pathlib import Path

    from nemo_retriever_dagster.limits import Budget

_SHOWN = ("From", "To", "Cc", "Date")
_RICHEST_FIRST = ("text/html", "multipart/related", "multipart/mixed", "text/plain")
_INVITATION = "text/calendar"
_SIGNS = ("From", "To", "Subject", "Date", "Message-ID", "Received", "MIME-Version")
_ENCODED_WORD = r"=\?[^?\s]+\?[bBqQ]\?[^?]*\?="
_ENCODED_WORDS = re.compile(rf"{_ENCODED_WORD}(?:\s*+{_ENCODED_WORD})*")
_FIRST_PARTS = 10
"""Parts that are asked for a charset where the header names none."""


class _RawHeaders(Compat32):
    """Gives headers as they came: bytes beyond ASCII are surrogates, not U+FFFD."""

    def header_fetch_parse(self, name: str, value: str) -> str:  # noqa: ARG002 -- the standard library's names
        return value


class EmlExtractor:
    """Reads .eml with the standard library."""

    formats: tuple[str, ...] = ("eml",)
    methods: tuple[str, ...] = ()
    version = "4"

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        """Yield the message as one page with number 0."""
        budget.check("file_bytes", path.stat().st_size)
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
        if not data.strip():
            raise EmptyFileError
        try:
            message = message_from_bytes(data, policy=_RawHeaders())
            if not _has_header(message):
                raise CorruptFileError("The file has no header of a mail (From, To, Subject, Date ...).")
            if _is_empty(message):
                raise CorruptFileError("The message is cut off: a part that should hold others is empty.")
            elements = list(_Reader(options, budget).message(message, level=1))
        except RecursionError as error:
            raise LimitExceededError("The message's parts are nested too deeply.") from error
        said = Dates(created=of_mail(_header(message, "Date")))
        yield Page(elements=tuple(wanted_elements(elements, options)), dates=said)


class _Reader:
    """Reads one message, and those inside it."""

    def __init__(self, options: ExtractOptions, budget: Budget) -> None:
        self._options = options
        self._budget = budget

    def message(self, message: Message, *, level: int) -> Iterator[Element]:
        """Yield subject, correspondents and content."""
        yield from self._head(message, level)
        yield from self._part(message, level)

    def _head(self, message: Message, level: int) -> Iterator[Element]:
        if self._options.text:
            subject = _header(message, "Subject")
            if subject:
                yield Element(kind=Kind.TEXT, text=subject, heading=level)
            lines = [f"{name}: {text}" for name in _SHOWN if (text := _header(message, name))]
            yield Element(kind=Kind.TEXT, text="\n".join(lines), attributes={"part": "header"})

    def _part(self, part: Message, level: int) -> Iterator[Element]:
        self._budget.spend("archive_members")
        self._budget.check("depth", level)
        kind = part.get_content_type()
        inside = _parts(part)
        if kind == "message/rfc822" and inside:
            yield from self._forwarded(inside[0], level + 1)
        elif kind == "message/rfc822-headers" and inside:
            yield from self._head(inside[0], level + 1)
        elif kind == "message/delivery-status":
            yield from self._status(inside)
        elif kind == "multipart/alternative" and inside:
            yield from self._alternative(inside, level + 1)
        elif inside:
            for inner in inside:
                yield from self._part(inner, level + 1)
        elif _is_empty(part):
            yield _warned("A part that should hold others is empty: the message is cut off, or they stand beside it.")
        else:
            yield from self._leaf(part, kind)

    def _forwarded(self, message: Message, level: int) -> Iterator[Element]:
        if _has_header(message):
            yield from self.message(message, level=level)
        else:
            yield _warned("A forwarded message without a header was not read.")

    def _status(self, groups: list[Message]) -> Iterator[Element]:
        """Yield what a bounce tells of itself and of each recipient: groups of fields."""
        for group in groups if self._options.text else []:
            if lines := [f"{name}: {_header(group, name)}" for name in dict.fromkeys(group.keys())]:
                yield Element(kind=Kind.TEXT, text="\n".join(lines))

    def _alternative(self, parts: list[Message], level: int) -> Iterator[Element]:
        """Yield the richest form that says something, poorer ones only beside those that say nothing.

        An invitation is read besides: the other forms need not tell its time and place.
        """
        for form in sorted((part for part in parts if part.get_content_type() != _INVITATION), key=_poverty):
            found = list(self._part(form, level))
            yield from found
            if any(map(_says_something, found)):
                break
        for part in parts:
            if part.get_content_type() == _INVITATION:
                yield from self._part(part, level)

    def _leaf(self, part: Message, kind: str) -> Iterator[Element]:
        data = part.get_payload(decode=True)
        data = data if isinstance(data, bytes) else b""
        name = _decoded(part.get_filename() or "", part)
        attached = part.get_content_disposition() == "attachment"
        if kind.startswith("image/"):
            yield self._picture(data, name or kind)
        elif attached or not kind.startswith(("text/", "multipart/")):  # a multipart without its parts is plain text
            warning = f"The attachment {name or 'without a name'} ({kind}, {len(data):,} bytes) was not read."
            yield Element(kind=Kind.TEXT, warnings=(warning,), attributes={"part": "attachment", "name": name})
        elif data.strip():
            yield from self._text(data, str(part.get_content_charset("") or ""), kind)

    def _text(self, data: bytes, charset: str, kind: str) -> Iterator[Element]:
        decoded = decode(data, charset)
        if kind == "text/html":
            check_depth(decoded.text, self._budget)
            yield from html_elements(decoded.text, self._options, self._budget)
        elif self._options.text and kind == _INVITATION:
            marks = {"part": "calendar"}
            yield from (Element(kind=Kind.TEXT, text=text, attributes=marks) for text in events(decoded.text))
        elif self._options.text:
            yield from (Element(kind=Kind.TEXT, text=text) for text in paragraphs(decoded.text))
        if decoded.warnings:
            yield Element(kind=Kind.TEXT, warnings=decoded.warnings)

    def _picture(self, data: bytes, name: str) -> Element:
        marks = {"name": name}
        try:
            picture = read_picture(data, self._budget)
        except DataError as error:
            return Element(kind=Kind.IMAGE, warnings=(f"The picture {name} cannot be read: {error}",), attributes=marks)
        wanted = self._options.tables or self._options.charts or self._options.infographics
        looks = {"look_inside": True} if wanted and may_hold_more(picture) else {}
        return Element(kind=Kind.IMAGE, picture=picture, attributes={**marks, **looks})


def _has_header(message: Message) -> bool:
    return any(message[name] for name in _SIGNS)


def _parts(part: Message) -> list[Message]:
    """Return the parts inside; none where there is text instead, whatever the part says of itself."""
    payload = part.get_payload()
    return [inner for inner in payload if not isinstance(inner, str)] if isinstance(payload, list) else []


def _is_empty(part: Message) -> bool:
    """Whether a part says that it has others inside, and there is nothing."""
    payload = part.get_payload()
    return part.get_content_maintype() == "multipart" and not (payload.strip() if isinstance(payload, str) else payload)


def _warned(warning: str) -> Element:
    return Element(kind=Kind.TEXT, warnings=(warning,))


def _poverty(part: Message) -> int:
    kind = part.get_content_type()
    return _RICHEST_FIRST.index(kind) if kind in _RICHEST_FIRST else len(_RICHEST_FIRST)


def _says_something(element: Element) -> bool:
    """Whether an element is more than a title or what stands for a picture."""
    return bool(element.text.strip()) and not element.heading and element.origin is not Origin.ALT_TEXT


def _header(message: Message, name: str) -> str:
    return _decoded(str(message[name] or ""), message)


def _decoded(text: str, message: Message) -> str:
    """Return a header's text on one line, its encoded words decoded, raw bytes read as the message's text is."""
    unfolded = " ".join(_plain(text, message).splitlines())
    return " ".join(normalize(_ENCODED_WORDS.sub(lambda words: _words(words[0]), unfolded)).split())


def _plain(text: str, message: Message) -> str:
    try:
        raw = text.encode("ascii", "surrogateescape")
    except UnicodeEncodeError:  # a name whose charset was given beside it (RFC 2231)
        return text
    return text if text.isascii() else decode(raw, _charset(message)).text


def _charset(message: Message) -> str:
    """Return the first charset that the parts of a message name, "" where none does."""
    named = (part.get_content_charset() for part in islice(message.walk(), _FIRST_PARTS))
    return str(next(filter(None, named), ""))


def _words(text: str) -> str:
    """Decode encoded words that stand beside each other."""
    from email.errors import HeaderParseError
    from email.header import decode_header

    try:
        pieces = decode_header(text)
    except HeaderParseError:
        return text
    return "".join(
        piece if isinstance(piece, str) else decode(piece, charset or "").text for piece, charset in pieces if piece
    )
