"""The definitions: they load, merge, scaffold and validate; resources make what their fields say; checks see what is wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from corpus_place import Place
from dagster.components.testing import create_defs_folder_sandbox

from nemo_retriever_dagster import (
    DocumentCorpus,
    DocumentCorpusComponent,
    EnginesResource,
    Ingestor,
    MilvusResource,
    NimResource,
    Settings,
    StateResource,
    materialize_documents,
)
from nemo_retriever_dagster.corpus.partitions import range_tags
from nemo_retriever_dagster.corpus.resources import STORE
from nemo_retriever_dagster.errors import InvalidOptionError, UnknownOptionError
from nemo_retriever_dagster.vdb.milvus import MilvusStore

REPOSITORY = Path(__file__).parents[2]

# Milvus Lite leaves the file of a write-ahead log open when a collection is let go.
pytestmark = pytest.mark.filterwarnings("ignore:.*wal_data_.*:pytest.PytestUnraisableExceptionWarning")


def corpus(name: str) -> DocumentCorpus:
    pipeline = Ingestor().extract().split().embed().vdb_upload(collection_name=name)
    return DocumentCorpus(name=name, source="documents", pipeline=pipeline)


@pytest.mark.slow
def test_the_code_location_is_valid() -> None:
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-f", "definitions.py"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "All code locations passed validation" in done.stdout + done.stderr


def test_many_corpora_live_in_one_code_location() -> None:
    defs = dg.Definitions.merge(corpus("manuals").definitions(), corpus("minutes").definitions())
    dg.Definitions.validate_loadable(defs)
    repository = defs.get_repository_def()
    jobs = {f"{name}_{job}" for name in ("manuals", "minutes") for job in ("ingest", "remove", "checks", "reindex")}
    assert jobs <= set(repository.job_names)
    assert {sensor.name for sensor in repository.sensor_defs} == {"manuals_discovery", "minutes_discovery"}
    assert {schedule.name for schedule in repository.schedule_defs} == {"manuals_reconcile", "minutes_reconcile"}


def test_the_ops_are_the_stages_and_have_their_pools() -> None:
    graph = corpus("manuals").asset.node_def
    assert isinstance(graph, dg.GraphDefinition)
    assert set(graph.node_dict) == {"plan", "extract", "split", "embed", "upload", "settle"}
    pools = {name: getattr(node.definition, "pool", None) for name, node in graph.node_dict.items()}
    assert (pools["extract"], pools["embed"], pools["upload"]) == (None, "nim-embedder", "milvus")


def test_the_local_instance_loads(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "deploy/dagster.yaml", tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_retries_enabled
        concurrency = instance.get_concurrency_config()
        assert concurrency.pool_config.default_pool_limit is None, "the lease of Milvus Lite is its limit"
        assert concurrency.pool_config.pool_granularity.value == "op"
        assert instance.run_monitoring_enabled
    text = (REPOSITORY / "deploy/dagster.server.yaml").read_text()
    assert {"storage", "compute_logs", "concurrency"} <= set(yaml.safe_load(text))


def test_a_nim_resource_fills_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "nvapi-secret")
    given = EnginesResource(
        embedder=NimResource(urls="http://embed:8000/v1", model="nvidia/x", api_key=dg.EnvVar("MY_KEY"), batch=7)
    )
    seen: dict[str, Any] = {}

    @dg.asset
    def look(engines: EnginesResource) -> None:
        made = engines.engines(Ingestor().extract().embed().pipeline, Settings(_env_file=None))
        seen.update(embedder=made.embedder, ocr=made.ocr, again=engines.engines(Ingestor().pipeline, Settings()))

    assert dg.materialize([look], resources={"engines": given}).success
    endpoint = seen["embedder"].endpoint
    assert seen["embedder"].name == "nim/nvidia/x"
    assert (endpoint.batch, endpoint.api_key.get_secret_value()) == (7, "nvapi-secret")
    assert seen["ocr"].name.startswith("local/")
    assert "nvapi-secret" not in repr(given)
    with pytest.raises(InvalidOptionError, match="timeout"):
        NimResource(urls="http://x", timeout=-1).endpoint()


def test_the_component_is_scaffolded_and_makes_the_corpus() -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(component_cls=DocumentCorpusComponent, defs_path="house-rules")
        written = yaml.safe_load((path / "defs.yaml").read_text())
        assert written["type"].endswith(".DocumentCorpusComponent")
        with sandbox.load_component_and_build_defs(defs_path=path) as (component, defs):
            assert isinstance(component, DocumentCorpusComponent)
            assert component.corpus.pipeline.stages() == ("extract", "split", "embed", "upload")
            assert dg.AssetKey("house_rules") in defs.resolve_asset_graph().get_all_asset_keys()


PROJECT = """
import dagster as dg
from nemo_retriever_dagster import MilvusResource

defs = dg.Definitions(
    resources={"nrd_vector_store": MilvusResource(uri="http://milvus:19530")}, executor=dg.multiprocess_executor
)
"""


def test_components_leave_to_the_project_what_it_has_itself() -> None:
    own = {"project_resources": ["nrd_vector_store"], "in_process": False}
    with create_defs_folder_sandbox() as sandbox:
        for name in ("manuals", "minutes"):
            contents = {
                "type": "nemo_retriever_dagster.DocumentCorpusComponent",
                "attributes": {"name": name, "source": "documents", **own},
            }
            sandbox.scaffold_component(
                component_cls=DocumentCorpusComponent, defs_path=name, defs_yaml_contents=contents
            )
        (sandbox.defs_folder_path / "project.py").write_text(PROJECT)
        with sandbox.build_all_defs() as defs:
            dg.Definitions.validate_loadable(defs)
            assert defs.executor is dg.multiprocess_executor
            assert defs.resources is not None
            assert defs.resources["nrd_vector_store"].uri == "http://milvus:19530"
            assert set(defs.resources) == {"nrd_engines", "nrd_io_manager", "nrd_state", "nrd_vector_store"}
            jobs = [defs.resolve_job_def(f"manuals_{name}") for name in ("ingest", "remove", "checks")]
            assert {job.executor_def for job in jobs} == {dg.in_process_executor}


def test_a_corpus_that_is_not_told_the_project_s_resources_says_so() -> None:
    notes = corpus("notes")
    store = MilvusResource(uri="rows.db")
    assert STORE not in (notes.definitions(project_resources=[STORE]).resources or {})
    with pytest.raises(InvalidOptionError, match="does not know the project's nrd_vector_store"):
        materialize_documents(notes)
    assert notes.resources({STORE: store})[STORE] is store
    told = notes.definitions(resources={STORE: store}, project_resources=[STORE])
    assert STORE not in (told.resources or {})
    assert notes.resources()[STORE] is store
    with pytest.raises(UnknownOptionError, match="nrd_stat"):
        notes.definitions(project_resources=["nrd_stat"])


def test_a_misspelt_step_is_refused_by_name() -> None:
    component = DocumentCorpusComponent(name="x", source="documents", pipeline={"extrct": {}})
    with pytest.raises(UnknownOptionError, match="extract"):
        _ = component.corpus
    with pytest.raises(UnknownOptionError, match="chunk_size"):
        _ = DocumentCorpusComponent(name="x", source="d", pipeline={"split": {"chunk_sise": 3}}).corpus


def check(place: Place) -> dict[str, dg.AssetCheckEvaluation]:
    job = place.corpus.definitions(resources=place.resources).resolve_job_def("notes_checks")
    result = job.execute_in_process(instance=place.instance)
    assert result.success
    return {found.check_name: found for found in result.get_asset_check_evaluations()}


def which(evaluation: dg.AssetCheckEvaluation) -> dict[str, str]:
    table = evaluation.metadata["which"]
    assert isinstance(table, dg.TableMetadataValue)
    return {Path(str(record.data["document"])).name: str(record.data["what"]) for record in table.records}


def test_the_checks_see_lost_foreign_and_orphaned_rows_and_silent_loss(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(a="The a note.", b="The b note.", long="\n\n".join(f"Paragraph {n} of many." for n in range(40)))
    chunked = place.make(chunk_size=8, chunk_overlap=0)
    place.run(corpus=chunked)
    place.corpus = chunked
    good = check(place)
    assert {name: (found.passed, found.metadata["documents"].value) for name, found in good.items()} == {
        "verify": (True, 3),
        "silent_loss": (True, 3),
    }

    place.write(long="A short note now.")
    place.run("long", corpus=chunked)
    (a, b) = place.keys("a", "b")
    with MilvusStore(str(tmp_path / "milvus.db")) as store, place.ledger() as ledger:
        store.delete("notes", a)
        ledger.forget("notes", b)
    found = check(place)
    assert not found["verify"].passed
    assert found["verify"].severity is dg.AssetCheckSeverity.ERROR
    assert which(found["verify"]) == {"a.txt": "0 rows, the receipt says 1", b: "1 rows, but no receipt"}
    assert not found["silent_loss"].passed
    assert found["silent_loss"].severity is dg.AssetCheckSeverity.WARN
    assert "its former version had" in which(found["silent_loss"])["long.txt"]


def test_a_check_in_a_run_looks_at_the_run_s_documents(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(a="The a note.", b="The b note.")
    place.run()
    defs = place.corpus.definitions(resources=place.resources)
    job = dg.Definitions.merge(defs, dg.Definitions(jobs=[dg.define_asset_job("all", ["notes"])])).resolve_job_def(
        "all"
    )
    result = job.execute_in_process(instance=place.instance, partition_key=place.keys("a")[0])
    assert result.success
    found = {e.check_name: e.metadata["documents"].value for e in result.get_asset_check_evaluations()}
    assert found == {"verify": 1, "silent_loss": 1}


def test_a_prefix_is_before_the_key_everywhere(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False, key_prefix=["raw", "office"])
    place.write(a="The a note.", bad="")
    assert {name: outcome.succeeded for name, outcome in place.run().items()} == {"a": True, "bad": False}
    assert place.corpus.key == dg.AssetKey(["raw", "office", "notes"])
    assert place.statuses() == {"MATERIALIZED": 1, "FAILED": 1}
    defs = place.corpus.definitions(resources=place.resources)
    dg.Definitions.validate_loadable(defs)
    assert defs.resolve_asset_graph().get_all_asset_keys() == {place.corpus.key}
    found = check(place)["silent_loss"]
    assert (found.asset_key, found.metadata["documents"].value) == (place.corpus.key, 1)
    place.write(bad="Now it has text.")
    done = defs.resolve_job_def("notes_ingest").execute_in_process(
        instance=place.instance, partition_key=place.keys("bad")[0]
    )
    assert done.success
    assert place.statuses() == {"MATERIALIZED": 2}


def test_an_asset_that_was_renamed_is_recorded_under_its_key_of_now(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    place.write(a="The a note.", bad="")
    renamed = dg.AssetKey(["raw", "notes"])
    asset = place.corpus.asset.with_attributes(asset_key_replacements={place.corpus.key: renamed})
    (check_it,) = (
        one.with_attributes(asset_key_replacements={place.corpus.key: renamed}) for one in place.corpus.checks
    )
    keys = place.keys()
    place.instance.add_dynamic_partitions("notes_documents", keys)
    defs = dg.Definitions(
        assets=[asset],
        asset_checks=[check_it],
        resources=place.corpus.resources(place.resources),
        jobs=[dg.define_asset_job("all", dg.AssetSelection.assets(renamed))],
    )
    job = defs.resolve_job_def("all")
    done = job.execute_in_process(instance=place.instance, tags=range_tags("notes", keys), raise_on_error=False)
    assert not done.success
    told = place.instance.get_status_by_partition(renamed, keys, place.corpus.partitions_def) or {}
    assert [told[key] and told[key].value for key in place.keys("a", "bad")] == ["MATERIALIZED", "FAILED"]
    assert place.instance.get_latest_materialization_event(place.corpus.key) is None


def test_names_and_sizes_that_cannot_be_are_refused() -> None:
    counts = [
        {"batch_size": 0},
        {"runs_per_tick": 0},
        {"concurrency": -1},
        {"workers": -1},
        {"workers": "2"},
        {"sensor_interval": 1.5},
        {"max_deletions": -1},
    ]
    for wrong in ({"name": "My Corpus"}, *counts):
        options: dict[str, Any] = {"name": "x", "source": "d", "pipeline": Ingestor().extract(), **wrong}
        ((name, value),) = wrong.items()
        words = "no name for a corpus" if name == "name" else f"{name} is {value!r}"
        with pytest.raises(InvalidOptionError, match=re.escape(words)):
            DocumentCorpus(**options)
    assert DocumentCorpus(name="x", source="d", pipeline=Ingestor().extract(), workers=0, max_deletions=0).name == "x"


def test_a_source_is_shown_without_its_secrets() -> None:
    secret = "https://bob:hunter2pass@example.com/a.pdf?token=SECRETTOKEN123"
    pipeline = Ingestor().extract().split().embed()
    asset = DocumentCorpus(name="web", source=[secret, "documents"], pipeline=pipeline).asset
    (spec,) = asset.specs
    said = f"{spec.metadata} {spec.description}"
    assert "example.com/a.pdf" in said
    assert "hunter2pass" not in said
    assert "SECRETTOKEN123" not in said


def test_a_secret_inside_the_options_of_artifacts_is_given_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_SECRET", "hunter2pass")
    options = {
        "key": "user",
        "secret": dg.EnvVar("S3_SECRET"),
        "client_kwargs": {"region_name": dg.EnvVar("S3_SECRET")},
    }
    given = StateResource(artifacts_uri="s3://bucket/artifacts", artifacts_options=options)
    settings = given.settings()
    assert settings.artifacts_options == {
        "key": "user",
        "secret": "hunter2pass",
        "client_kwargs": {"region_name": "hunter2pass"},
    }
    assert "hunter2pass" not in repr(settings)


def test_milvus_resource_keeps_its_password_to_itself() -> None:
    given = {STORE: MilvusResource(uri="http://milvus:19530", username="u", password="hunter2", token="t0ken")}
    assert "hunter2" not in repr(given)
    assert "t0ken" not in repr(given)


def test_a_project_s_own_io_manager_gets_its_assets_and_nothing_of_the_corpus(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    place.write(a="The a note.")
    got: list[dg.AssetKey] = []

    class Tables(dg.IOManager):
        def handle_output(self, context: dg.OutputContext, obj: object) -> None:
            del obj
            got.append(context.asset_key)

        def load_input(self, context: dg.InputContext) -> object:
            raise AssertionError(context.asset_key)

    @dg.asset(
        deps=[place.corpus.key],
        partitions_def=place.corpus.partitions_def,
        backfill_policy=dg.BackfillPolicy.multi_run(200),
    )
    def told() -> str:
        return "told"

    defs = dg.Definitions.merge(
        place.corpus.definitions(resources=place.resources),
        dg.Definitions(assets=[told], jobs=[dg.define_asset_job("both")], resources={"io_manager": Tables()}),
    )
    (key,) = place.keys()
    place.instance.add_dynamic_partitions("notes_documents", [key])
    done = defs.resolve_job_def("both").execute_in_process(instance=place.instance, partition_key=key)
    assert done.success
    assert got == [dg.AssetKey("told")]
    assert place.latest(key).metadata["chunks"].value == 1
