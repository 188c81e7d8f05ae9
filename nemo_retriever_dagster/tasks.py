"""What each stage is asked to do: one frozen value a stage, checked when it is made.

Defaults follow the reference; where they differ the field says so. A task holds options only: engines, stores and keys
come from elsewhere, so that a task can be fingerprinted and shown.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - types of options are read when a task is made
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import Field as Bounds
from pydantic import SecretStr

from nemo_retriever_dagster.audio_params import AudioParams  # noqa: TC001 - as above
from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.options import Amount, Names, Number, Share, flag, one_of

TextDepth = Literal["block", "body", "document", "header", "line", "nearby_block", "other", "page", "span"]
TableFormat = Literal["markdown", "html", "pseudo_markdown", "simple"]
Modality = Literal["text", "image", "text_image"]
ContentType = Literal["image"]

_CHUNK_SIZE = 1024
_PLAIN_TEXT = frozenset({"txt", "md", "sh", "json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractTask:
    """Options of ``extract()``. ``document_type`` overrides what the file's content and name say.

    ``auto_dedup`` leaves out pictures that are tables or charts, unless ``dedup()`` says what is to be left out.
    ``extract_audio_params`` names the server that writes down speech, which is no part of the result's identity.
    """

    extract_text: bool = True
    extract_tables: bool = True
    extract_charts: bool = True
    extract_infographics: bool = False
    extract_images: bool = True
    extract_page_as_image: bool = False
    text_depth: TextDepth = "document"
    table_output_format: TableFormat = "markdown"
    document_type: str | None = None
    extract_method: str | None = None
    extract_images_method: Literal["group", "simple"] = "group"
    auto_dedup: bool = True
    segment_audio: bool = False
    extract_audio_params: AudioParams | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check types and choices."""
        for name in ("text", "tables", "charts", "infographics", "images", "page_as_image"):
            flag(f"extract_{name}", getattr(self, f"extract_{name}"))
        flag("auto_dedup", self.auto_dedup)
        one_of("text_depth", self.text_depth, TextDepth)
        one_of("table_output_format", self.table_output_format, TableFormat)
        one_of("extract_images_method", self.extract_images_method, ("group", "simple"))

    def dedups(self) -> bool:
        """Whether pictures that are tables or charts are to be left out without being asked."""
        structured = self.extract_tables or self.extract_charts or self.extract_infographics
        return self.auto_dedup and self.extract_images and structured


@dataclass(frozen=True, slots=True, kw_only=True)
class DedupTask:
    """Options of ``dedup()``: drop repeated pictures and pictures that are really tables or charts; never text.

    ``filter`` False drops nothing.
    """

    content_type: ContentType = "image"
    filter: bool = True
    repeats: bool = True
    enable_bbox_dedup: bool = True
    iou_threshold: Share = 0.45
    bbox_dedup_prefer_structured: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterTask:
    """Options of ``filter()``: drop pictures too small or too narrow to tell anything; never text. Sizes in pixels.

    ``filter`` False drops nothing.
    """

    content_type: ContentType = "image"
    min_size: Amount = 128
    max_aspect_ratio: Annotated[float, Bounds(ge=0)] = 5.0
    min_aspect_ratio: Annotated[float, Bounds(ge=0)] = 0.2
    filter: bool = True

    def __post_init__(self) -> None:
        """Check that there are pictures that the ratios keep."""
        if self.min_aspect_ratio > self.max_aspect_ratio:
            hint = f"It must not be above max_aspect_ratio ({self.max_aspect_ratio}): no picture would be kept."
            raise InvalidOptionError(f"min_aspect_ratio is {self.min_aspect_ratio}.", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitTask:
    """Options of ``split()``. Sizes in tokens of ``tokenizer`` (None: the offline default).

    ``chunk_size`` None means 1024, or what the embedder reads whole where that is less. ``source_types`` None means
    every type; the original splits only plain text unless told otherwise.
    """

    tokenizer: str | None = None
    chunk_size: int | None = None
    chunk_overlap: int | None = None
    source_types: Names | None = None
    sentences: bool = False
    hf_access_token: SecretStr | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check the sizes; types are named in lower case."""
        if self.source_types is not None:
            object.__setattr__(self, "source_types", tuple(name.lower() for name in self.source_types))
        size, overlap = _CHUNK_SIZE if self.chunk_size is None else self.chunk_size, self.chunk_overlap
        if size <= 0:
            raise InvalidOptionError(f"chunk_size is {size}.", hint="Give a positive number of tokens.")
        if overlap is not None and not 0 <= overlap < size:
            hint = f"Give 0 or more, and less than chunk_size ({size})."
            raise InvalidOptionError(f"chunk_overlap is {overlap}.", hint=hint)

    def applies_to(self, format_name: str) -> bool:
        """Whether documents of this type are cut; "text" stands for all plain text, upper and lower case are alike."""
        if self.source_types is None:
            return True
        return format_name in self.source_types or ("text" in self.source_types and format_name in _PLAIN_TEXT)

    def window(self, max_tokens: int) -> tuple[int, int]:
        """Return size and overlap for an embedder that reads ``max_tokens`` (0: unknown).

        An overlap that is given is one of chunks as long as asked for: where they get shorter, so does it.
        """
        size = self.chunk_size or min(_CHUNK_SIZE, max_tokens or _CHUNK_SIZE)
        if self.chunk_overlap is None:
            return size, min(150, size * 15 // 100)
        return size, self.chunk_overlap * size // (self.chunk_size or _CHUNK_SIZE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionTask:
    """Options of ``caption()``. Charts are captioned on request; pictures, page images and infographics always."""

    prompt: str | None = None
    reasoning: bool | None = None
    system_prompt: str | None = None
    endpoint_url: str | None = None
    model_name: str | None = None
    api_key: SecretStr | None = field(default=None, repr=False)
    context_text_max_chars: Amount = 0
    temperature: Annotated[float, Bounds(ge=0)] | None = None
    charts: bool = False

    def __post_init__(self) -> None:
        """Check that the two ways to ask for reasoning do not contradict each other."""
        if self.reasoning is not None:
            flag("reasoning", self.reasoning)
            wanted = "/think" if self.reasoning else "/no_think"
            if self.system_prompt is not None and self.system_prompt != wanted:
                hint = f"reasoning={self.reasoning} means system_prompt={wanted!r}: give one of the two."
                raise InvalidOptionError("reasoning and system_prompt contradict each other.", hint=hint)

    @property
    def system(self) -> str | None:
        """The system prompt, whichever way it was asked for."""
        if self.reasoning is None:
            return self.system_prompt
        return "/think" if self.reasoning else "/no_think"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedTask:
    """Options of ``embed()``.

    With ``context``, a chunk is embedded under the name of its document and the headings it stands under.
    ``image_elements_aggregate_page_content`` gives page images the text of their page, and leaves out text, tables and
    charts unless they are asked for; None means so where pictures are embedded with text and page images are made.
    """

    endpoint_url: str | None = None
    model_name: str | None = None
    api_key: SecretStr | None = field(default=None, repr=False)
    dimensions: Number | None = None
    context: bool = True
    embed_text_elements: bool | None = None
    embed_structured_elements: bool | None = None
    embed_image_elements: bool = True
    embed_audio_elements: bool = True
    text_elements_modality: Modality = "text"
    structured_elements_modality: Modality = "text"
    image_elements_modality: Modality = "text"
    audio_elements_modality: Modality = "text"
    image_elements_aggregate_page_content: bool | None = None

    def __post_init__(self) -> None:
        """Check the modalities."""
        flag("context", self.context)
        for name in ("text", "structured", "image", "audio"):
            one_of(f"{name}_elements_modality", getattr(self, f"{name}_elements_modality"), Modality)

    def resolved(self, *, page_images: bool) -> EmbedTask:
        """Return the task with every None decided; ``page_images`` tells whether pages are extracted as pictures."""
        aggregates = self.image_elements_aggregate_page_content
        if aggregates is None:
            aggregates = page_images and self.image_elements_modality == "text_image"
        text, structured = self.embed_text_elements, self.embed_structured_elements
        return replace(
            self,
            image_elements_aggregate_page_content=aggregates,
            embed_text_elements=not aggregates if text is None else text,
            embed_structured_elements=not aggregates if structured is None else structured,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTask:
    """Options of ``store()``. Storage options may hold credentials and are never shown."""

    structured: bool = False
    images: bool = False
    storage_uri: str | None = None
    public_base_url: str | None = None
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadTask:
    """Options of ``vdb_upload()``.

    ``recreate`` is False here and True in the original: dropping the collection would destroy what other documents and
    runs wrote to it. ``reindex`` builds a new collection beside it when embedder or options changed (``reindex``).
    """

    collection_name: str | Mapping[str, Names] = "nv_ingest_collection"
    milvus_uri: str | None = None
    sparse: bool = False
    recreate: bool = False
    reindex: bool = False
    gpu_index: bool = False
    gpu_search: bool = False
    dense_dim: Number | None = None
    metric: Literal["L2", "IP", "COSINE"] = "L2"
    index_params: Mapping[str, Any] = field(default_factory=dict)
    enable_text: bool = True
    enable_charts: bool = True
    enable_tables: bool = True
    enable_images: bool = True
    enable_infographics: bool = True
    purge_results_after_upload: bool = True
    username: str | None = None
    password: SecretStr | None = field(default=None, repr=False)
    minio_endpoint: str | None = None
    access_key: SecretStr | None = field(default=None, repr=False)
    secret_key: SecretStr | None = field(default=None, repr=False)
    bucket_name: str | None = None
    threshold: Amount = 1000
    stream: bool = True
    meta_dataframe: Any = field(default=None, repr=False)
    meta_source_field: str | None = None
    meta_fields: Names = ()

    def __post_init__(self) -> None:
        """Check that a collection is not to be dropped and kept at once."""
        if self.recreate and self.reindex:
            hint = "recreate=True drops what is there; reindex=True keeps it until the new collection is complete."
            raise InvalidOptionError("recreate and reindex contradict each other.", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveTask:
    """Options of ``save_to_disk()``."""

    output_directory: str | None = None
    cleanup: bool = True
    compression: Literal["gzip"] | None = "gzip"
