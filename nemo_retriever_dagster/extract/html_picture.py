"""Pictures that a page carries in itself (``data:`` URLs); a picture elsewhere is never fetched."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import CorruptFileError, UnsupportedFormatError
from nemo_retriever_dagster.extract.image import read_picture
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from nemo_retriever_dagster.extract.contract import ExtractOptions
    from nemo_retriever_dagster.limits import Budget

FindPicture = Callable[[str, str], Element | None]
"""From a picture's reference and its alternative text to the picture; None where only that text is to be had."""
_EMBEDDED = re.compile(r"\s*data:image/(?!svg)[a-z0-9.+-]{1,30};base64,", re.IGNORECASE)


def embedded_pictures(options: ExtractOptions, budget: Budget) -> FindPicture:
    """Return what finds the pictures that a page carries in itself, none where pictures are not wanted."""
    return lambda source, alt_text: _embedded_picture(source, alt_text, budget) if options.images else None


def _embedded_picture(source: str, alt_text: str, budget: Budget) -> Element | None:
    """Return the picture in an ``img``'s source, one with a warning when it is damaged, None when it is elsewhere."""
    head = _EMBEDDED.match(source)
    if head is None:
        return None
    try:
        picture = read_picture(base64.b64decode(source[head.end() :], validate=False), budget)
    except (binascii.Error, CorruptFileError, UnsupportedFormatError) as error:
        return Element(kind=Kind.IMAGE, alt_text=alt_text, warnings=(f"An embedded picture is damaged: {error}",))
    return Element(kind=Kind.IMAGE, picture=picture, alt_text=alt_text)
