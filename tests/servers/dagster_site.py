"""A Dagster deployment on this machine: code server, daemon and webserver as processes, one corpus of notes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import dagster as dg
import pytest
from servers.process import free_port, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

REPOSITORY = Path(__file__).parents[2]
GOOD, BROKEN = 97, (11, 12, 60)
NOTES = {"path": ["notes"]}
_START = "mutation($s: SensorSelector!) { startSensor(sensorSelector: $s) { __typename } }"
_STOP = "mutation($id: String!) { stopSensor(id: $id) { __typename } }"
_TICKS = """query($s: SensorSelector!) { sensorOrError(sensorSelector: $s) { ... on Sensor {
    sensorState { id ticks(limit: 5) { status runIds skipReason error { message } } } } } }"""
_ASSET = """query($k: AssetKeyInput!) { assetNodeOrError(assetKey: $k) { ... on AssetNode {
    partitionStats { numMaterialized numFailed numPartitions numMaterializing }
    assetPartitionStatuses { ... on DefaultPartitionStatuses {
        materializedPartitions failedPartitions unmaterializedPartitions materializingPartitions } } } } }"""
_STEPS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { stepStats { stepKey status } } } }"
_BACKFILL = """mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) { __typename
    ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_PROGRESS = """query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
    status numPartitions } } }"""

_DEFINITIONS = """
from pathlib import Path
import dagster as dg
from nemo_retriever_dagster import DocumentCorpus, Ingestor, MilvusResource, StateResource
from nemo_retriever_dagster.corpus.resources import STATE, STORE

ROOT = Path({root!r})
notes = DocumentCorpus(
    name="notes",
    source=ROOT / "documents",
    pipeline=Ingestor().extract().split().embed().vdb_upload(collection_name="notes"),
    workers=1,
)


@dg.asset(deps=[notes.asset], partitions_def=notes.partitions_def, backfill_policy=dg.BackfillPolicy.multi_run(7))
def digest(context: dg.AssetExecutionContext) -> None:
    context.log.info("%d notes", len(context.partition_keys))


resources = {{STATE: StateResource(state_dir=str(ROOT / "state")), STORE: MilvusResource(uri=str(ROOT / "milvus.db"))}}
defs = dg.Definitions.merge(notes.definitions(resources=resources), dg.Definitions(assets=[digest]))
"""


@dataclass(frozen=True)
class Site:
    """A running deployment. ``url`` is that of the webserver."""

    root: Path
    url: str
    selector: dict[str, str]

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=120) as reply:
            answer = json.load(reply)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def wait(self, what: str, ready: Callable[[], Any], seconds: float = 240, pause: float = 1) -> Any:
        """Return the first true answer of ``ready``."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := ready():
                return found
            time.sleep(pause)
        logs = "\n".join(path.read_text(errors="replace")[-3000:] for path in sorted(self.root.glob("*.log")))
        raise AssertionError(f"{what} did not come about in {seconds} s\n{logs}")

    def runs(self) -> list[dict[str, Any]]:
        query = "{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }"
        return list(self.ask(query)["runsOrError"]["results"])

    def settled(self, number: int) -> list[dict[str, Any]]:
        """Wait until there are ``number`` runs and all have ended; return them, the newest first."""

        def ended() -> list[dict[str, Any]]:
            runs = self.runs()
            done = {"SUCCESS", "FAILURE", "CANCELED"}
            return runs if len(runs) >= number and {run["status"] for run in runs} <= done else []

        return list(self.wait(f"{number} ended runs", ended))

    @property
    def sensor(self) -> dict[str, str]:
        """The sensor that looks for documents."""
        return {**self.selector, "sensorName": "notes_discovery"}

    def ticks(self) -> list[dict[str, Any]]:
        """Return what the sensor's looks came to, the last first."""
        found = self.ask(_TICKS, s=self.sensor)["sensorOrError"]["sensorState"]["ticks"]
        return [tick for tick in found if tick["status"] != "STARTED"]

    def start_looking(self) -> None:
        """Have the daemon run the sensor."""
        self.ask(_START, s=self.sensor)

    def stop_looking(self) -> None:
        """Let the sensor rest, after its first look has asked for one run."""
        first = self.wait("a tick of the sensor", self.ticks)[-1]
        assert first["status"] == "SUCCESS", first
        assert len(first["runIds"]) == 1
        self.ask(_STOP, id=self.ask(_TICKS, s=self.sensor)["sensorOrError"]["sensorState"]["id"])

    def discover(self) -> None:
        """Let the daemon run the sensor once, and wait for the run it asks for; nothing happens the second time."""
        if self.runs():
            return
        self.start_looking()
        self.stop_looking()
        self.settled(1)

    def has_begun(self, step: str) -> bool:
        """Tell whether a step of the first run has begun."""
        first = [run["runId"] for run in self.runs()][-1:]
        steps = [s for run in first for s in self.ask(_STEPS, id=run)["runOrError"]["stepStats"]]
        return any(s["stepKey"] == step and s["status"] in {"IN_PROGRESS", "SUCCESS"} for s in steps)

    def kill_run(self) -> None:
        """Kill the process of the run that goes on."""
        mine = f"DAGSTER_HOME={self.root}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command, environment = ((process / name).read_bytes() for name in ("cmdline", "environ"))
                if b"spawn_main" in command and mine in environment:
                    os.kill(int(process.name), signal.SIGKILL)
                    return
        raise AssertionError("no run goes on")

    def asset(self, key: str = "notes") -> dict[str, Any]:
        """Return what the asset's page is made of."""
        return dict(self.ask(_ASSET, k={"path": [key]})["assetNodeOrError"])

    def statuses(self, key: str = "notes") -> dict[str, list[str]]:
        """Return the partitions by their state."""
        return dict(self.asset(key)["assetPartitionStatuses"])

    def backfill(self, keys: Sequence[str], *assets: Mapping[str, list[str]]) -> None:
        """Run partitions of assets as the UI does, and wait for the end."""
        params = {"partitionNames": keys, "assetSelection": assets, "fromFailure": False, "allPartitions": False}
        answer = self.ask(_BACKFILL, p=params)["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer

        def ended() -> bool:
            status = self.ask(_PROGRESS, id=answer["backfillId"])["partitionBackfillOrError"]["status"]
            return str(status).startswith(("COMPLETED", "FAILED"))

        self.wait("the backfill's end", ended)

    def failed_runs(self) -> str:
        """Return why runs failed, for a test's message."""
        with dg.DagsterInstance.from_config(str(self.root / "home")) as instance:
            ids = [run.run_id for run in instance.get_runs()]
            events = [event.dagster_event for run_id in ids for event in instance.all_logs(run_id)]
        return "\n".join(f"{e.step_key} {e.message} {e.event_specific_data}" for e in events if e and e.is_failure)


def fill(folder: Path) -> None:
    """Write a hundred notes, three of them corrupt PDFs: two neighbours and one apart."""
    folder.mkdir()
    for n in range(GOOD + len(BROKEN)):
        if n in BROKEN:
            (folder / f"note-{n:03}.pdf").write_bytes(b"%PDF-1.7\n" + bytes(range(256)))
        else:
            text = f"Note {n}. The bolt of wheel {n} is tightened to {n + 5} newton metres.\n"
            (folder / f"note-{n:03}.txt").write_text(text)


@contextlib.contextmanager
def deployed(root: Path, homes: Sequence[Path], environment: Mapping[str, str]) -> Iterator[Site]:
    """Run what `code_location.py` in ``root`` defines; code server, webserver and daemon each from one of ``homes``."""
    code, web = free_port(), free_port()
    workspace = root / "workspace.yaml"
    workspace.write_text(
        f"load_from:\n  - grpc_server:\n      host: 127.0.0.1\n      port: {code}\n      location_name: site\n"
    )
    at = Path(sys.executable).parent
    python = [sys.executable, "-m", "dagster"]
    commands = [
        ([*python, "api", "grpc", "-f", str(root / "code_location.py"), "-h", "127.0.0.1", "-p", str(code)], code),
        ([str(at / "dagster-webserver"), "-w", str(workspace), "-p", str(web), "--live-data-poll-rate", "1000"], web),
        ([str(at / "dagster-daemon"), "run", "-w", str(workspace)], code),
    ]
    with contextlib.ExitStack() as stack:
        for n, ((command, port), home) in enumerate(zip(commands, homes, strict=True)):
            there = {"DAGSTER_HOME": str(home), **environment}
            stack.enter_context(serving(command, port, root / f"{n}.log", environment=there, patience=120))
        names = {"repositoryName": "__repository__", "repositoryLocationName": "site"}
        yield Site(root=root, url=f"http://127.0.0.1:{web}", selector=names)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The deployment of one machine, with `deploy/dagster.yaml`; nothing has been run yet."""
    root = tmp_path_factory.mktemp("site")
    fill(root / "documents")
    home = root / "home"
    home.mkdir()
    shutil.copy(REPOSITORY / "deploy/dagster.yaml", home)
    (root / "code_location.py").write_text(_DEFINITIONS.format(root=str(root)))
    with deployed(root, [home] * 3, {"NRD_STATE_DIR": str(root / "state")}) as running:
        yield running
