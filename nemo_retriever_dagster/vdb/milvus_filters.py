"""Filters with bound values: ``document == {name}`` plus ``{"name": ...}``.

Neither Milvus Lite nor servers before 2.5 know filter templates, so the values become literals here, in the one place
that quotes them. The literals are those of Milvus's grammar (C-style escapes), which is not quite JSON's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nemo_retriever_dagster.errors import InvalidOptionError

if TYPE_CHECKING:
    from nemo_retriever_dagster.model import type_json

_PARTS = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\{([A-Za-z_]\w*)\}|[{}"']""", re.DOTALL)
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_MAX_INT = 2**63


def bind(where: str, values: Mapping[str, type_json] | None = None) -> str:
    """Return ``where`` with every ``{name}`` outside quotes replaced by the literal of ``values[name]``.

    Raise `InvalidOptionError` for a placeholder without a value, a value without a placeholder, or an open quote.
    """
    values = values or {}
    used: set[str] = set()

    def replace(match: re.Match[str]) -> str:
        text, name = match.group(), match.group(1)
        if name is None and text in {"{", "}", '"', "'"}:
            raise InvalidOptionError(
                f"The filter {where!r} has a stray {text} at column {match.start() + 1}.",
                hint='Write placeholders as {name} and pass filter_params={"name": value}.',
            )
        if name is None:
            return text
        used.add(name)
        if name not in values:
            raise InvalidOptionError(
                f"The filter has no value for {{{name}}}.", hint=f'Pass filter_params={{"{name}": value}}.'
            )
        return literal(values[name])

    bound = _PARTS.sub(replace, where)
    if unused := sorted(set(values) - used):
        raise InvalidOptionError(
            f"The filter {where!r} does not use: {', '.join(unused)}.",
            hint=f"Write {{{unused[0]}}} where the value belongs, without quotes around it.",
        )
    return bound


def literal(value: type_json) -> str:
    """Return the Milvus literal of a string, number, boolean or list of them; NumPy's count as Python's."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"'
    if isinstance(value, int) and -_MAX_INT <= value < _MAX_INT:
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return f"[{', '.join(literal(item) for item in value)}]"
    raise InvalidOptionError(
        f"A filter cannot hold {value!r} ({type(value).__name__}).",
        hint="Use a string, a finite number, a boolean or a list of them.",
    )


def join(*conditions: str) -> str:
    """Return the conditions that are not empty, each in parentheses, joined with ``and``."""
    kept = [condition for condition in conditions if condition.strip()]
    return " and ".join(f"({condition})" for condition in kept) if len(kept) > 1 else "".join(kept)
