import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nemo_retriever_dagster.errors import StoreLockedError, StoreUnavailableError
from nemo_retriever_dagster.vdb.lease import Lease, foreign_holder, holder

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from pathlib import Path
from nemo_retriever_dagster.vdb.lease import Lease
lease = Lease(Path(sys.argv[1]), what="ingest handbook", run_id="run-7").acquire()
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def other(tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "milvus.db")], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_second_process_is_told_who_holds_the_store(other: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(StoreLockedError) as caught:
        Lease(tmp_path / "milvus.db", wait=0.2).acquire()
    for part in (str(other.pid), "ingest handbook", "run-7", "waited 0.2 s", str(tmp_path / "milvus.db")):
        assert part in caught.value.message
    assert "one process" in caught.value.hint


def test_a_killed_holder_frees_the_lease_to_one_who_waits(other: subprocess.Popen[str], tmp_path: Path) -> None:
    os.kill(other.pid, signal.SIGKILL)
    lease = Lease(tmp_path / "milvus.db", wait=10.0).acquire()
    found = holder(tmp_path / "milvus.db")
    assert found is not None
    assert found.pid == os.getpid()
    lease.release()
    assert holder(tmp_path / "milvus.db") is None


def test_release_lets_the_next_in_and_may_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "milvus.db"
    first = Lease(path, wait=0.0).acquire()
    with pytest.raises(StoreLockedError):
        Lease(path, wait=0.0).acquire()
    first.release()
    first.release()
    Lease(path, wait=0.0).acquire().release()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of Python 3.12, if the process has threads
def test_a_forked_child_does_not_keep_its_parents_lease(tmp_path: Path) -> None:
    parent = Lease(tmp_path / "milvus.db", wait=0.0).acquire()
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(told, b"x")
        time.sleep(600)
    try:
        assert os.read(ready, 1) == b"x"
        parent.release()
        Lease(tmp_path / "milvus.db", wait=0.0).acquire().release()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(told)


def test_broken_holder_information_is_only_missing_information(tmp_path: Path) -> None:
    for text in ("", "not json", json.dumps({"pid": 1, "more": 2})):
        (tmp_path / "milvus.db.lease").write_text(text)
        assert holder(tmp_path / "milvus.db") is None
    Lease(tmp_path / "milvus.db", wait=0.0).acquire().release()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailableError, match="Cannot write beside"):
        Lease(tmp_path / "file" / "milvus.db", wait=0.0).acquire()


def test_a_full_disk_is_named_and_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "milvus.db"
    (tmp_path / "milvus.db.lease").write_text("a holder that died")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    full = Lease(path, wait=0.0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(StoreUnavailableError, match="Cannot write beside"):
            full.acquire()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    lease = Lease(path, wait=0.0).acquire()
    assert lease.inherited, "it is still known that the last holder died"
    lease.release()


def test_this_process_does_not_take_itself_for_another(tmp_path: Path) -> None:
    with (tmp_path / "LOCK").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert foreign_holder(tmp_path / "LOCK") == ""


def test_a_program_that_knows_no_lease_is_named_too(tmp_path: Path) -> None:
    lock = tmp_path / "LOCK"
    assert foreign_holder(lock) == ""
    lock.touch()
    assert foreign_holder(lock) == ""
    code = "import fcntl,sys,time; f=open(sys.argv[1],'w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(600)"
    before = Lease(tmp_path / "before.db", wait=0.0).acquire()
    process = subprocess.Popen([sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        after = Lease(tmp_path / "after.db", wait=0.0).acquire()
        assert f"process {process.pid}" in foreign_holder(lock), "and nobody who holds another file"
        before.release()
        after.release()
    finally:
        process.kill()
        process.communicate()
