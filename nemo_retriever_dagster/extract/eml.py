"""Mail (.eml): who wrote to whom, when and about what, the message, pictures in it; attachments by name.

Of the forms of one message (``multipart/alternative``) the richest that can be read is read, as a mail program does. A
forwarded message stands inside, under its own subject.
"""

from __future__ import annotations

from email import message_from_bytes, policy
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import CorruptFileError, DataError, EmptyFileError, LimitExceededError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.encoding import decode, normalize
from nemo_retriever_dagster.extract.html import html_elements
from nemo_retriever_dagster.extract.html_scan import check_depth
from nemo_retriever_dagster.extract.image import may_hold_more, read_picture
from nemo_retriever_dagster.extract.ooxml_picture import wanted_elements
from nemo_retriever_dagster.extract.text import paragraphs
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message
    from pathlib import Path

    from nemo_retriever_dagster.limits import Budget

_SHOWN = ("From", "To", "Cc", "Date")
_RICHEST_FIRST = ("text/html", "multipart/related", "multipart/mixed", "text/plain")
_SIGNS = ("From", "To", "Subject", "Date", "Message-ID", "Received", "MIME-Version")


class EmlExtractor:
    """Reads .eml with the standard library."""

    formats: tuple[str, ...] = ("eml",)
    methods: tuple[str, ...] = ()
    version = "1"

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        """Yield the message as one page with number 0."""
        budget.check("file_bytes", path.stat().st_size)
        data = path.read_bytes()
        if not data.strip():
            raise EmptyFileError
        try:
            message = message_from_bytes(data, policy=policy.compat32)
            elements = list(_Reader(options, budget).message(message, level=1))
        except RecursionError as error:
            raise LimitExceededError("The message's parts are nested too deeply.") from error
        yield Page(elements=tuple(wanted_elements(elements, options)))


class _Reader:
    """Reads one message, and those inside it."""

    def __init__(self, options: ExtractOptions, budget: Budget) -> None:
        self._options = options
        self._budget = budget

    def message(self, message: Message, *, level: int) -> Iterator[Element]:
        """Yield subject, correspondents and content."""
        if not any(message[name] for name in _SIGNS):
            raise CorruptFileError("The file has no header of a mail (From, To, Subject, Date ...).")
        if self._options.text:
            subject = _header(message, "Subject")
            if subject:
                yield Element(kind=Kind.TEXT, text=subject, heading=level)
            lines = [f"{name}: {text}" for name in _SHOWN if (text := _header(message, name))]
            yield Element(kind=Kind.TEXT, text="\n".join(lines), attributes={"part": "header"})
        yield from self._part(message, level)

    def _part(self, part: Message, level: int) -> Iterator[Element]:
        self._budget.spend("archive_members")
        self._budget.check("depth", level)
        kind = part.get_content_type()
        if part.get_content_type() == "message/rfc822":
            for inner in _parts(part):
                yield from self.message(inner, level=level + 1)
        elif kind == "multipart/alternative":
            yield from self._part(_richest(_parts(part)), level + 1)
        elif part.is_multipart():
            for inner in _parts(part):
                yield from self._part(inner, level + 1)
        else:
            yield from self._leaf(part, kind)

    def _leaf(self, part: Message, kind: str) -> Iterator[Element]:
        data = part.get_payload(decode=True)
        data = data if isinstance(data, bytes) else b""
        name = _decoded(part.get_filename() or "")
        attached = part.get_content_disposition() == "attachment"
        if kind.startswith("image/"):
            yield self._picture(data, name or kind)
        elif attached or not kind.startswith(("text/", "multipart/")):  # a multipart without its parts is plain text
            warning = f"The attachment {name or 'without a name'} ({kind}, {len(data):,} bytes) was not read."
            yield Element(kind=Kind.TEXT, warnings=(warning,), attributes={"part": "attachment", "name": name})
        elif data.strip():
            yield from self._text(data, str(part.get_content_charset("") or ""), html=kind == "text/html")

    def _text(self, data: bytes, charset: str, *, html: bool) -> Iterator[Element]:
        decoded = decode(data, charset)
        if html:
            check_depth(decoded.text, self._budget)
            yield from html_elements(decoded.text, self._options, self._budget)
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


def _parts(part: Message) -> list[Message]:
    """Return the parts inside; a part that says it has some and has none is damaged."""
    payload = part.get_payload()
    if not isinstance(payload, list) or not payload:
        raise CorruptFileError("The message is cut off: a part that should hold others is empty.")
    return [inner for inner in payload if not isinstance(inner, str)]


def _richest(parts: list[Message]) -> Message:
    for kind in _RICHEST_FIRST:
        for part in parts:
            if part.get_content_type() == kind:
                return part
    return parts[-1]


def _header(message: Message, name: str) -> str:
    return _decoded(str(message[name] or ""))


def _decoded(text: str) -> str:
    """Return a header's text, its encoded words decoded, on one line."""
    from email.errors import HeaderParseError
    from email.header import decode_header

    try:
        pieces = decode_header(text)
    except HeaderParseError:
        pieces = [(text, None)]
    words = (
        piece if isinstance(piece, str) else decode(piece, charset or "").text for piece, charset in pieces if piece
    )
    return " ".join(normalize("".join(words)).split())
