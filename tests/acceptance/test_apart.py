"""Several machines: a hundred documents of which three are corrupt, where everything is kept on servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from servers.dagster_site import BROKEN, GOOD, NOTES, fill

from nemo_retriever_dagster import Retriever
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from pathlib import Path

    from servers.apart_site import ApartSite

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]


def put_documents(site: ApartSite, folder: Path) -> None:
    fill(folder)
    for path in folder.iterdir():
        site.s3.files.pipe_file(f"{site.s3.bucket}/documents/{path.name}", path.read_bytes())


def assert_exact(site: ApartSite) -> list[str]:
    """Check that the good documents are materialized and the broken ones, which are returned, failed."""
    statuses = site.statuses()
    assert len(statuses["materializedPartitions"]) == GOOD, site.failed_runs()
    failed = statuses["failedPartitions"]
    assert sorted(key[:8] for key in failed) == [f"note-{n:03}" for n in BROKEN]
    return failed


def test_each_document_has_its_truth_where_everything_is_kept_on_servers(apart_site: ApartSite, tmp_path: Path) -> None:
    put_documents(apart_site, tmp_path / "documents")
    apart_site.discover()
    (run,) = apart_site.settled(1)
    assert run["status"] == "FAILURE", apart_site.failed_runs()
    failed = assert_exact(apart_site)
    apart_site.backfill(failed, NOTES)
    apart_site.settled(3)
    assert assert_exact(apart_site) == failed
    with Ledger(apart_site.ledger_url) as ledger:
        assert {failure.document: failure.attempts for failure in ledger.failures("notes")} == dict.fromkeys(failed, 2)
        assert {receipt.run_id for receipt in ledger.receipts("notes")} == {run["runId"]}
    with Retriever("notes", milvus_uri=apart_site.milvus_uri) as retriever:
        (hit,) = retriever.query("To what is the bolt of wheel 33 tightened?", top_k=1)
    assert "38 newton metres" in hit.text
    bucket = apart_site.s3.bucket
    kept = {name.split("/")[1] for name in apart_site.s3.files.find(bucket, refresh=True)}
    assert kept == {"documents", "artifacts", "handed-over", "dagster-logs"}
    assert not (tmp_path / "nothing-is-kept-here").exists()


@pytest.mark.parametrize(
    "step", ["upload", *(pytest.param(name, marks=pytest.mark.slow) for name in ("extract", "embed", "settle"))]
)
def test_a_run_whose_process_is_killed_is_taken_up_by_dagster_itself(
    apart_site: ApartSite, tmp_path: Path, step: str
) -> None:
    put_documents(apart_site, tmp_path / "documents")
    apart_site.start_looking()
    apart_site.wait(f"the step {step}", lambda: apart_site.has_begun(f"notes.{step}"), pause=0.1)
    apart_site.kill_run()
    apart_site.stop_looking()
    second, first = apart_site.settled(2)
    tags = {tag["key"]: tag["value"] for tag in second["tags"]}
    assert tags["dagster/parent_run_id"] == first["runId"]
    failed = assert_exact(apart_site)
    with Ledger(apart_site.ledger_url) as ledger:
        assert {failure.document for failure in ledger.failures("notes")} == set(failed)
        assert len(ledger.receipts("notes")) == GOOD
    with MilvusStore(apart_site.milvus_uri, what="a test") as store:
        assert store.count("notes") == GOOD
