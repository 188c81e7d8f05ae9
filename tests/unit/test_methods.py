"""``extract_method``: checked at the call, meant for the formats that know it, left alone by the others."""

from __future__ import annotations

import pytest

from nemo_retriever_dagster import Ingestor
from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.extract import delegates
from nemo_retriever_dagster.extract.methods import checked_method, method_for, methods_of
from nemo_retriever_dagster.extract.registry import EXTRACTORS
from nemo_retriever_dagster.pipeline import Pipeline
from nemo_retriever_dagster.tasks import ExtractTask


@pytest.mark.parametrize(
    "method", [None, "pdfium", "pdfium_hybrid", "ocr", "nemotron_parse", "python_docx", "render_as_pdf", "audio"]
)
def test_every_method_of_some_format_is_taken(method):
    assert checked_method(method) == method


@pytest.mark.parametrize("make", [lambda **o: Ingestor().extract(**o), lambda **o: Pipeline(extract=ExtractTask(**o))])
def test_a_method_nobody_knows_is_refused_where_it_is_asked_for(make):
    with pytest.raises(InvalidOptionError, match=r"'pdfum'.*pdf: pdfium, pdfium_hybrid.*docx: python_docx"):
        make(extract_method="pdfum")


@pytest.mark.parametrize(
    ("document_type", "method", "named"),
    [
        ("docx", "pdfium", "docx: python_docx, render_as_pdf"),
        ("PDF", "render_as_pdf", "pdf: pdfium"),
        ("txt", "ocr", "no choice"),
        ("mp3", "ocr", "mp3: audio"),
    ],
)
def test_a_pair_that_does_not_fit_is_refused(document_type, method, named):
    with pytest.raises(InvalidOptionError, match=f"{document_type.lower()}.*{named}"):
        Ingestor().extract(document_type=document_type, extract_method=method)
    with pytest.raises(InvalidOptionError, match=named):
        Ingestor().extract(document_type=document_type).extract(extract_method=method)


@pytest.mark.parametrize("document_type", ["mp3", "WAV", ".mp4", None])
def test_audio_is_the_method_of_sound_and_films(document_type):
    options = {"document_type": document_type} if document_type else {}
    task = Ingestor().extract(extract_method="audio", **options).pipeline.extract
    assert (task.extract_method, task.document_type) == ("audio", document_type)
    assert {name for name in EXTRACTORS if method_for(name, "audio")} == {
        "mp3", "wav", "m4a", "flac", "mp4", "mov", "avi", "mkv"
    }  # fmt: skip


def test_formats_of_one_choice_are_named_together():
    with pytest.raises(InvalidOptionError) as caught:
        checked_method("sound")
    assert caught.value.hint.endswith("; mp3, wav, m4a, flac, mp4, mov, avi, mkv: audio.")


@pytest.mark.parametrize("make", [lambda **o: Ingestor().extract(**o), lambda **o: Pipeline(extract=ExtractTask(**o))])
@pytest.mark.parametrize(
    ("document_type", "told"),
    [
        ("pfd", "document_type: there is no document type 'pfd'. Did you mean 'pdf'?"),
        ("foo7", "document_type: there is no document type 'foo7'. Valid ones: avi, bmp, csv,"),
    ],
)
def test_a_document_type_nobody_knows_is_refused_where_it_is_given(make, document_type, told):
    with pytest.raises(InvalidOptionError) as caught:
        make(document_type=document_type)
    assert str(caught.value).startswith(told)


def test_in_a_mixed_corpus_a_method_speaks_to_the_formats_that_know_it():
    assert {name for name in EXTRACTORS if method_for(name, "render_as_pdf")} == {"docx", "pptx"}
    for method in ("pdfium_hybrid", "ocr", "nemotron_parse", "tika"):
        assert {name for name in EXTRACTORS if method_for(name, method)} == {"pdf"}
    assert method_for("pdf", None) is None


def test_the_default_comes_first():
    assert [methods_of(name)[:1] for name in ("pdf", "docx", "pptx", "png", "mov")] == [
        ("pdfium",), ("python_docx",), ("python_pptx",), (), ("audio",)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "make", [lambda **o: Ingestor().extract(**o).pipeline, lambda **o: Pipeline(extract=ExtractTask(**o))]
)
def test_the_old_name_of_the_page_parser(make):
    with pytest.warns(DeprecationWarning, match="nemotron_parse"):
        assert make(extract_method="nemoretriever_parse").extract.extract_method == "nemotron_parse"


def test_a_deprecated_method_is_announced_at_the_call_and_once():
    delegates.announce.cache_clear()
    with pytest.warns(DeprecationWarning, match="haystack.*pdfium") as caught:
        Ingestor().extract(extract_method="haystack")
    assert caught[0].filename == __file__
    Ingestor().extract(extract_method="haystack")  # a second warning would be an error here
