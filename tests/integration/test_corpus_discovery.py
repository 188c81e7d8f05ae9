"""Discovery: what a tick of the sensor and of the schedule asks for, and what a removal leaves."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from corpus_place import Place, asked, reconcile, remove, tick

from nemo_retriever_dagster import DocumentCorpus, EnginesResource, Ingestor, NimResource, materialize_documents
from nemo_retriever_dagster.commit import Committer
from nemo_retriever_dagster.corpus.resources import ENGINES
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.errors import StoreUnavailableError
from nemo_retriever_dagster.images import ImageStore
from nemo_retriever_dagster.limits import Limits
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from pathlib import Path

# Milvus Lite leaves the file of a write-ahead log open when a collection is let go.
pytestmark = pytest.mark.filterwarnings("ignore:.*wal_data_.*:pytest.PytestUnraisableExceptionWarning")


def test_the_sensor_asks_for_each_version_once(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    place.write(a="A", b="B", c="C")
    first = tick(place)
    assert asked(place, first.run_requests) == [place.keys()]
    assert {request.job_name for request in first.run_requests} == {"notes_ingest"}

    assert tick(place).run_requests == []  # asked for, not run yet: the schedule's to look after
    place.run()
    quiet = tick(place)
    assert quiet.run_requests == []
    assert quiet.skip_message == "3 unchanged"

    place.write(b="B, second edition", d="D")
    second = tick(place)
    assert asked(place, second.run_requests) == [place.keys("b"), place.keys("d")]
    keys = [request.run_key for request in (*first.run_requests, *second.run_requests)]
    assert len(set(keys)) == len(keys)
    assert tick(place).run_requests == []


def test_a_tick_asks_for_a_bounded_number_of_runs_and_the_next_for_the_rest(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False, batch_size=2, runs_per_tick=1)
    place.write(**{name: name for name in "abcde"})
    found = [asked(place, tick(place).run_requests) for _ in range(4)]
    assert found == [[place.keys("a", "b")], [place.keys("c", "d")], [place.keys("e")], []]


def test_a_vanished_document_leaves_the_collection_although_its_removal_was_killed(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(**{name: f"The {name} note." for name in "abcde"})
    place.run()
    keys = place.keys("b", "c", "d")
    for name in "bcd":
        (place.source / f"{name}.txt").unlink()
    with MilvusStore(str(place.root / "milvus.db")) as store, place.ledger() as ledger:
        committer = Committer(store=store, ledger=ledger, corpus="notes", run_id="killed")
        committer.clear(keys[0])  # b: killed when the rows were gone
        committer.clear(keys[1])
        committer.forget(keys[1])  # c: killed when the ledger's entry was gone too
    (request,) = tick(place).run_requests
    assert sorted(request.run_config["ops"]["remove"]["config"]["keys"]) == sorted(keys)
    remove(place, request)

    assert sorted(place.instance.get_dynamic_partitions("notes_documents")) == sorted(place.keys("a", "e"))
    assert set(place.receipts()) == set(place.keys("a", "e"))
    with MilvusStore(str(place.root / "milvus.db")) as store:
        assert set(store.census("notes")) == set(place.keys("a", "e"))
    assert tick(place).run_requests == []


def test_a_document_that_came_back_is_not_removed(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    place.write(a="A", b="B")
    place.run()
    (place.source / "b.txt").unlink()
    (request,) = tick(place).run_requests
    place.write(b="B")
    remove(place, request)
    assert set(place.receipts()) == set(place.keys("a", "b"))


def test_suspiciously_many_vanished_documents_are_reported_and_kept(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False, max_deletions=2)
    place.write(**{name: name for name in "abcde"})
    place.run()
    for name in "abc":
        (place.source / f"{name}.txt").unlink()
    found = tick(place)
    assert found.run_requests == []
    assert "3 of 5 documents vanished" in found.skip_message
    assert "max_deletions" in found.skip_message
    assert len(place.receipts()) == 5

    place.write(z="Z")
    assert asked(place, tick(place).run_requests) == [place.keys("z")]


def test_new_documents_do_not_make_up_for_those_that_vanish(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    place.write(**{f"old{n}": "An old note." for n in range(13)})
    with place.ledger() as ledger:
        ledger.remember("notes", place.corpus.plant.documents().list())
    for n in range(11):
        (place.source / f"old{n}.txt").unlink()
    place.write(**{f"new{n}": "A new note." for n in range(60)})
    assert {request.job_name for request in tick(place).run_requests} == {"notes_ingest"}


def test_shared_pictures_go_with_the_last_document_that_refers_to_them(tmp_path: Path) -> None:
    place, images = _with_a_shared_picture(tmp_path)
    place.write(c="C")
    place.run()
    assert len(list(images.rglob("*.png"))) == 1
    for name, left in (("a", 1), ("b", 0)):
        text = (place.source / f"{name}.html").read_text()
        _remove_vanished(place, name)
        assert len(list(images.rglob("*.png"))) == left
    (place.source / "b.html").write_text(text)  # the same bytes again: its picture must be there again
    assert place.run("b")["b"].succeeded
    assert len(list(images.rglob("*.png"))) == 1


def test_a_picture_that_another_corpus_refers_to_stays(tmp_path: Path) -> None:
    place, images = _with_a_shared_picture(tmp_path)
    place.write(c="C")
    place.run()
    same = place.corpus.pipeline
    other = DocumentCorpus(name="copies", source=place.source, pipeline=same, workers=1)
    found = materialize_documents(other, instance=place.instance, resources=place.resources, log_level="CRITICAL")
    assert all(outcome.succeeded for outcome in found.values())
    (place.source / "b.html").unlink()
    _remove_vanished(place, "a")
    assert set(place.receipts()) == set(place.keys("c"))
    assert len(list(images.rglob("*.png"))) == 1


def test_a_document_that_had_failed_stores_the_picture_again_that_went_with_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, images = _with_a_shared_picture(tmp_path)
    commit = Committer.commit

    def refuse(self: Committer, document: Any, *given: Any, **more: Any) -> Any:
        if document.name == "b.html":
            raise StoreUnavailableError("No Milvus answers.")
        return commit(self, document, *given, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Committer, "commit", refuse)
        assert not place.run()["b"].succeeded
    _remove_vanished(place, "a")
    assert list(images.rglob("*.png")) == []
    assert place.run("b")["b"].succeeded
    assert len(list(images.rglob("*.png"))) == 1


@pytest.mark.parametrize("when", ["before", "meanwhile", "meanwhile, and the removal dies"])
def test_a_picture_of_a_document_that_is_being_committed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    place, images = _with_a_shared_picture(tmp_path)
    assert place.run("a")["a"].succeeded
    (stored,) = images.rglob("*.png")
    set_aside = ImageStore.set_aside

    def begin_commit() -> None:
        with place.ledger() as ledger:
            ledger.remember("notes", place.corpus.plant.documents().list())
            ledger.intent("notes", *place.keys("b"), "g", {"images": [stored.stem]})

    def set_aside_slowly(self: ImageStore, sha256: str) -> None:
        set_aside(self, sha256)
        begin_commit()
        if when == "meanwhile, and the removal dies":
            raise KeyboardInterrupt

    if when == "before":
        begin_commit()
    else:
        monkeypatch.setattr(ImageStore, "set_aside", set_aside_slowly)
    with suppress(KeyboardInterrupt):
        _remove_vanished(place, "a")
    if when == "meanwhile, and the removal dies":
        monkeypatch.undo()
        _remove_vanished(place, "a")
    assert list(images.rglob("*.png")) == [stored]


def _with_a_shared_picture(tmp_path: Path) -> tuple[Place, Path]:
    """Return a corpus of two pages, a and b, with one picture in both, and the folder that pictures are stored in."""
    from nemo_retriever_dagster import Ingestor

    place, images, picture = Place(tmp_path), tmp_path / "images", _picture()
    chain = Ingestor().extract(extract_images=True).split().embed().store(images=True, storage_uri=str(images))
    place.corpus = _corpus(place, chain.vdb_upload(collection_name="notes"))
    for name in "ab":
        (place.source / f"{name}.html").write_text(f'<p>The {name} page.</p><img alt="a dial" src="{picture}">')
    return place, images


def _remove_vanished(place: Place, name: str) -> None:
    (place.source / f"{name}.html").unlink(missing_ok=True)
    (request,) = (request for request in tick(place).run_requests if request.job_name == "notes_remove")
    remove(place, request)


def _corpus(place: Place, pipeline: Any) -> DocumentCorpus:
    from nemo_retriever_dagster import DocumentCorpus

    return DocumentCorpus(name="notes", source=place.source, pipeline=pipeline, workers=1)


def _picture() -> str:
    import base64
    import io

    from PIL import Image

    data = io.BytesIO()
    Image.radial_gradient("L").resize((200, 160)).save(data, "PNG")
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"


def test_the_schedule_sets_right_what_is_not_as_it_should_be(tmp_path: Path) -> None:
    place = Place(tmp_path, retry_policy=dg.RetryPolicy(max_retries=0))
    place.write(good="A valve.", empty="", late="A pump.")
    assert place.run("good", "empty")["good"].succeeded
    assert tick(place).run_requests  # late: asked for, and then the machine went down
    assert asked(place, reconcile(place).run_requests) == [place.keys("late")]

    nowhere = NimResource(urls="http://127.0.0.1:9", attempts=1, dimensions=384)
    down = EnginesResource(embedder=nowhere, ready_timeout=0)
    failed = place.run("late", **{ENGINES: down})["late"]
    assert failed.metadata["category"] == "infrastructure"
    again = [reconcile(place, day=day).run_requests for day in (1, 2)]
    assert [asked(place, requests) for requests in again] == [[place.keys("late")]] * 2
    assert again[0][0].run_key != again[1][0].run_key  # every day anew, until it is right
    assert place.run("late")["late"].succeeded
    assert reconcile(place, day=3).skip_message == "1 failed, 2 unchanged"

    changed = place.make(chunk_size=4, chunk_overlap=0)
    requests = reconcile(place, changed, day=4).run_requests
    assert sorted(key for keys in asked(place, requests) for key in keys) == sorted(place.keys())


def test_a_document_that_failed_for_good_is_tried_again_when_an_option_or_a_limit_changes(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False, limits=Limits(file_bytes=8), retry_policy=dg.RetryPolicy(max_retries=0))
    place.write(small="A pump.", large="A valve of the size 40.", empty="")
    failed = place.run()
    assert [name for name, outcome in failed.items() if not outcome.succeeded] == ["empty", "large"]
    assert reconcile(place).skip_message == "2 failed, 1 unchanged"

    raised = Place(tmp_path, rows=False, limits=Limits(file_bytes=80), retry_policy=dg.RetryPolicy(max_retries=0))
    (asked_for,) = asked(place, reconcile(raised, day=1).run_requests)
    assert sorted(asked_for) == sorted(place.keys("large", "empty"))
    again = raised.run("large", "empty")
    assert (again["large"].succeeded, again["empty"].succeeded) == (True, False)
    assert reconcile(raised, day=2).skip_message == "1 failed, 2 unchanged"

    passwords = [Ingestor().extract(password=word) for word in (None, "1", "2")]
    corpora = [DocumentCorpus(name="notes", source=place.source, pipeline=one) for one in passwords]
    engines = Engines()
    first, second, third = (corpus.plant.outcome_fingerprint(engines) for corpus in corpora)
    assert first != second == third  # it is kept where others may read it


def test_a_mended_document_whose_run_was_lost_is_asked_for_by_the_schedule(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    place.write(a="", b="B")
    place.run()
    assert reconcile(place).skip_message == "1 failed, 1 unchanged"
    place.write(a="Mended.")
    assert asked(place, tick(place).run_requests) == [place.keys("a")]  # and then the machine went down
    assert asked(place, reconcile(place, day=1).run_requests) == [place.keys("a")]


def test_a_version_that_was_never_listed_is_not_blamed_on_the_one_that_was(tmp_path: Path) -> None:
    place, kept = Place(tmp_path, rows=False), tmp_path / "kept.txt"
    place.write(a="A", b="B")
    place.run()
    (key,) = place.keys("a")
    (place.source / "a.txt").rename(kept)
    place.write(a="")
    (broken,) = (document for document in place.corpus.plant.documents().list() if document.key == key)
    place.job([key])  # from the UI, before the sensor looks
    assert [(f.document, f.kind, f.version) for f in place.failures().values()] == [
        (key, "EmptyFileError", broken.version)
    ]
    assert tick(place).run_requests == []
    kept.rename(place.source / "a.txt")  # with the time it had
    assert asked(place, tick(place).run_requests) == [[key]]
    place.job([key])
    assert place.failures() == {}
    assert place.statuses() == {"MATERIALIZED": 2}


def test_the_schedule_runs_what_failed_on_another_instance_so_that_its_partition_is_red(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    place.write(a="A", b="B")
    place.run()
    place.write(a="")
    with dg.DagsterInstance.ephemeral() as elsewhere:
        materialize_documents(place.corpus, instance=elsewhere, resources=place.resources, log_level="CRITICAL")
    assert place.statuses() == {"MATERIALIZED": 2}
    assert tick(place).run_requests == []
    assert asked(place, reconcile(place).run_requests) == [place.keys("a")]
    place.run("a")
    assert place.statuses() == {"MATERIALIZED": 1, "FAILED": 1}
    assert reconcile(place, day=1).skip_message == "1 failed, 1 unchanged"


def test_the_schedule_asks_for_the_documents_whose_own_fields_changed_and_for_no_other(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(a="A valve.", b="A bolt.")
    table = tmp_path / "own.csv"
    table.write_text("file,team\na.txt,paint\nb.txt,paint\n")
    own = {"meta_dataframe": table, "meta_source_field": "file", "meta_fields": ["team"]}
    pipeline = Ingestor().extract().split().embed().vdb_upload(collection_name="notes", **own)
    corpus = DocumentCorpus(name="notes", source=place.source, pipeline=pipeline, workers=1)
    place.run(corpus=corpus)
    assert reconcile(place, corpus).run_requests == []

    table.write_text("file,team\na.txt,brakes\nb.txt,paint\n")
    assert asked(place, reconcile(place, corpus, day=1).run_requests) == [place.keys("a")]
    place.run("a", corpus=corpus)
    assert reconcile(place, corpus, day=2).run_requests == []
    with MilvusStore(str(tmp_path / "milvus.db")) as store:
        rows = store.select("notes", where="pk != {none}", values={"none": ""})
    assert {row.text: row.content_metadata["team"] for row in rows} == {"A valve.": "brakes", "A bolt.": "paint"}
