"""Bytes to text: which encoding a text file is in, and text in one normal form."""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import CorruptFileError
from nemo_retriever_dagster.extract.encoding_guess import guess_encoding

if TYPE_CHECKING:
    from pathlib import Path

    from nemo_retriever_dagster.limits import Budget

_MARKS = (  # UTF-32 first: its little-endian mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_IN_USE = [
    *("cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
]
_ESCAPES_JAPANESE = re.compile(rb"\x1b(?:\$[@B]|\([BJ])")
_SAMPLE_BYTES = 1 << 15
_FEW = 0.01  # share of bytes that may be damaged in a text that is otherwise UTF-8
_A_FEW = 2  # control characters in however short a text
_BINARY = 0.05  # share of control characters above which bytes are no text
_SURROGATES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ufeff\ufffe\uffff]")
_CONTROL_BYTES = bytes({*range(32), 127} - {*b"\t\n\r\f\x1b"})
_LINE_ENDS = re.compile("\r\n?|\x0c|\x85|\u2028")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A text in Unicode form C with line feeds as line ends, the encoding it came in, and what was lost on the way."""

    text: str
    encoding: str
    warnings: tuple[str, ...] = ()


def read_text(path: Path, budget: Budget) -> Decoded:
    """Return the text of a file; raise `LimitExceededError` before reading more than the limits allow."""
    budget.check("file_bytes", path.stat().st_size)
    budget.check("text_chars", path.stat().st_size // 4)  # no encoding needs more than 4 bytes a character
    return decode(path.read_bytes(), budget=budget)


def decode(data: bytes, declared: str = "", budget: Budget | None = None) -> Decoded:
    """Decode ``data`` by its mark, as UTF-8, by what it ``declared`` (HTML's charset), or by statistics.

    Bytes that fit no encoding become U+FFFD and a warning. Raise `CorruptFileError` for bytes that are no text, and
    `LimitExceededError` where a ``budget`` allows fewer characters.
    """
    encoding, mark = detect_encoding(data, declared)
    text = data[mark:].decode(encoding, "replace")
    if budget:
        budget.check("text_chars", len(text))
    warnings = _losses(text, data[mark:], encoding)
    if len(text) - len(_CONTROLS.sub("", text)) > max(_A_FEW, _BINARY * len(text)):
        raise CorruptFileError("The file does not hold text: too many control characters.")
    return Decoded(text=normalize(text), encoding=encoding, warnings=warnings)


def normalize(text: str) -> str:
    """Return ``text`` in Unicode form C, with line feeds only, without control characters and lone surrogates."""
    text = _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))
    return unicodedata.normalize("NFC", _SURROGATES.sub("\ufffd", text))


def looks_like_text(sample: bytes) -> bool:
    """Whether the beginning of a file is text in some encoding: nearly no control characters."""
    if marked_encoding(sample)[0] or _unmarked_wide(sample[:_SAMPLE_BYTES]):
        return True
    controls = len(sample) - len(sample.translate(None, _CONTROL_BYTES))
    return controls <= max(_A_FEW, _BINARY * len(sample))


def decode_sample(sample: bytes) -> str:
    """Return the beginning of a text, good enough to look at."""
    encoding, mark = detect_encoding(sample)
    return sample[mark:].decode(encoding, "replace")


def detect_encoding(data: bytes, declared: str = "") -> tuple[str, int]:
    """Return the name of the encoding and the length of the byte order mark."""
    marked, mark = marked_encoding(data)
    if marked:
        return marked, mark
    if wide := _unmarked_wide(data[:_SAMPLE_BYTES]):
        return wide, 0
    if _ESCAPES_JAPANESE.search(data[:_SAMPLE_BYTES]):
        return "iso2022_jp", 0
    if _is_utf8(data):
        return "utf-8", 0
    return known_encoding(declared, data) or _by_statistics(data), 0


def marked_encoding(data: bytes) -> tuple[str, int]:
    """Return the encoding that a byte order mark names and the mark's length; "" and 0 where there is none."""
    return next(((name, len(mark)) for mark, name in _MARKS if data.startswith(mark)), ("", 0))


def _unmarked_wide(sample: bytes) -> str:
    """Find UTF-16 and UTF-32 without a mark by where the zero bytes of its blanks and letters stand."""
    length = len(sample) - len(sample) % 4
    if not length or sample.count(0) < length // 8:
        return ""
    zeros = [sample[place:length:4].count(0) * 4 / length for place in range(4)]
    often, never = 0.4, 0.05
    shapes = {
        "utf-32-le": (zeros[2] > often, zeros[3] > often, zeros[0] < never),
        "utf-32-be": (zeros[0] > often, zeros[1] > often, zeros[3] < never),
        "utf-16-le": (zeros[1] > often, zeros[3] > often, zeros[0] < never, zeros[2] < never),
        "utf-16-be": (zeros[0] > often, zeros[2] > often, zeros[1] < never, zeros[3] < never),
    }
    return next((name for name, signs in shapes.items() if all(signs)), "")


def _is_utf8(data: bytes) -> bool:
    """Whether ``data`` is UTF-8, save for a few damaged bytes."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        damaged = text.count("\ufffd")
        beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
        return damaged <= _FEW * len(data) and beyond_ascii > 3 * damaged  # else a one-byte encoding with few accents
    return True


def known_encoding(name: str, data: bytes) -> str:
    """Return ``name`` as Python calls it, "" when it is none; web labels mean what browsers mean by them."""
    name = name.strip().lower()
    if name.startswith(("utf", "unicode", "ucs")):
        return ""  # bytes that are UTF have been seen to be so
    name = {"iso-8859-1": "cp1252", "latin-1": "cp1252", "us-ascii": "cp1252", "gb2312": "gb18030"}.get(name, name)
    try:
        data[:_SAMPLE_BYTES].decode(name, "replace").encode("utf-8", "replace")
    except (LookupError, UnicodeError, ValueError, AttributeError):
        return ""
    return name


def _by_statistics(data: bytes) -> str:
    """Guess among the encodings in use; where guesses tie, Western European as browsers do."""
    from charset_normalizer import from_bytes

    sample = data[:_SAMPLE_BYTES]
    if guessed := guess_encoding(sample):
        return guessed
    best = from_bytes(sample, cp_isolation=_IN_USE).best()
    return best.encoding if best else "cp1252"


def _losses(text: str, data: bytes, encoding: str) -> tuple[str, ...]:
    lost = text.count("\ufffd")
    if not lost or lost <= data.count("\ufffd".encode(encoding, "ignore") or b"\xef\xbf\xbd"):
        return ()
    return (f"{lost} damaged characters are not valid {encoding}; they stand as U+FFFD.",)
