"""What became of the documents of one ingest, while it runs and afterwards."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from nemo_retriever_dagster.batch import IngestError
from nemo_retriever_dagster.errors import Stage
from nemo_retriever_dagster.model import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from nemo_retriever_dagster.model import Document
    from nemo_retriever_dagster.work import Result

State = Literal["pending", "submitted", "processing", "completed", "failed", "cancelled"]
_UNFINISHED = frozenset({"pending", "submitted", "processing"})


class Jobs:
    """The state of each document, by its path or name. May be read from any thread.

    "pending": named, not looked for yet; "submitted": found, on its way through the stages; "processing": through all
    of them but the upload, which waits until every document is; then "completed", "failed", or "cancelled".
    """

    def __init__(self) -> None:
        """Begin without documents."""
        self._states: dict[str, State] = {}
        self._last: Stage | None = None

    @property
    def states(self) -> dict[str, State]:
        """The state of every document now."""
        return dict(self._states)

    def count(self, *states: State) -> int:
        """Return how many documents are in one of these states."""
        return sum(state in states for state in self.states.values())

    def remaining(self) -> int:
        """Return how many are neither done, nor failed, nor cancelled."""
        return sum(state in _UNFINISHED for state in self.states.values())

    def name(self, given: Iterable[str]) -> None:
        """Begin anew with what the caller named: paths, patterns, folders count as one each until they are read."""
        self._states = dict.fromkeys(given, "pending")

    def submit(self, documents: Iterable[Document], stages: Sequence[Stage]) -> None:
        """Put the documents in the place of what was named; ``stages`` are those they go through, in order."""
        self._last = stages[-1]
        self._states = {document.uri: "submitted" for document in documents}

    def see(self, result: Result) -> None:
        """Note what a document came to."""
        if isinstance(result, Failure):
            self._states[result.uri] = "failed"
        else:
            self._states[result.document.uri] = "completed" if self._last in result.addresses else "processing"

    def seeing(self, also: Callable[[Result], None] | None = None) -> Callable[[Result], None]:
        """Return a function that notes a result and hands it to ``also``."""

        def see(result: Result) -> None:
            self.see(result)
            if also is not None:
                also(result)

        return see

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Leave no document unfinished when the block ends, also by an error, which is raised on."""
        try:
            yield
        except IngestError as error:
            self._fail(error)
            raise
        finally:
            self.close()

    def close(self) -> None:
        """Count what is not finished as cancelled."""
        for uri, state in self.states.items():
            if state in _UNFINISHED:
                self._states[uri] = "cancelled"

    def _fail(self, error: IngestError) -> None:
        failed: dict[str, State] = {failure.uri: "failed" for failure in error.failures}
        if all(failure.stage == Stage.UPLOAD for failure in error.failures):  # the others were uploaded
            self._states.update(dict.fromkeys(self._states, "completed"))
        self._states.update(failed)
