"""Any sample rate to 16,000 per second, piece by piece: a windowed sinc filter, one set of weights a phase."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

RATE = 16_000
_ZEROS = 16
"""Zero crossings of the sinc on each side: a transition band of about 5 % of the band kept."""
_ROLL_OFF = 0.95
_FINEST = 1000
"""Largest denominator of the ratio of rates; an odd rate is met to better than 0.1 %."""
_KAISER = 8.6


class Resampler:
    """Takes mono float samples of one rate and gives 16-bit samples at `RATE`."""

    def __init__(self, rate: int) -> None:
        """Prepare the filter for samples that come ``rate`` a second."""
        ratio = Fraction(RATE, rate).limit_denominator(_FINEST)
        self._up, self._down = ratio.numerator, ratio.denominator
        self._weights = _weights(self._up, self._down)
        self._half = self._weights.shape[1] // 2
        self._waiting = np.zeros(self._half - 1, dtype=np.float32)
        self._taken = self._given = 0

    def feed(self, samples: np.ndarray) -> bytes:
        """Return what can be said of the sound so far, as little-endian 16-bit samples."""
        self._taken += len(samples)
        self._waiting = np.concatenate([self._waiting, samples.astype(np.float32, copy=False)])
        return self._pieces((len(self._waiting) - 2 * self._half + 1) // self._down)

    def finish(self) -> bytes:
        """Return the rest, silence behind it."""
        wanted = -(-self._taken * self._up // self._down) - self._given
        groups = -(-wanted // self._up)
        missing = groups * self._down + 2 * self._half - len(self._waiting)
        self._waiting = np.concatenate([self._waiting, np.zeros(max(missing, 0), dtype=np.float32)])
        return self._pieces(groups)[: max(wanted, 0) * 2]

    def _pieces(self, groups: int) -> bytes:
        """Make ``groups`` times as many samples as there are phases; each phase is one product of matrices."""
        if groups <= 0:
            return b""
        windows = np.lib.stride_tricks.sliding_window_view(self._waiting, 2 * self._half)
        out = np.empty((groups, self._up), dtype=np.float32)
        for phase in range(self._up):
            start, part = divmod(phase * self._down, self._up)
            out[:, phase] = windows[start :: self._down][:groups] @ self._weights[part]
        self._waiting = self._waiting[groups * self._down :]
        self._given += out.size
        return np.round(np.clip(out.ravel(), -1.0, 1.0) * 32767).astype("<i2").tobytes()


def _weights(up: int, down: int) -> np.ndarray:
    """Return the filter, one row a phase, each of them summing to 1 so that no hum is added."""
    cut = _ROLL_OFF * min(1.0, up / down)
    half = int(np.ceil(_ZEROS / cut))
    places = np.arange(-half + 1, half + 1)[None, :] - np.arange(up)[:, None] / up
    window = np.i0(_KAISER * np.sqrt(np.clip(1.0 - (places / half) ** 2, 0.0, 1.0))) / np.i0(_KAISER)
    weights = cut * np.sinc(cut * places) * window
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)
