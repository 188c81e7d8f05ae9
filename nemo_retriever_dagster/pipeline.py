"""The pipeline: which stages a corpus goes through and with which options, as one frozen value.

Each stage has a fingerprint made of its options, the engines it uses and the fingerprints of the stages it reads from.
A result is stored under its document's hash and that fingerprint, so a changed option re-runs only what it touches:

    extract -> split ---> embed -> upload
            -> caption -/         /
            -> store_images -----/
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.errors import InvalidOptionError, Stage
from nemo_retriever_dagster.extract.methods import checked_method
from nemo_retriever_dagster.extract.registry import EXTRACTORS, PLAIN, extractor_for
from nemo_retriever_dagster.sidecar import Sidecar, read_sidecar
from nemo_retriever_dagster.tasks import DedupTask, ExtractTask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nemo_retriever_dagster.engines.ports import Engines
    from nemo_retriever_dagster.limits import Limits
    from nemo_retriever_dagster.tasks import (
        CaptionTask,
        EmbedTask,
        FilterTask,
        SplitTask,
        StoreTask,
        UploadTask,
    )

_STAGES_VERSION = "2"
_READ_AS = {"ocr": "2", "page_elements": "2", "page_parser": "2"}
"""How the answers of an engine are taken, where that has changed: what was made the other way is made again."""
_RECOGNISERS = ("ocr", "page_elements", "table_structure", "graphic_elements", "page_parser", "transcriber")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The tasks of a pipeline; None leaves a stage out.

    ``extract`` and ``split`` are always there: a split without a task only cuts what is too long for the embedder or
    the store.
    """

    extract: ExtractTask = field(default_factory=ExtractTask)
    dedup: DedupTask | None = None
    filter: FilterTask | None = None
    split: SplitTask | None = None
    caption: CaptionTask | None = None
    store: StoreTask | None = None
    embed: EmbedTask | None = None
    upload: UploadTask | None = None

    def __post_init__(self) -> None:
        """Decide what tasks leave open; check that stages have what they need and that a format knows the method."""
        method = checked_method(self.extract.extract_method, self.extract.document_type)
        if method != self.extract.extract_method:
            object.__setattr__(self, "extract", replace(self.extract, extract_method=method))
        if self.embed is not None:
            resolved = self.embed.resolved(page_images=self.extract.extract_page_as_image)
            object.__setattr__(self, "embed", resolved)
        if self.dedup is None and self.extract.dedups():
            object.__setattr__(self, "dedup", DedupTask(repeats=False))
        if self.upload is not None and self.embed is None:
            raise InvalidOptionError("vdb_upload() has nothing to upload without embed().", hint="Add .embed().")

    def stages(self) -> tuple[Stage, ...]:
        """Return the stages that are there, in order."""
        present = {
            Stage.EXTRACT: True,
            Stage.SPLIT: True,
            Stage.CAPTION: self.caption is not None,
            Stage.STORE_IMAGES: self.store is not None,
            Stage.EMBED: self.embed is not None,
            Stage.UPLOAD: self.upload is not None,
        }
        return tuple(stage for stage, there in present.items() if there)

    def sidecar(self) -> Sidecar:
        """Read the user's own fields of documents; raise `InvalidOptionError` where they cannot be read."""
        task = self.upload
        if task is None or task.meta_dataframe is None:
            return Sidecar()
        return read_sidecar(task.meta_dataframe, task.meta_source_field, task.meta_fields)

    def fingerprints(self, format_name: str, engines: Engines) -> dict[Stage, str]:
        """Return the fingerprint of every stage for documents of one format, 32 hex digits each.

        What a document has in the `sidecar` is for `Sidecar.marked` to add.
        """
        names = {port: engine.name for port, engine in engines.all().items()}
        tidy = [public(self.dedup), public(self.filter)]
        extract = _digest(
            _STAGES_VERSION,
            format_name,
            extractor_for(format_name).version,
            public(self.extract, leave_out=("text_depth", "auto_dedup")),
            [_versioned(port, names.get(port)) for port in _RECOGNISERS] if format_name not in PLAIN else [],
        )
        embedder = engines.embedder
        limits = [embedder.max_tokens if embedder else 0, names.get("embedder") if self.embed else None]
        if self.embed is not None:
            limits += [self.embed.context, self.embed.image_elements_aggregate_page_content]
        split = _digest(extract, tidy, self.extract.text_depth, public(self.split), limits)
        caption = _digest(extract, tidy, public(self.caption), names.get("captioner")) if self.caption else ""
        store = _digest(extract, tidy, public(self.store)) if self.store else ""
        embed = _digest(split, caption, public(self.embed), names.get("embedder")) if self.embed else ""
        upload = _digest(embed, store, public(self.upload)) if self.upload else ""
        made = (extract, split, caption, store, embed, upload)
        return {stage: value for stage, value in zip(_ORDER, made, strict=True) if value}

    def all_fingerprints(self, engines: Engines) -> dict[str, dict[Stage, str]]:
        """Return the fingerprints for every format there is."""
        return {name: self.fingerprints(name, engines) for name in EXTRACTORS}

    def outcome_fingerprint(self, engines: Engines, limits: Limits) -> str:
        """Return the fingerprint of all that decides whether a document gets through.

        Where it changed, a document that failed may not fail again. Of a password it knows only that there is one.
        """
        prints = [list(made.values()) for made in self.all_fingerprints(engines).values()]
        return _digest(prints, asdict(limits), self.extract.password is not None)


_ORDER = (Stage.EXTRACT, Stage.SPLIT, Stage.CAPTION, Stage.STORE_IMAGES, Stage.EMBED, Stage.UPLOAD)
_NOT_IDENTITY = (
    *("endpoint_url", "username", "minio_endpoint", "bucket_name", "gpu_search"),
    *("recreate", "reindex", "purge_results_after_upload", "stream", "threshold"),
)


def _versioned(port: str, name: str | None) -> str | None:
    return f"{name}#{_READ_AS[port]}" if name and port in _READ_AS else name


def public(task: Any, *, leave_out: Iterable[str] = ()) -> dict[str, Any] | None:
    """Return the options of a task that make its result what it is: no secrets, no addresses of engines."""
    if task is None:
        return None
    hidden = {*_NOT_IDENTITY, *leave_out}
    return {f.name: getattr(task, f.name) for f in fields(task) if f.repr and f.name not in hidden}


def _digest(*parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _plain(value: Any) -> Any:
    if isinstance(value, (set, frozenset, tuple)):
        return sorted(value)
    if hasattr(value, "items"):
        return dict(value.items())
    return str(value)
