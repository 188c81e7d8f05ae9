"""Values of options: what is not of an option's type is refused when it is given, and what can be meant is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nemo_retriever_dagster import Ingestor
from nemo_retriever_dagster.errors import InvalidOptionError, MisuseError
from nemo_retriever_dagster.testing import InMemoryStore

ENABLED = [f"enable_{name}" for name in ("text", "tables", "charts", "images", "infographics")]


def given(method: str, **options: Any) -> Ingestor:
    return getattr(Ingestor(), method)(**options)


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("extract", {"extract_method": ["pdfium"]}, "extract_method is ['pdfium']"),
        ("extract", {"document_type": 5}, "document_type is 5"),
        ("extract", {"extract_audio_params": {"segment_audio": "yes"}}, "segment_audio is 'yes'. Give True or False"),
        ("extract", {"extract_audio_params": "x"}, "extract(): extract_audio_params is not what it should be. Input"),
        (
            "extract",
            {"extract_audio_params": {"infer_protocol": "x"}},
            "extract(extract_audio_params=...): infer_protocol",
        ),
        ("extract", {"extract_audio_params": {"infer_protocol": "http"}}, "need an address. Give http_endpoint, or"),
        ("extract", {"extract_audio_params": {"use_ssl": True}}, "need an address. Give grpc_endpoint, or"),
        ("extract", {"extract_audio_params": {"ssl_cert": "a.pem"}}, "ssl_cert is not read. Trust it for the process"),
        ("extract", {"extract_tables_method": "bogus"}, "extract_tables_method is 'bogus'. Input should be 'yolox' or"),
        ("extract", {"extract_images_params": "x"}, "extract_images_params is 'x'. Input should be a valid dict"),
        ("extract", {"page_image_max_dimension": "x"}, "page_image_max_dimension is 'x'. Input should be a valid int"),
        ("embed", {"filter_errors": "bogus"}, "filter_errors is 'bogus'. Give True or False"),
        ("vdb_upload", {"no_wait_index": 1}, "no_wait_index is 1. Give True or False"),
        ("dedup", {"content_type": "sound"}, "content_type is 'sound'. Input should be 'image'"),
        ("dedup", {"content_type": "text"}, "content_type is 'text'. Input should be 'image'"),
        ("filter", {"content_type": "text"}, "content_type is 'text'. Input should be 'image'"),
        ("filter", {"min_aspect_ratio": 6.0}, "min_aspect_ratio is 6.0. It must not be above max_aspect_ratio (5.0)"),
        ("dedup", {"iou_threshold": 5}, "less than or equal to 1"),
        ("filter", {"min_size": -1}, "greater than or equal to 0"),
        ("filter", {"max_aspect_ratio": "wide"}, "max_aspect_ratio is 'wide'"),
        ("split", {"chunk_size": "many"}, "chunk_size is 'many'"),
        ("split", {"chunk_size": 3.5}, "chunk_size is 3.5"),
        ("split", {"chunk_overlap": 1024}, "chunk_overlap is 1024. Give 0 or more, and less than chunk_size (1024)."),
        ("split", {"chunk_size": 50, "chunk_overlap": 50}, "chunk_overlap is 50"),
        (
            "split",
            {"params": {"split_source_types": "pdf"}},
            "(): split_source_types is 'pdf'. Input should be a valid",
        ),
        ("split", {"params": {"split_source_types": ["pfd"]}}, "split_source_types: there is no document type 'pfd'. "),
        ("split", {"params": {"split_source_types": ["text", "Mp33"]}}, "'Mp33'. Did you mean 'mp3'?"),
        ("split", {"params": {"split_source_types": []}}, "split_source_types names no document type. Leave it out"),
        ("split", {"params": "x"}, "split(): params is not what it should be. Input should be a valid dictionary"),
        ("store", {"params": "x"}, "store(): params is not what it should be. Input should be a valid dictionary"),
        ("caption", {"temperature": -0.5}, "greater than or equal to 0"),
        ("embed", {"dimensions": 0}, "greater than or equal to 1"),
        ("store", {"images": 1}, "images is 1. Give True or False"),
        ("vdb_upload", {"metric": "near"}, "metric is 'near'. Input should be 'L2', 'IP' or 'COSINE'"),
        ("vdb_upload", {"sparse": "no"}, "sparse is 'no'. Give True or False"),
        ("vdb_upload", {"collection_name": {"a": 1}}, "collection_name is {'a': 1}"),
        ("vdb_upload", {"meta_fields": "team"}, "meta_fields is 'team'"),
        ("vdb_upload", {"vdb_op": 123}, "vdb_op is 123. Give 'milvus' or a VectorStore of your own."),
        ("vdb_upload", {"vdb_op": None}, "vdb_op is None. Give 'milvus' or a VectorStore of your own."),
        ("vdb_upload", {"vdb_op": "lancedb"}, "vdb_op is 'lancedb'. Give 'milvus'"),
        ("vdb_upload", {"collection_name": {}}, "would upload nothing. Name a collection"),
        ("vdb_upload", {"collection_name": {"a": ["text"]}, "enable_text": False}, "would upload nothing"),
        ("vdb_upload", dict.fromkeys(ENABLED, False), "would upload nothing"),
        ("pdf_split_config", {"pages_per_chunk": 0}, "pages_per_chunk is 0"),
        ("save_to_disk", {"compression": "zip"}, "compression is 'zip'"),
    ],
)
def test_a_value_of_another_type_is_refused(method: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        given(method, **options)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("extract", {"password": ["hunter2"]}),
        ("embed", {"api_key": ["hunter2"]}),
        ("split", {"params": {"hf_access_token": ["hunter2"]}}),
        ("extract", {"extract_audio_params": {"auth_token": ["hunter2"]}}),
        ("store", {"storage_options": "hunter2"}),
        ("vdb_upload", {"password": ["hunter2"]}),
    ],
)
def test_a_secret_that_is_refused_is_not_shown(method: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptionError, match=r"\): [a-z_]+ is not what it should be") as caught:
        given(method, **options)
    assert "hunter2" not in f"{caught.value!r} {caught.value} {caught.value.__cause__}"
    assert caught.value.__suppress_context__


def test_what_can_be_meant_is_taken() -> None:
    split = given("split", chunk_size="512", params={"split_source_types": ["PDF", "jpg", "text"]}).pipeline.split
    assert split is not None
    assert (split.chunk_size, split.source_types) == (512, ("pdf", "jpeg", "text"))
    chain = given("embed").vdb_upload(dense_dim=np.int64(64), milvus_uri=Path("rows.db"), meta_fields=["team"])
    upload = chain.pipeline.upload
    assert upload is not None
    assert (upload.dense_dim, upload.milvus_uri, upload.meta_fields) == (64, "rows.db", ("team",))
    assert type(upload.dense_dim) is int
    given("save_to_disk", output_directory=Path("results"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"workers": "x"}, "Ingestor(): workers is 'x'. Input should be a valid integer"),
        ({"workers": -1}, "workers is -1"),
        ({"storage_options": "hunter2"}, "Ingestor(): storage_options is not what it should be."),
        ({"documents": [3]}, "3 names no document"),
    ],
)
def test_an_ingestor_checks_what_it_is_made_of(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        Ingestor(**options)
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_call_that_is_refused_changes_nothing() -> None:
    ingestor = given("extract", text_depth="page")
    with pytest.raises(InvalidOptionError):
        ingestor.extract(extract_text="no")
    ingestor.extract(extract_tables=False)
    assert ingestor.pipeline == given("extract", text_depth="page", extract_tables=False).pipeline


def test_a_store_of_ones_own_is_taken() -> None:
    store = InMemoryStore()
    assert given("embed").vdb_upload(vdb_op=store)._store is store


@pytest.mark.parametrize(
    ("method", "hint"), [("udf", "what ingest() returns"), ("store_embed", "metadata.embedding of what ingest()")]
)
def test_a_step_of_the_originals_server_says_what_to_do_instead(method: str, hint: str) -> None:
    with pytest.raises(MisuseError, match=rf"{method}\(\) .*there is none here") as caught:
        getattr(Ingestor(), method)("def f(): ...", target_stage="embed")
    assert hint in caught.value.hint


def test_how_a_pdf_is_cut_is_no_part_of_what_is_done_with_it() -> None:
    assert given("pdf_split_config", pages_per_chunk=64).pipeline == Ingestor().pipeline
