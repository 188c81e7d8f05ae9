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
    "method", [None, "pdfium", "pdfium_hybrid", "ocr", "nemotron_parse", "python_docx", "render_as_pdf"]
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
    ],
)
def test_a_pair_that_does_not_fit_is_refused(document_type, method, named):
    with pytest.raises(InvalidOptionError, match=f"{document_type.lower()}.*{named}"):
        Ingestor().extract(document_type=document_type, extract_method=method)
    with pytest.raises(InvalidOptionError, match=named):
        Ingestor().extract(document_type=document_type).extract(extract_method=method)


def test_in_a_mixed_corpus_a_method_speaks_to_the_formats_that_know_it():
    assert {name for name in EXTRACTORS if method_for(name, "render_as_pdf")} == {"docx", "pptx"}
    for method in ("pdfium_hybrid", "ocr", "nemotron_parse", "tika"):
        assert {name for name in EXTRACTORS if method_for(name, method)} == {"pdf"}
    assert method_for("pdf", None) is None


def test_the_default_comes_first():
    assert [methods_of(name)[:1] for name in ("pdf", "docx", "pptx", "png")] == [
        ("pdfium",), ("python_docx",), ("python_pptx",), ()
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
