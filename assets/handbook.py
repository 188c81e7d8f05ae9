"""The sample corpus: copy this file, name your folder or bucket, and it is yours."""

from pathlib import Path

from nemo_retriever_dagster import DocumentCorpus, Ingestor

handbook = DocumentCorpus(
    name="handbook",
    source=Path(__file__).parent / "sample",
    pipeline=Ingestor()
    .extract(text_depth="page", extract_method="pdfium_hybrid")
    .split(chunk_size=200, chunk_overlap=30)
    .caption()
    .embed()
    .vdb_upload(collection_name="handbook", milvus_uri="milvus.db"),
)
