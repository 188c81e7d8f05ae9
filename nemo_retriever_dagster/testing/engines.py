"""Engines for tests: an embedder that counts its calls and fails when told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from nemo_retriever_dagster.engines.ports import Embedder, EmbedInput, Purpose


class WatchedEmbedder:
    """Another embedder, watched: ``calls`` holds the inputs of every call.

    ``fault`` is asked before each call, with its number (from 1) and its inputs; the exception it returns is raised.
    """

    def __init__(
        self, inner: Embedder, fault: Callable[[int, Sequence[EmbedInput]], Exception | None] | None = None
    ) -> None:
        """Watch ``inner``, whose name and dimension are taken over."""
        self._inner = inner
        self._fault = fault
        self.calls: list[tuple[EmbedInput, ...]] = []

    @property
    def name(self) -> str:
        """The inner embedder's name."""
        return self._inner.name

    @property
    def dimension(self) -> int:
        """The inner embedder's dimension."""
        return self._inner.dimension

    @property
    def max_tokens(self) -> int:
        """The inner embedder's limit."""
        return self._inner.max_tokens

    @property
    def texts(self) -> list[str]:
        """All texts that were to be embedded, in the order of the calls."""
        return [item.text for call in self.calls for item in call]

    async def check(self) -> None:
        """Check the inner embedder."""
        await self._inner.check()

    async def aclose(self) -> None:
        """Close the inner embedder."""
        await self._inner.aclose()

    async def embed(self, inputs: Sequence[EmbedInput], *, purpose: Purpose = "passage") -> np.ndarray:
        """Note the call, fail if told to, else embed."""
        self.calls.append(tuple(inputs))
        error = self._fault(len(self.calls), inputs) if self._fault is not None else None
        if error is not None:
            raise error
        return await self._inner.embed(inputs, purpose=purpose)
