"""The small reference that travels from stage to stage: which document, where its results lie, what they cost.

It holds addresses, never payloads, and is JSON, so that ops in different processes can hand it on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.model import Document, Failure, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nemo_retriever_dagster.errors import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A document on its way. ``seconds`` and ``usage`` are by stage; ``reused`` names the stages found done."""

    document: Document
    addresses: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    usage: Mapping[str, Usage] = field(default_factory=dict)
    reused: tuple[str, ...] = ()
    generation: str = ""
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    def done(self, stage: Stage, address: str, seconds: float, *, reused: bool) -> Work:
        """Return the work after ``stage``."""
        return replace(
            self,
            addresses={**self.addresses, stage: address},
            seconds={**self.seconds, stage: round(seconds, 4)},
            reused=(*self.reused, stage) if reused else self.reused,
        )

    def counted(self, counts: Mapping[str, int]) -> Work:
        """Return the work with these counts."""
        return replace(self, counts={**self.counts, **counts})

    def used(self, usage: Mapping[str, Usage]) -> Work:
        """Return the work with the usage of engines added."""
        total = {name: self.usage.get(name, Usage()) + more for name, more in usage.items()}
        return replace(self, usage={**self.usage, **total})

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {"work": asdict(self)}


Result = Work | Failure
"""What a stage leaves: work that goes on, or why it ended."""


def result_to_json(result: Result) -> dict[str, Any]:
    """Return a JSON object that `result_from_json` reads."""
    return result.to_json() if isinstance(result, Work) else {"failure": result.to_json()}


def result_from_json(data: Mapping[str, Any]) -> Result:
    """Read what `result_to_json` wrote."""
    if "failure" in data:
        return Failure(**data["failure"])
    fields = dict(data["work"])
    fields["document"] = Document(**fields["document"])
    fields["usage"] = {name: Usage(**usage) for name, usage in fields["usage"].items()}
    fields["reused"] = tuple(fields["reused"])
    return Work(**fields)
