"""What one try of an op left, kept for its next try, which may run in another process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nemo_retriever_dagster.artifacts import Artifacts, address
from nemo_retriever_dagster.model import stable_id
from nemo_retriever_dagster.work import Result, result_from_json, result_to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.errors import Stage
    from nemo_retriever_dagster.settings import Settings


class Interim:
    """The results of an op's last try, in the artifacts."""

    def __init__(self, settings: Settings, run_id: str, stage: Stage) -> None:
        """Of the op of ``stage`` in run ``run_id``."""
        self._artifacts = Artifacts(settings.artifacts, settings.artifacts_options)
        self._address = address("interim", stable_id(run_id, stage), "json")

    def load(self) -> list[Result] | None:
        """Return the results in the order they were kept in; None where there are none."""
        data = self._artifacts.get(self._address)
        return None if data is None else [result_from_json(item) for item in json.loads(data)]

    def keep(self, results: Sequence[Result]) -> None:
        """Keep the results."""
        self._artifacts.put(self._address, json.dumps([result_to_json(result) for result in results]).encode())

    def drop(self) -> None:
        """Forget them."""
        self._artifacts.delete(self._address)
