"""Several machines: a hundred documents of which three are corrupt, where everything is kept on servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from servers.dagster_site import BROKEN, GOOD, NOTES, fill

from nemo_retriever_dagster import Retriever
from nemo_retriever_dagster.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from servers.apart_site import ApartSite

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]


def test_each_document_has_its_truth_where_everything_is_kept_on_servers(apart_site: ApartSite, tmp_path: Path) -> None:
    fill(tmp_path / "documents")
    bucket, files = apart_site.s3.bucket, apart_site.s3.files
    for path in (tmp_path / "documents").iterdir():
        files.pipe_file(f"{bucket}/documents/{path.name}", path.read_bytes())
    apart_site.discover()
    (run,) = apart_site.settled(1)
    assert run["status"] == "FAILURE", apart_site.failed_runs()
    statuses = apart_site.statuses()
    assert len(statuses["materializedPartitions"]) == GOOD, apart_site.failed_runs()
    failed = statuses["failedPartitions"]
    assert sorted(key[:8] for key in failed) == [f"note-{n:03}" for n in BROKEN]

    files.pipe_file(f"{bucket}/documents/note-011.pdf", (tmp_path / "documents/note-011.pdf").read_bytes())
    apart_site.backfill(failed, NOTES)
    apart_site.settled(3)
    with Ledger(apart_site.ledger_url) as ledger:
        assert {failure.document: failure.attempts for failure in ledger.failures("notes")} == dict.fromkeys(failed, 2)
        assert {receipt.run_id for receipt in ledger.receipts("notes")} == {run["runId"]}
    with Retriever("notes", milvus_uri=apart_site.milvus_uri) as retriever:
        (hit,) = retriever.query("To what is the bolt of wheel 33 tightened?", top_k=1)
    assert "38 newton metres" in hit.text
    kept = {name.split("/")[1] for name in files.find(bucket, refresh=True)}
    assert kept == {"documents", "artifacts", "handed-over", "dagster-logs"}
    assert not (tmp_path / "nothing-is-kept-here").exists()
