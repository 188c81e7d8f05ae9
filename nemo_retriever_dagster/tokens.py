"""Tokenizers for splitting: where the tokens of a text begin and end. The default one needs no network."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.errors import InvalidOptionError, MisuseError, SourceNotFoundError
from nemo_retriever_dagster.modelfiles import MODEL, find_model_file

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUNDLED = {MODEL, f"sentence-transformers/{MODEL}"}
_HALF = re.compile(r"[\ud800-\udfff]")
_PIECE = 500_000  # characters tokenized at once: bounds the memory that a long text takes
_OFFLINE = (
    f"Leave the tokenizer out: the default, of {MODEL}, works offline. Or give the path of a tokenizer.json, "
    "or, for a gated model, an access token of the hub."
)


class Tokenizer:
    """Tells the tokens of a text by their place; safe to share between threads.

    ``name`` identifies it in a fingerprint: the model's name, or for a file its folder and the hash of its content.
    """

    def __init__(self, name: str, tokenizer: Any) -> None:
        """Wrap a ``tokenizers.Tokenizer``; its truncation and padding are switched off."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.name = name
        self._tokenizer = tokenizer

    def __repr__(self) -> str:
        """Show the name."""
        return f"Tokenizer({self.name!r})"

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return the start and end of each token, in characters of ``text``; marks the model adds are left out."""
        return [
            (start + offset, end + offset)
            for offset, piece in _pieces(text)
            for start, end in self._tokenizer.encode(piece, add_special_tokens=False).offsets
        ]

    def count(self, text: str) -> int:
        """Return the number of tokens."""
        return sum(len(self._tokenizer.encode(piece, add_special_tokens=False)) for _, piece in _pieces(text))


def encodable(text: str) -> str:
    """Return ``text`` with U+FFFD for each half of a character (a lone surrogate, of a damaged file or a cut reply).

    Nobody can encode such a half. The length stays.
    """
    return text if text.isascii() else _HALF.sub("\ufffd", text)


def load_tokenizer(
    name: str | None = None,
    *,
    hf_access_token: str | None = None,
    models_dir: Path | None = None,
    tokenizers_dir: Path | None = None,
) -> Tokenizer:
    """Return the tokenizer called ``name``, loaded once a process.

    None is the offline default, the WordPiece tokenizer of all-MiniLM-L6-v2 (``models_dir``: see `find_model_file`).
    Else the path of a ``tokenizer.json`` (or of its folder), or the name of a model on the Hugging Face hub: looked for
    in ``tokenizers_dir`` (``MODEL_PREDOWNLOAD_PATH``), then on the hub, which needs the network unless it is in the
    hub's cache. Raises a `MisuseError` that names the offline way out; a tokenizer is never swapped for another.
    """
    if name is None or name in _BUNDLED:
        return _from_file(find_model_file("tokenizer.json", models_dir), MODEL)
    path = Path(name).expanduser()
    if path.exists():
        file = path / "tokenizer.json" if path.is_dir() else path
        if not file.is_file():
            raise SourceNotFoundError(f"The folder {path} has no tokenizer.json.", hint=_OFFLINE)
        return _from_file(file.resolve(), None)
    if name.endswith(".json") or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise SourceNotFoundError(f"There is no tokenizer file at {name}.", hint=_OFFLINE)
    if (local := _predownloaded(name, tokenizers_dir)) is not None:
        return _from_file(local.resolve(), name)
    return _from_hub(name, hf_access_token)


def _predownloaded(name: str, folder: Path | None) -> Path | None:
    """Return the tokenizer file that a model of the hub has in ``folder``, laid out as by name or as the original's."""
    if folder is None:
        return None
    last = name.rpartition("/")[2]
    folders = (folder / name, folder / last, folder / last.lower())
    places = (place / inner / "tokenizer.json" for place in folders for inner in ("", "tokenizer"))
    return next((place for place in places if place.is_file()), None)


@lru_cache(maxsize=16)
def _from_file(path: Path, name: str | None) -> Tokenizer:
    import tokenizers

    data = path.read_bytes()
    try:
        tokenizer = tokenizers.Tokenizer.from_buffer(data)
    except Exception as error:  # the library raises bare Exception
        raise InvalidOptionError(f"{path} is not a tokenizer file: {error}", hint=_OFFLINE) from error
    return Tokenizer(name or f"{path.parent.name}@{hashlib.sha256(data).hexdigest()[:12]}", tokenizer)


@lru_cache(maxsize=16)
def _from_hub(name: str, token: str | None) -> Tokenizer:
    import tokenizers

    try:
        tokenizer = tokenizers.Tokenizer.from_pretrained(name, token=token)
    except Exception as error:
        cause = " ".join(str(error).split())[:300]
        message = f"The tokenizer {name!r} cannot be fetched from the Hugging Face hub: {cause}"
        raise MisuseError(message, hint=_OFFLINE) from error
    return Tokenizer(name, tokenizer)


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Cut a long text after white space, which no token crosses; yield each piece and where it begins."""
    text = encodable(text)
    start = 0
    while len(text) - start > _PIECE:
        blanks = [match.end() for match in re.finditer(r"\s", text[start : start + _PIECE])]
        end = start + (blanks[-1] if blanks else _PIECE)
        yield start, text[start:end]
        start = end
    yield start, text[start:]
