"""What a corpus's source cannot show now (an unmounted share, a folder without rights) stays in the collection."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from corpus_place import Place, remove, tick

from nemo_retriever_dagster.errors import VerificationError
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from pathlib import Path

# Milvus Lite leaves the file of a write-ahead log open when a collection is let go.
pytestmark = pytest.mark.filterwarnings("ignore:.*wal_data_.*:pytest.PytestUnraisableExceptionWarning")


def with_a_share(root: Path, *, rows: bool) -> tuple[Place, Path]:
    """Return a corpus of two documents, one of them in a folder elsewhere that a link leads to, and that folder."""
    place, share = Place(root, rows=rows), root / "mounted"
    share.mkdir()
    (share / "b.txt").write_text("A pump.")
    (place.source / "share").symlink_to(share)
    place.write(a="A valve.")
    place.run()
    return place, share


def partitions(place: Place) -> set[str]:
    return set(place.instance.get_dynamic_partitions("notes_documents"))


def request_of(keys: list[str]) -> dg.RunRequest:
    """Return a request to remove documents, as a tick makes it."""
    return dg.RunRequest(job_name="notes_remove", run_config={"ops": {"remove": {"config": {"keys": keys}}}})


def test_documents_behind_a_broken_link_stay_until_they_are_known_to_be_gone(tmp_path: Path) -> None:
    place, share = with_a_share(tmp_path, rows=True)
    keys = place.keys("a", "b")
    share.rename(tmp_path / "unmounted")
    assert tick(place).run_requests == []
    remove(place, request_of(keys[1:]))  # asked for before the share went
    assert (set(place.receipts()), partitions(place)) == (set(keys), set(keys))
    with MilvusStore(str(tmp_path / "milvus.db")) as store:
        assert set(store.census("notes")) == set(keys)

    (tmp_path / "unmounted").rename(share)
    (share / "b.txt").unlink()
    (request,) = tick(place).run_requests
    remove(place, request)
    assert (set(place.receipts()), partitions(place)) == ({keys[0]}, {keys[0]})


def test_a_reindex_does_not_leave_out_what_cannot_be_seen(tmp_path: Path) -> None:
    place, share = with_a_share(tmp_path, rows=True)
    share.rename(tmp_path / "unmounted")
    job = place.make(chunk_size=20).definitions(resources=place.resources).resolve_job_def("notes_reindex")
    with pytest.raises(VerificationError, match="1 documents that are searched now are not in it"):
        job.execute_in_process(instance=place.instance)


def test_a_source_that_is_empty_at_once_is_not_believed(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    place.write(a="A", b="B")
    place.run()
    keys = set(place.keys())
    shutil.rmtree(place.source)
    place.source.mkdir()  # what is left where a share was mounted
    found = tick(place)
    assert found.run_requests == []
    assert "all of its 2 documents vanished" in found.skip_message
    assert set(place.receipts()) == keys
