"""What the stages make of a document as far as no engine is asked: found, read, split, put together, written.

Everything here blocks; the `Runner` calls it in threads, one call for all of a stage that engines do not part.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nemo_retriever_dagster import stages
from nemo_retriever_dagster.commit import generation_of
from nemo_retriever_dagster.engines.ports import Caption, Engines
from nemo_retriever_dagster.errors import Stage
from nemo_retriever_dagster.limits import Limits
from nemo_retriever_dagster.model import Receipt
from nemo_retriever_dagster.shape import Made, to_records
from nemo_retriever_dagster.shelf import Shelf, place_of
from nemo_retriever_dagster.tokens import load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from nemo_retriever_dagster.commit import Committer
    from nemo_retriever_dagster.extract.workers import ParserPool
    from nemo_retriever_dagster.images import ImageStore
    from nemo_retriever_dagster.model import Chunk, Document, Element, Record
    from nemo_retriever_dagster.pipeline import Pipeline
    from nemo_retriever_dagster.source import Buffers, Source
    from nemo_retriever_dagster.stages import Captions
    from nemo_retriever_dagster.tasks import SplitTask
    from nemo_retriever_dagster.tokens import Tokenizer
    from nemo_retriever_dagster.work import Work

_CHUNK_BYTES = 30_000  # a table's text stands in the row's metadata once more, escaped, and both have 65,535 at most
Note = dict[str, Any]
"""What is written beside a stage's result when it is whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What a runner works with. ``committer`` is needed for upload, ``images`` for store_images.

    ``workers`` is the number of parser processes: so many documents are extracted at once, and one waits at the door.
    ``models_dir`` and ``tokenizers_dir``: see `load_tokenizer`.
    """

    source: Source | Buffers
    parsers: ParserPool
    shelf: Shelf
    engines: Engines
    committer: Committer | None = None
    images: ImageStore | None = None
    workers: int = 2
    limits: Limits = field(default_factory=Limits)
    models_dir: Path | None = None
    tokenizers_dir: Path | None = None


class Step(NamedTuple):
    """What a stage leaves: the place of its result, whether it was found done, and the work with its counts."""

    place: str
    reused: bool
    work: Work


class Passages(NamedTuple):
    """What is embedded of a document: chunks, with what they are of and what they stand under."""

    chunks: Sequence[Chunk]
    elements: Sequence[Element]
    captions: Captions
    contexts: Sequence[str]


class Workbench:
    """The stages of one pipeline on the results that are kept. Safe to use from several threads."""

    def __init__(self, pipeline: Pipeline, equipment: Equipment, *, run_id: str = "") -> None:
        """Begin nothing yet; ``run_id`` marks rows."""
        self.pipeline = pipeline
        self.equipment = equipment
        self.run_id = run_id
        self._sidecar = pipeline.sidecar()
        self._prints: dict[str, dict[str, str]] = {}

    # --- places and notes ---

    def fingerprints(self, document: Document) -> Mapping[str, str]:
        """Return the fingerprints of the stages for this document."""
        if document.format not in self._prints:
            made = self.pipeline.fingerprints(document.format, self.equipment.engines)
            self._prints[document.format] = {str(stage): value for stage, value in made.items()}
        return self._sidecar.marked(self._prints[document.format], document)

    def look(self, stage: Stage, document: Document) -> tuple[str, Note | None]:
        """Return the place of a stage's result, and its note where the stage is done."""
        fingerprint = self.fingerprints(document)[stage]
        if stage is Stage.EMBED and self.pipeline.embed is not None and self.pipeline.embed.context:
            fingerprint = f"{fingerprint}/{document.name}"  # which is part of what is embedded
        place = place_of(stage, document.sha256, fingerprint)
        return place, self.equipment.shelf.note(place)

    def keep_elements(self, place: str, elements: Sequence[Element], note: Note) -> None:
        """Keep what was extracted."""
        self.equipment.shelf.put_elements(place, elements)
        self.equipment.shelf.finish(place, note)

    def keep_vectors(self, place: str, vectors: np.ndarray) -> Note:
        """Keep what was embedded, and return its note."""
        note = {"embedded": int(np.isfinite(vectors).all(axis=1).sum())}
        self.equipment.shelf.put_vectors(place, vectors)
        self.equipment.shelf.finish(place, note)
        return note

    def keep_captions(self, place: str, captions: Captions) -> Note:
        """Keep captions, which are a note and nothing besides."""
        note = {str(i): [caption.text, caption.source] for i, caption in captions.items()}
        self.equipment.shelf.finish(place, note)
        return note

    def _step(self, stage: Stage, work: Work, make: Callable[[Work, str], Note]) -> tuple[str, bool, Note]:
        """Find a stage's result or make it; return its place, whether it was found done, and its note."""
        place, note = self.look(stage, work.document)
        if note is not None:
            return place, True, note
        note = make(work, place)
        self.equipment.shelf.finish(place, note)
        return place, False, note

    # --- the stages that ask no engine ---

    def split(self, work: Work) -> Step:
        """Cut a document's elements into chunks."""
        place, reused, note = self._step(Stage.SPLIT, work, self._split)
        return Step(place, reused, work.counted(note))

    def _split(self, work: Work, place: str) -> Note:
        elements, task, longest = self.elements(work), self.pipeline.split, self._longest()
        if task is not None and not task.applies_to(work.document.format):
            task = None
        with_context = self.pipeline.embed is not None and self.pipeline.embed.context
        kept = stages.tidy(elements, self.pipeline.dedup, self.pipeline.filter)
        chunks = stages.split(
            elements,
            stages.units(elements, self.pipeline.extract.text_depth, kept, page_texts=self._reads_pages()),
            task,
            self._tokenizer(task),
            fit=self._tokenizer(None),
            max_tokens=longest,
            max_bytes=_CHUNK_BYTES,
            spare=stages.spare_tokens(longest) if with_context else 0,
        )
        self.equipment.shelf.put_chunks(place, chunks)
        return {**stages.counts(elements, chunks, kept), "pages": work.counts.get("pages", 0)}

    def _reads_pages(self) -> bool:
        embed = self.pipeline.embed
        return embed is not None and bool(embed.image_elements_aggregate_page_content)

    def _longest(self) -> int:
        """Return how many tokens the embedder reads, 0 where nothing is embedded or it is not known."""
        embedder = self.equipment.engines.embedder
        return embedder.max_tokens if embedder is not None and self.pipeline.embed is not None else 0

    def _tokenizer(self, task: SplitTask | None) -> Tokenizer:
        token = task.hf_access_token if task is not None else None
        return load_tokenizer(
            task.tokenizer if task is not None else None,
            hf_access_token=token.get_secret_value() if token is not None else None,
            models_dir=self.equipment.models_dir,
            tokenizers_dir=self.equipment.tokenizers_dir,
        )

    def store_images(self, work: Work) -> Step:
        """Put a document's pictures into the image store; what was stored and is gone is stored again."""
        place, reused, note = self._step(Stage.STORE_IMAGES, work, self._store)
        if reused:
            self._store_again(work, note)
        return Step(place, reused, work.counted({"stored_images": len(note)}))

    def _store_again(self, work: Work, links: Note) -> None:
        assert self.equipment.images is not None
        gone = self.equipment.images.missing({digest for _, _, digest in links.values()})
        if gone:
            positions = [int(i) for i, (_, _, digest) in links.items() if digest in gone]
            stages.keep_pictures(self.elements(work), positions, self.equipment.images)

    def _store(self, work: Work, _: str) -> Note:
        assert self.pipeline.store is not None
        assert self.equipment.images is not None
        elements, kept = self.pictures(work)
        return stages.store_pictures(elements, kept, self.pipeline.store, self.equipment.images)

    def upload(self, work: Work) -> Step:
        """Write a document's rows and prove it, unless they are there as they should be."""
        committer = self.equipment.committer
        assert committer is not None
        generation = generation_of(work.document, self.fingerprints(work.document)[Stage.UPLOAD])
        names = tuple(stages.collections(self.pipeline.upload))
        receipt = committer.holds(work.document, names, generation)
        reused = receipt is not None
        if receipt is None:
            made, links = self.made(work), self._links(work)
            rows, draft = self._rows(made, generation), self._draft(work, generation, links)
            keep_pictures = self._picture_keeper(made, links)
            receipt = committer.commit(work.document, rows, draft, keep_pictures=keep_pictures)
        done = replace(work.counted({"rows": receipt.rows}), generation=generation)
        return Step(f"receipt/{generation}", reused, done)

    def _picture_keeper(self, made: Made, links: Note) -> Callable[[], None]:
        images, positions = self.equipment.images, [int(i) for i in links]
        if images is None or not positions:
            return lambda: None
        return partial(stages.keep_pictures, made.elements, positions, images)

    def _rows(self, made: Made, generation: str) -> dict[str, list[Record]]:
        rows = {}
        for name, kinds in stages.collections(self.pipeline.upload).items():
            found = to_records(made, collection=name, generation=generation, run_id=self.run_id)
            rows[name] = [record for record in found if record.content_metadata["kind"] in kinds]
        return rows

    def _draft(self, work: Work, generation: str, links: Note) -> Receipt:
        return Receipt(
            document=work.document.key,
            uri=work.document.uri,
            sha256=work.document.sha256,
            collection="",
            generation=generation,
            rows=0,
            run_id=self.run_id,
            finished_at="",
            fingerprints=work.fingerprints,
            counts=work.counts,
            seconds=work.seconds,
            images=tuple(sorted({link[2] for link in links.values()})),
        )

    # --- what was made ---

    def pictures(self, work: Work) -> tuple[tuple[Element, ...], Any]:
        """Return a document's elements, and what `stages.tidy` keeps of them."""
        elements = self.elements(work)
        return elements, stages.tidy(elements, self.pipeline.dedup, self.pipeline.filter)

    def passages(self, work: Work) -> Passages:
        """Return what is to be embedded of a document."""
        chunks, elements, captions = self._chunks(work), self.elements(work), self._captions(work)
        return Passages(chunks, elements, captions, self.contexts(work.document, elements, chunks, captions))

    def contexts(
        self, document: Document, elements: Sequence[Element], chunks: Sequence[Chunk], captions: Captions
    ) -> Sequence[str]:
        """Return what each chunk is embedded under; nothing where the pipeline embeds without context."""
        if self.pipeline.embed is None or not self.pipeline.embed.context:
            return ()
        passages = [stages.passage(chunk, elements[chunk.element], captions) for chunk in chunks]
        fit = self._tokenizer(None)
        return stages.contexts(document, elements, chunks, passages, fit=fit, max_tokens=self._longest())

    def made(self, work: Work) -> Made:
        """Return everything that the stages made of a document so far."""
        links = {int(i): (link[0], link[1]) for i, link in self._links(work).items()}
        place = work.addresses.get(Stage.EMBED)
        elements = self.elements(work)
        return Made(
            document=work.document,
            elements=elements,
            headings=stages.outline(elements),
            chunks=self._chunks(work),
            captions=self._captions(work),
            vectors=self.equipment.shelf.vectors(place) if place else None,
            embedder=embedder.name if (embedder := self.equipment.engines.embedder) else "",
            links=links,
            extra=self._sidecar.of(work.document),
            text_depth=self.pipeline.extract.text_depth,
            page_count=work.counts.get("pages", 0),
        )

    def elements(self, work: Work) -> tuple[Element, ...]:
        """Return what was extracted of a document."""
        return self.equipment.shelf.elements(work.addresses[Stage.EXTRACT])

    def _chunks(self, work: Work) -> Sequence[Chunk]:
        return self.equipment.shelf.chunks(work.addresses[Stage.SPLIT])

    def _captions(self, work: Work) -> Captions:
        found = self._noted(work, Stage.CAPTION)
        return {int(i): Caption(text=text, source=source) for i, (text, source) in found.items()}

    def _links(self, work: Work) -> Note:
        return self._noted(work, Stage.STORE_IMAGES)

    def _noted(self, work: Work, stage: Stage) -> Note:
        if stage not in work.addresses:
            return {}
        return self.equipment.shelf.note(work.addresses[stage]) or {}
