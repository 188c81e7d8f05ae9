"""Lengths and transforms of SVG."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from nemo_retriever_dagster.model import Box

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_TRANSFORM = re.compile(r"(matrix|translate|scale|rotate|skewX|skewY)\s*\(([^)]*)\)")
_LENGTH = re.compile(rf"\s*({_NUMBER.pattern})\s*(px|pt|pc|mm|cm|in|em|ex|q|%)?\s*", re.IGNORECASE)
_PIXELS = {
    "": 1.0,
    "px": 1.0,
    "pt": 4 / 3,
    "pc": 16.0,
    "mm": 96 / 25.4,
    "cm": 96 / 2.54,
    "in": 96.0,
    "em": 16.0,
    "ex": 8.0,
    "q": 96 / 101.6,
}


class Matrix(NamedTuple):
    """A transform: x' = a x + c y + e, y' = b x + d y + f."""

    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 1.0
    e: float = 0.0
    f: float = 0.0

    def then(self, inner: Matrix) -> Matrix:
        """Return the transform that applies ``inner`` first."""
        return Matrix(
            self.a * inner.a + self.c * inner.b,
            self.b * inner.a + self.d * inner.b,
            self.a * inner.c + self.c * inner.d,
            self.b * inner.c + self.d * inner.d,
            self.a * inner.e + self.c * inner.f + self.e,
            self.b * inner.e + self.d * inner.f + self.f,
        )

    def box(self, box: Box) -> Box:
        """Return the box around the transformed corners."""
        corners = [(x, y) for x in (box.x0, box.x1) for y in (box.y0, box.y1)]
        xs = [self.a * x + self.c * y + self.e for x, y in corners]
        ys = [self.b * x + self.d * y + self.f for x, y in corners]
        return Box(min(xs), min(ys), max(xs), max(ys))


def length(value: str | None, whole: float = 0.0) -> float:
    """Return a length in pixels; ``whole`` is what per cent are taken of; 0 for none or nonsense."""
    match = _LENGTH.fullmatch(value or "")
    if match is None:
        return 0.0
    unit = (match[2] or "").lower()
    found = float(match[1]) * (whole / 100 if unit == "%" else _PIXELS[unit])
    return found if math.isfinite(found) else 0.0


def numbers(value: str | None) -> list[float]:
    """Return all numbers of an attribute such as ``viewBox``."""
    return [float(text) for text in _NUMBER.findall(value or "")]


def transform(value: str | None) -> Matrix:
    """Return a ``transform`` attribute as one matrix; what cannot be read is left out."""
    whole = Matrix()
    for name, arguments in _TRANSFORM.findall(value or ""):
        whole = whole.then(_single(name, numbers(arguments)))
    return whole


def _single(name: str, n: list[float]) -> Matrix:
    if name == "matrix" and len(n) == len(Matrix._fields):
        return Matrix(*n)
    if name == "translate" and n:
        return Matrix(e=n[0], f=n[1] if len(n) > 1 else 0.0)
    if name == "scale" and n:
        return Matrix(a=n[0], d=n[1] if len(n) > 1 else n[0])
    if name == "rotate" and n:
        x, y = (n[1], n[2]) if len(n) > 2 else (0.0, 0.0)  # noqa: PLR2004 -- rotate(angle, x, y)
        cos, sin = math.cos(math.radians(n[0])), math.sin(math.radians(n[0]))
        return Matrix(e=x, f=y).then(Matrix(cos, sin, -sin, cos)).then(Matrix(e=-x, f=-y))
    if name.startswith("skew") and n:
        slope = math.tan(math.radians(n[0]))
        return Matrix(c=slope) if name == "skewX" else Matrix(b=slope)
    return Matrix()
