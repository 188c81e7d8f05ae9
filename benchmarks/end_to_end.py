"""Ours beside a plain script that uses the same engines, in one run, as ratios.

    python benchmarks/end_to_end.py [--documents 200] [--rounds 3]

Prints medians of: pages/s of a bare pypdfium2 text loop and of our extraction with one and two parser processes;
chunks/s of a plain hand-written script, of `Ingestor` and of a Dagster run; peak memory of each. Documents are the PDFs
and texts of the shared corpora, repeated until there are enough; every copy has bytes of its own, so nothing is reused.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemo_retriever_dagster import Ingestor

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
SIZE, OVERLAP = 200, 30
MAX_BYTES = 400_000


def pdf_files(count: int) -> list[Path]:
    """Return born-digital PDFs of the shared corpora, without the damaged ones."""
    import pypdfium2 as pdfium

    found = []
    for path in sorted((SHARED / "corpora/dev/files").glob("*.pdf")):
        try:
            document = pdfium.PdfDocument(path)
            text = document[0].get_textpage().get_text_range()
        except pdfium.PdfiumError:
            continue
        if len(text) > 200 and path.stat().st_size < MAX_BYTES:
            found.append(path)
    return found[:count]


def bare_loop(paths: list[Path]) -> int:
    """Read every page's text with pypdfium2 and nothing else; return the number of pages."""
    import pypdfium2 as pdfium

    pages = 0
    for path in paths:
        document = pdfium.PdfDocument(path)
        for page in document:
            page.get_textpage().get_text_range()
            pages += 1
        document.close()
    return pages


def our_extraction(paths: list[Path], workers: int, *, tables: bool) -> int:
    """Read every page through parser processes; return the number of pages."""
    from concurrent.futures import ThreadPoolExecutor

    from nemo_retriever_dagster.extract.contract import ExtractOptions
    from nemo_retriever_dagster.extract.workers import ParserPool

    options = ExtractOptions(format="pdf", tables=tables, charts=tables, images=False)
    with ParserPool(workers) as pool, ThreadPoolExecutor(workers) as threads:
        list(threads.map(lambda path: sum(1 for _ in pool.pages(path, options)), paths))  # start them, fill caches
        started = time.perf_counter()
        pages = sum(threads.map(lambda path: sum(1 for _ in pool.pages(path, options)), paths))
        our_extraction.seconds = time.perf_counter() - started  # type: ignore[attr-defined]
    return pages


def copies(paths: list[Path], folder: Path, count: int) -> list[Path]:
    """Write ``count`` short texts taken from the PDFs' pages, each with bytes of its own."""
    import pypdfium2 as pdfium

    texts = []
    for path in paths:
        texts += [page.get_textpage().get_text_range() for page in pdfium.PdfDocument(path)]
    made = []
    for n in range(count):
        target = folder / f"document-{n:04}.txt"
        target.write_text(f"Document {n}.\n" + texts[n % len(texts)], encoding="utf-8", errors="replace")
        made.append(target)
    return made


def plain_script(paths: list[Path], folder: Path) -> int:
    """Do what one would write by hand: read, split, embed, insert, with the same model and store."""
    from pymilvus import DataType, MilvusClient

    from nemo_retriever_dagster.engines.local import local_engines
    from nemo_retriever_dagster.engines.ports import EmbedInput
    from nemo_retriever_dagster.splitting import windows
    from nemo_retriever_dagster.tokens import load_tokenizer

    tokenizer, embedder = load_tokenizer(), local_engines().embedder
    assert embedder is not None
    client = MilvusClient(str(folder / "plain.db"))
    schema = client.create_schema(auto_id=True)
    schema.add_field("pk", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=embedder.dimension)
    schema.add_field("text", DataType.VARCHAR, max_length=65_535)
    schema.add_field("source", DataType.VARCHAR, max_length=1_000)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection("plain", schema=schema, index_params=index)
    chunks = 0
    for path in paths:
        text = path.read_text(encoding="utf-8")
        parts = [text[s.start : s.end] for s in windows(text, tokenizer, SIZE, OVERLAP)]
        vectors = asyncio.run(embedder.embed([EmbedInput(text=part) for part in parts]))
        rows = [
            {"vector": vector.tolist(), "text": part, "source": str(path)}
            for vector, part in zip(vectors, parts, strict=True)
        ]
        client.insert("plain", rows)
        chunks += len(rows)
    client.flush("plain")
    client.close()
    return chunks


def chain(folder: Path) -> Ingestor:
    """Return the pipeline that both doors run."""
    from nemo_retriever_dagster import Ingestor, Settings

    return (
        Ingestor(settings=Settings(state_dir=folder / "state"))
        .extract()
        .split(chunk_size=SIZE, chunk_overlap=OVERLAP)
        .embed()
        .vdb_upload(collection_name="ours", milvus_uri=str(folder / "ours.db"))
    )


def ingestor(paths: list[Path], folder: Path) -> int:
    """Take the same documents through `Ingestor`."""
    return sum(len(document) for document in chain(folder).files([str(path) for path in paths]).ingest())


def dagster_run(paths: list[Path], folder: Path) -> int:
    """Take the same documents through one ranged Dagster run."""
    import dagster as dg

    from nemo_retriever_dagster import DocumentCorpus, StateResource, materialize_documents
    from nemo_retriever_dagster.corpus.resources import STATE

    corpus = DocumentCorpus(name="bench", source=paths[0].parent, pipeline=chain(folder), batch_size=len(paths))
    resources = {STATE: StateResource(state_dir=str(folder / "state"))}
    home = paths[0].parents[1] / "dagster"
    home.mkdir(exist_ok=True)
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        outcomes = materialize_documents(corpus, instance=instance, resources=resources, log_level="CRITICAL")
    assert all(outcome.succeeded for outcome in outcomes.values())
    return sum(outcome.metadata["chunks"] for outcome in outcomes.values())


WAYS = {"plain": plain_script, "Ingestor": ingestor, "Dagster": dagster_run}


def measured(way: str, documents: Path) -> tuple[float, int, int]:
    """Run one way in a process of its own; return chunks/s, chunks and peak memory in MiB."""
    command = [sys.executable, __file__, "--way", way, "--folder", str(documents)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, chunks, peak = done.stdout.strip().splitlines()[-1].split()
    return int(chunks) / float(seconds), int(chunks), int(peak)


def one_way(way: str, documents: Path) -> None:
    """Time one way and print seconds, chunks, peak memory; imports, model loading, a new instance are left out.

    To leave them out, one document that is not among the others goes the same way first.
    """
    first = documents.parent / "first" / "first.txt"
    first.parent.mkdir(exist_ok=True)
    first.write_text("This one warms up.")
    shutil.rmtree(documents.parent / "dagster", ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        WAYS[way]([first], Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        chunks = WAYS[way](sorted(documents.iterdir()), Path(folder))
        seconds = time.perf_counter() - started
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(seconds, chunks, max(own, children) // 1024)


def extraction(rounds: int) -> None:
    """Compare extraction with the bare loop, alternating."""
    paths = pdf_files(60)
    rates: dict[str, list[float]] = {}
    for _ in range(rounds):
        started = time.perf_counter()
        pages = bare_loop(paths)
        rates.setdefault("bare pypdfium2 loop", []).append(pages / (time.perf_counter() - started))
        for workers in (1, 2):
            for tables in (False, True):
                count = our_extraction(paths, workers, tables=tables)
                assert count == pages, (count, pages)
                name = f"ours, {workers} worker{'s' * (workers > 1)}, {'text and tables' if tables else 'text'}"
                rates.setdefault(name, []).append(pages / our_extraction.seconds)  # type: ignore[attr-defined]
    bare = statistics.median(rates["bare pypdfium2 loop"])
    print(f"{pages} pages of {len(paths)} PDFs, {rounds} rounds, medians")
    for name, values in rates.items():
        rate = statistics.median(values)
        print(f"  {name:36} {rate:8.0f} pages/s   {rate / bare:5.2f} of bare")


def end_to_end(count: int, rounds: int) -> None:
    """Compare the two doors with the plain script, alternating."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "documents"
        folder.mkdir()
        copies(pdf_files(60), folder, count)
        rates: dict[str, list[tuple[float, int, int]]] = {}
        for _ in range(rounds):
            for way in WAYS:
                rates.setdefault(way, []).append(measured(way, folder))
        plain = statistics.median(rate for rate, _, _ in rates["plain"])
        print(f"{count} documents, {rates['plain'][0][1]} chunks, {rounds} rounds, medians")
        for way, values in rates.items():
            rate = statistics.median(rate for rate, _, _ in values)
            peak = max(peak for _, _, peak in values)
            print(f"  {way:10} {rate:7.1f} chunks/s   {rate / plain:5.2f} of plain   peak {peak} MiB")
        shutil.rmtree(folder)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        one_way(options.way, options.folder)
        return
    if not SHARED.is_dir():
        sys.exit("The shared corpora are not beside the repository: nothing to measure.")
    extraction(options.rounds)
    end_to_end(options.documents, options.rounds)


if __name__ == "__main__":
    main()
