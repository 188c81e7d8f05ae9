from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster import Ingestor, pipeline
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.errors import InvalidOptionError, Stage, UnknownOptionError
from nemo_retriever_dagster.extract.registry import extractor_for
from nemo_retriever_dagster.limits import Limits
from nemo_retriever_dagster.pipeline import _READ_AS
from nemo_retriever_dagster.testing.nim_answers import HashEmbedder, InkDetector

if TYPE_CHECKING:
    from collections.abc import Mapping

ENGINES = Engines(embedder=HashEmbedder(8))


def prints(ingestor: Ingestor, name: str = "pdf", engines: Engines = ENGINES):
    return ingestor.pipeline.fingerprints(name, engines)


def changed(before: Mapping[str, str], after: Mapping[Stage, str]) -> list[Stage]:
    return [stage for stage, value in after.items() if before.get(stage) != value]


def base() -> Ingestor:
    return Ingestor().extract().split(chunk_size=100).caption().embed().vdb_upload(collection_name="c")


@pytest.mark.parametrize(
    ("ingestor", "again"),
    [
        (base(), []),
        (base().split(chunk_size=200), [Stage.SPLIT, Stage.EMBED, Stage.UPLOAD]),
        (base().extract(text_depth="page"), [Stage.SPLIT, Stage.EMBED, Stage.UPLOAD]),
        (base().caption(prompt="Who?"), [Stage.CAPTION, Stage.EMBED, Stage.UPLOAD]),
        (base().vdb_upload(collection_name="d"), [Stage.UPLOAD]),
        (base().embed(endpoint_url="http://elsewhere/v1"), []),
        (base().vdb_upload(collection_name="c", username="other", password="other"), []),
        (base().vdb_upload(collection_name="c", milvus_uri="http://elsewhere:19530"), [Stage.UPLOAD]),
        (base().vdb_upload(gpu_search=True, minio_endpoint="m:9000", bucket_name="b", stream=False, threshold=5), []),
        (base().vdb_upload(recreate=True, purge_results_after_upload=False), []),
        (base().vdb_upload(reindex=True), []),
        (base().extract(auto_dedup=False), [Stage.SPLIT, Stage.CAPTION, Stage.EMBED, Stage.UPLOAD]),
        (base().embed(context=False), [Stage.SPLIT, Stage.EMBED, Stage.UPLOAD]),
        (base().embed(image_elements_aggregate_page_content=True), [Stage.SPLIT, Stage.EMBED, Stage.UPLOAD]),
        (base().vdb_upload(sparse=True), [Stage.UPLOAD]),
        (base().extract(extract_tables=False), [Stage.EXTRACT, Stage.SPLIT, Stage.CAPTION, Stage.EMBED, Stage.UPLOAD]),
    ],
)
def test_a_changed_option_touches_its_stage_and_those_that_read_from_it(ingestor: Ingestor, again: list[Stage]) -> None:
    before = {str(stage): value for stage, value in prints(base()).items()}
    assert changed(before, prints(ingestor)) == again


def test_another_engine_is_another_result() -> None:
    class Other(HashEmbedder):
        name = "other"

    before = {str(stage): value for stage, value in prints(base()).items()}
    other = prints(base(), engines=Engines(embedder=Other(8)))
    assert changed(before, other) == [Stage.SPLIT, Stage.EMBED, Stage.UPLOAD]


def test_answers_that_are_taken_another_way_make_another_result(monkeypatch: pytest.MonkeyPatch) -> None:
    looking = Engines(embedder=HashEmbedder(8), page_elements=InkDetector("table"))
    before = [{str(stage): value for stage, value in prints(base(), engines=e).items()} for e in (ENGINES, looking)]
    monkeypatch.setitem(_READ_AS, "page_elements", "another way")
    assert changed(before[0], prints(base())) == []
    assert Stage.EXTRACT in changed(before[1], prints(base(), engines=looking))


def test_text_is_split_anew_for_an_embedder_that_reads_less() -> None:
    class Short(HashEmbedder):
        max_tokens = 7

    before = {str(stage): value for stage, value in prints(base()).items()}
    short = prints(base(), engines=Engines(embedder=Short(8)))
    assert changed(before, short) == [Stage.SPLIT, Stage.EMBED, Stage.UPLOAD]


def test_another_way_of_reading_a_format_makes_that_format_s_results_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: {str(s): value for s, value in prints(base(), name).items()} for name in ("pdf", "docx")}
    monkeypatch.setattr(extractor_for("pdf"), "version", "another way")
    assert changed(before["pdf"], prints(base())) == list(base().pipeline.stages())
    assert changed(before["docx"], prints(base(), "docx")) == []


def test_another_captioner_makes_other_captions() -> None:
    class Other(HashEmbedder):
        name = "other"

    before = {str(stage): value for stage, value in prints(base()).items()}
    other = Engines(embedder=HashEmbedder(8), captioner=Other(8))  # type: ignore[arg-type]
    assert changed(before, prints(base(), engines=other)) == [Stage.CAPTION, Stage.EMBED, Stage.UPLOAD]


def test_rows_tell_where_pictures_are_stored_now() -> None:
    stored = [base().store(images=True, storage_uri=f"memory://{place}") for place in ("here", "there")]
    before = {str(stage): value for stage, value in prints(stored[0]).items()}
    assert changed(before, prints(stored[1])) == [Stage.STORE_IMAGES, Stage.UPLOAD]


def test_pictures_that_are_left_out_otherwise_are_stored_anew() -> None:
    stored = base().store(images=True, storage_uri="memory://here")
    before = {str(stage): value for stage, value in prints(stored).items()}
    assert Stage.STORE_IMAGES in changed(before, prints(stored.extract(auto_dedup=False)))


def test_names_in_a_set_make_the_same_fingerprint_in_every_process() -> None:
    names = {"text", "tables", "charts", "images"}
    by_kinds = base().vdb_upload(collection_name={"c": names}).pipeline.upload
    by_fields = base().vdb_upload(meta_dataframe=[], meta_source_field="file", meta_fields=names).pipeline.upload
    by_types = base().split(chunk_size=9, params={"split_source_types": {"pdf", "txt", "html"}}).pipeline.split
    assert by_kinds is not None
    assert by_kinds.collection_name == {"c": tuple(sorted(names))}
    assert by_fields is not None
    assert by_fields.meta_fields == tuple(sorted(names))
    assert by_types is not None
    assert by_types.source_types == ("html", "pdf", "txt")


def test_the_same_bytes_in_two_formats_are_two_results() -> None:
    before = {str(stage): value for stage, value in prints(base(), "txt").items()}
    assert extractor_for("txt").version == extractor_for("sh").version, "else this shows nothing"
    assert changed(before, prints(base(), "sh")) == list(base().pipeline.stages())


def test_stages_that_work_otherwise_make_all_results_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {str(stage): value for stage, value in prints(base()).items()}
    monkeypatch.setattr(pipeline, "_STAGES_VERSION", "another way")
    assert changed(before, prints(base())) == list(base().pipeline.stages())


def test_a_limit_and_a_password_may_let_a_document_through() -> None:
    def outcome(ingestor: Ingestor, **limits: int) -> str:
        return ingestor.pipeline.outcome_fingerprint(ENGINES, Limits(**limits))

    plain = outcome(base())
    assert outcome(base().embed(endpoint_url="http://elsewhere/v1")) == plain
    assert outcome(base(), pages=7) != plain
    unlocked = outcome(base().extract(password="one"))
    assert unlocked != plain
    assert unlocked == outcome(base().extract(password="another")), "a password reaches no fingerprint"


def test_engines_that_look_at_pages_do_not_touch_plain_text() -> None:
    class Ocr(HashEmbedder):
        name = "ocr"

    with_ocr = Engines(embedder=HashEmbedder(8), ocr=Ocr(8))  # type: ignore[arg-type]
    assert prints(base(), "txt") == prints(base(), "txt", with_ocr)
    assert prints(base(), "pdf") != prints(base(), "pdf", with_ocr)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i: i.extract(extract_imges=True), "extract_images"),
        (lambda i: i.split(chunk_sise=3), "chunk_size"),
        (lambda i: i.split(params={"split_source_type": ["pdf"]}), "split_source_types"),
        (lambda i: i.embed(endpoint="x"), "endpoint_url"),
        (lambda i: i.vdb_upload(colection_name="x"), "collection_name"),
        (lambda i: i.caption(promt="x"), "prompt"),
        (lambda i: i.ingest(return_failure=True), "return_failures"),
        (lambda _: Ingestor(doc="x"), "documents"),
    ],
)
def test_a_misspelt_option_names_the_nearest(call, message: str) -> None:
    with pytest.raises(UnknownOptionError) as caught:
        call(Ingestor())
    assert message in caught.value.hint


@pytest.mark.parametrize(
    "call",
    [
        lambda i: i.extract(text_depth="chapter"),
        lambda i: i.extract(extract_text="yes"),
        lambda i: i.split(chunk_size=0),
        lambda i: i.split(chunk_size=10, chunk_overlap=10),
        lambda i: i.split(chunk_overlap=-1),
        lambda i: i.caption(reasoning="on"),
        lambda i: i.caption(reasoning=True, system_prompt="/no_think"),
        lambda i: i.vdb_upload(vdb_op="pinecone"),
        lambda i: i.vdb_upload().pipeline,
    ],
)
def test_a_wrong_value_says_what_is_right(call) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        call(Ingestor())
    assert caught.value.hint
