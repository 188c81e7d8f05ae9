"""The ledger on SQLite: against a model, under concurrency, damaged byte by byte, on a full disk."""

import dataclasses
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from ledger_model import LedgerMachine

from nemo_retriever_dagster import ledger_leases, ledger_schema
from nemo_retriever_dagster.errors import (
    InvalidOptionError,
    LedgerDamagedError,
    StorageError,
    StorageFullError,
)
from nemo_retriever_dagster.ledger import DocumentStatus, Ledger, fingerprint_of
from nemo_retriever_dagster.ledger_usage import UsageRow
from nemo_retriever_dagster.model import Document, Failure, Receipt, Usage

KEY = "a.txt.0123456789"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{path}") as ledger:
        yield ledger


def document(version: str = "v1", key: str = KEY) -> Document:
    return Document(uri="/docs/a.txt", key=key, version=version, size=3)


def receipt(generation: str = "g1", key: str = KEY) -> Receipt:
    return Receipt(
        document=key,
        uri="/docs/a.txt",
        sha256="ab" * 32,
        collection="c",
        generation=generation,
        rows=3,
        run_id="r1",
        finished_at="2026-01-01T00:00:00+00:00",
        fingerprints={"embed": "e1", "extract": "x1"},
        counts={"pages": 2},
        seconds={"embed": 0.25},
    )


def failure(**fields: object) -> Failure:
    basis = Failure(
        document=KEY,
        uri="/docs/a.txt",
        stage="extract",
        category="data",
        kind="CorruptFileError",
        cause="cut",
        hint="mend it",
        page=3,
    )
    return dataclasses.replace(basis, **fields)


def status(ledger: Ledger) -> DocumentStatus:
    return ledger.versions("c")[KEY].status


def test_against_a_model(tmp_path: Path):
    class OnSqlite(LedgerMachine):
        runs = 0

        def make(self) -> Ledger:
            OnSqlite.runs += 1
            return Ledger(f"sqlite:///{tmp_path}/{OnSqlite.runs}.db")

    quick = settings(max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(OnSqlite, settings=quick)
    assert OnSqlite.runs > 1


def test_life_of_a_document(ledger: Ledger):
    ledger.remember("c", [document()])
    assert status(ledger) is DocumentStatus.NEW
    ledger.intent("c", KEY, "g1", {"collections": ["c"], "rows": 3})
    assert status(ledger) is DocumentStatus.WRITING
    [intent] = ledger.open_intents("c")
    assert (intent.document, intent.generation, intent.details) == (KEY, "g1", {"collections": ["c"], "rows": 3})
    ledger.fail("c", failure())
    assert status(ledger) is DocumentStatus.FAILED
    assert ledger.fail("c", failure(attempts=2)).attempts == 3
    ledger.remember("c", [document("v2")])
    assert status(ledger) is DocumentStatus.WRITING
    assert ledger.failures("c") == [failure(attempts=3, version="v1")]
    ledger.commit("c", receipt(), version="v2")
    assert status(ledger) is DocumentStatus.CURRENT
    assert ledger.receipt("c", KEY) == receipt()
    assert ledger.receipts("c") == [receipt()]
    assert ledger.failures("c") == []
    assert ledger.open_intents("c") == []
    state = ledger.versions("c")[KEY]
    assert (state.sha256, state.committed_version, state.generation) == ("ab" * 32, "v2", "g1")
    assert state.fingerprint == fingerprint_of(receipt().fingerprints)
    ledger.remember("c", [document("v3")])
    assert status(ledger) is DocumentStatus.CHANGED
    ledger.intent("c", KEY, "g2", {})
    ledger.fail("c", failure(version="v3"))
    ledger.forget("c", KEY)
    assert (ledger.versions("c"), ledger.receipts("c"), ledger.open_intents("c"), ledger.failures("c")) == (
        {},
        [],
        [],
        [],
    )


def test_what_is_seen_again_as_it_was_is_not_written_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    ledger.remember("c", [document()])
    before = ledger.versions("c")
    monkeypatch.setattr("nemo_retriever_dagster.ledger._now", lambda: "later")
    ledger.remember("c", [document()])
    assert ledger.versions("c") == before


def test_some_documents_are_told_without_reading_the_others(ledger: Ledger, path: Path):
    many = [document(key=f"{n:04}") for n in range(2 * ledger_schema._KEYS_AT_ONCE + 1)]
    ledger.remember("c", many)
    ledger.commit("c", receipt(key="0000"))
    whole = ledger.versions("c")
    assert ledger.versions("c", list(whole)) == whole
    assert ledger.versions("c", []) == {}
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE nrd_documents SET seal = '' WHERE key = '0002'")
    connection.close()
    assert ledger.versions("c", ["0000", "unknown", "0001"]) == {key: whole[key] for key in ("0000", "0001")}
    ledger.remember("c", [document("v2", "0001")])
    assert ledger.versions("c", ["0001"])["0001"].version == "v2"
    for damaged in (None, ["0001", "0002"]):
        with pytest.raises(LedgerDamagedError, match="0002"):
            ledger.versions("c", damaged)


def test_a_receipt_is_the_last_word_until_a_failure_or_another_version(ledger: Ledger):
    ledger.remember("c", [document()])
    assert not ledger.settled("c", KEY, "v1")
    ledger.commit("c", receipt())
    assert ledger.settled("c", KEY, "v1")
    assert not ledger.settled("c", KEY, "v2")
    ledger.fail("c", failure())
    assert not ledger.settled("c", KEY, "v1")


def test_commit_knows_which_version_it_was_made_from(ledger: Ledger):
    """A sensor may see a newer version while the older one is being written."""
    ledger.remember("c", [document("v1")])
    ledger.remember("c", [document("v2")])
    ledger.commit("c", receipt(), version="v1")
    assert status(ledger) is DocumentStatus.CHANGED


def test_failure_of_an_older_version_does_not_hold_up_the_new_one(ledger: Ledger):
    ledger.remember("c", [document("v2")])
    ledger.fail("c", failure(version="v1"))
    assert status(ledger) is DocumentStatus.NEW
    assert ledger.failures("c") == [failure(version="v1")]


def test_a_failure_tells_when_it_was_noted(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("nemo_retriever_dagster.ledger._now", lambda: "2026-01-01T00:00:00.000+00:00")
    assert ledger.fail("c", failure()).failed_at == "2026-01-01T00:00:00.000+00:00"
    assert [one.failed_at for one in ledger.failures("c")] == ["2026-01-01T00:00:00.000+00:00"]


def test_failure_of_a_version_that_is_over_is_not_recorded(ledger: Ledger):
    """A slow run read a file while it was copied; meanwhile another took the whole file in."""
    ledger.remember("c", [document("v2")])
    ledger.commit("c", receipt(), version="v2")
    assert ledger.fail("c", failure(version="v1")).attempts == 1
    assert status(ledger) is DocumentStatus.CURRENT
    assert ledger.failures("c") == []
    ledger.remember("c", [document("v3")])
    ledger.fail("c", failure(version="v3"))
    assert status(ledger) is DocumentStatus.FAILED


def test_receipt_of_another_generation_leaves_the_intent_open(ledger: Ledger):
    ledger.intent("c", KEY, "g2", {})
    ledger.commit("c", receipt("g1"))
    assert [intent.generation for intent in ledger.open_intents("c")] == ["g2"]


def test_writing_begun_anew_is_what_a_document_is_at(ledger: Ledger):
    ledger.commit("c", receipt(), version="1")
    ledger.intent("c", KEY, "another", {})
    assert ledger.versions("c")[KEY].status == "writing"


def test_commit_is_one_transaction(ledger: Ledger, path: Path):
    ledger.remember("c", [document()])
    ledger.intent("c", KEY, "g1", {})
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TRIGGER stop BEFORE DELETE ON nrd_intents BEGIN SELECT RAISE(ABORT, 'stopped'); END")
    raw.close()
    with pytest.raises(StorageError, match="stopped"):
        ledger.commit("c", receipt())
    assert ledger.receipt("c", KEY) is None
    assert status(ledger) is DocumentStatus.WRITING


def test_corpora_are_apart(ledger: Ledger):
    ledger.remember("c", [document()])
    ledger.commit("d", receipt())
    assert ledger.receipts("c") == []
    assert list(ledger.versions("d")) == [KEY]
    assert ledger.corpora() == ["c", "d"]
    assert ledger.claim("c", KEY, "one", 60)
    assert ledger.claim("d", KEY, "two", 60)


def test_secrets_and_odd_characters(ledger: Ledger, path: Path):
    kept = ledger.fail("c", failure(uri="/a\udcff\0.txt", cause="token=abcdefgh \0 \udcff", hint="nvapi-abcdefghijk"))
    assert ledger.failures("c") == [kept]
    assert "abcdefgh" not in kept.cause + kept.hint
    ledger.close()
    assert all(b"abcdefgh" not in file.read_bytes() for file in path.parent.iterdir())


def test_usage_that_no_column_holds_is_cut(ledger: Ledger):
    for tokens in (2**70, 5):
        usage = Usage(requests=1, tokens=tokens, seconds=0.5)
        ledger.record_usage("c", [UsageRow(document=KEY, run_id="r1", stage="embed", engine="e", usage=usage)])
    (row,) = ledger.usage("c")
    assert row.usage == Usage(requests=2, tokens=2**63 - 1, seconds=1.0)


def test_usage_adds_up_and_outlives_the_document(ledger: Ledger):
    def row(stage: str, engine: str, usage: Usage) -> UsageRow:
        return UsageRow(document=KEY, run_id="r1", stage=stage, engine=engine, usage=usage)

    ledger.record_usage("c", [row("embed", "nim/e5", Usage(requests=1, tokens=10, seconds=0.5))])
    more = row("embed", "nim/e5", Usage(requests=1, tokens=2, seconds=0.25, items=1))
    last = row("embed", "nim/e5", Usage(requests=1, tokens=3, retries=1, items=3))
    ledger.record_usage("c", [more, row("extract", "", Usage(seconds=1.0)), last])
    ledger.record_usage("c", [])
    ledger.forget("c", KEY)
    assert [(row.stage, row.engine, row.usage) for row in ledger.usage("c")] == [
        ("embed", "nim/e5", Usage(requests=3, retries=1, items=4, tokens=15, seconds=0.75)),
        ("extract", "", Usage(seconds=1.0)),
    ]


def test_it_is_all_there_after_opening_again(ledger: Ledger, path: Path):
    ledger.commit("c", receipt())
    ledger.close()
    with Ledger(f"sqlite:///{path}") as again:
        assert again.receipts("c") == [receipt()]
    assert ledger.receipts("c") == [receipt()]


# --- leases ---


def test_one_lease_one_owner(ledger: Ledger):
    assert ledger.holder("c", KEY) is None
    assert ledger.claim("c", KEY, "one", 60)
    assert not ledger.claim("c", KEY, "two", 60)
    assert ledger.claim("c", KEY, "one", 60)
    assert ledger.holder("c", KEY) == "one"
    ledger.release("c", KEY, "two")
    assert ledger.holder("c", KEY) == "one"
    ledger.release("c", KEY, "one")
    assert ledger.claim("c", KEY, "two", 60)


def test_a_lease_that_another_has_had_is_not_prolonged(ledger: Ledger):
    assert ledger.claim("c", KEY, "one", -1)
    assert ledger.prolong("c", KEY, "one", 60), "it ran out, but nobody took it"
    assert not ledger.claim("c", KEY, "two", 60)
    assert not ledger.prolong("c", KEY, "two", 60)
    ledger.claim("c", KEY, "one", -1)
    assert ledger.claim("c", KEY, "two", 60)
    assert not ledger.prolong("c", KEY, "one", 60)
    ledger.release("c", KEY, "two")
    assert not ledger.prolong("c", KEY, "one", 60)
    assert ledger.holder("c", KEY) is None
    assert not ledger.commit("c", receipt(), owner="one")
    assert ledger.receipts("c") == []


def test_lease_of_a_dead_owner_runs_out(ledger: Ledger):
    assert ledger.claim("c", KEY, "dead", 0.05)
    while ledger.holder("c", KEY):
        time.sleep(0.01)
    assert ledger.claim("c", KEY, "heir", 60)
    assert not ledger.claim("c", KEY, "dead", 60)


def test_lease_does_not_outlive_a_boot_nor_follow_the_wall_clock(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    assert ledger.claim("c", KEY, "one", 60)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert ledger.holder("c", KEY) == "one"
    assert not ledger.claim("c", KEY, "two", 60)
    monkeypatch.setattr(ledger_leases, "_now", lambda _: ("another boot", 1.0))
    assert ledger.holder("c", KEY) is None
    assert ledger.claim("c", KEY, "two", 60)


def compete(url: str, owner: str, wins: "multiprocessing.Queue[tuple[str, str]]") -> None:
    with Ledger(url) as ledger:
        for number in range(20):
            if ledger.claim("c", f"k{number}", owner, 600):
                wins.put((f"k{number}", owner))
            ledger.fail("c", failure(document="shared"))
    wins.put(("", owner))


def test_processes_never_hold_one_lease_together_and_lose_no_count(path: Path):
    url = f"sqlite:///{path}"
    context = multiprocessing.get_context("spawn")
    wins = context.Queue()
    processes = [context.Process(target=compete, args=(url, f"o{number}", wins)) for number in range(2)]
    for process in processes:
        process.start()
    won: list[str] = []
    done = 0
    while done < len(processes):
        key, _ = wins.get(timeout=120)
        done += not key
        won += [key] if key else []
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert sorted(won) == sorted(f"k{number}" for number in range(20))
    with Ledger(url) as ledger:
        assert [item.attempts for item in ledger.failures("c")] == [40]


def test_two_that_make_a_ledger_wait_for_each_other(path: Path):
    path.parent.mkdir(parents=True, exist_ok=True)
    maker = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    maker.execute("BEGIN EXCLUSIVE")
    other = sqlite3.connect(path, timeout=0, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("PRAGMA journal_mode=WAL")
    threading.Timer(0.2, maker.execute, ["COMMIT"]).start()
    ledger_schema._keep_a_log(other)
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    maker.close()
    other.close()


def test_threads_share_one_ledger(ledger: Ledger):
    def work() -> None:
        for number in range(20):
            ledger.commit("c", receipt(key=f"k{number}"))
            ledger.fail("c", failure(document="shared"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger.receipts("c")) == 20
    assert ledger.failures("c")[0].attempts == 80


# --- faults ---


def test_not_a_database(tmp_path: Path):
    (tmp_path / "ledger.db").write_text("this is no database, it is a letter to a friend\n" * 100)
    with pytest.raises(LedgerDamagedError, match=r"ledger\.db") as caught:
        Ledger(f"sqlite:///{tmp_path}/ledger.db")
    assert "Move its file away" in caught.value.hint


def test_another_schema_version_is_refused(ledger: Ledger, path: Path):
    ledger.close()
    raw = sqlite3.connect(path)
    raw.execute("UPDATE nrd_meta SET value = '99'")
    raw.commit()
    raw.close()
    with pytest.raises(StorageError, match="'99'"):
        Ledger(f"sqlite:///{path}")
    for _ in range(2):  # what was refused is not taken the second time
        with pytest.raises(StorageError, match="'99'"):
            ledger.receipts("c")


def test_rows_of_a_newer_version_of_this_package_are_read(ledger: Ledger):
    ledger.remember("c", [Document(uri="a.txt", key="a", version="1")])
    ledger.commit("c", receipt(key="a"))
    ledger.fail("c", failure(document="b"))
    ledger.intent("c", "a", "g", {})
    before = (ledger.versions("c"), ledger.receipts("c"), ledger.failures("c"), ledger.open_intents("c"))
    with ledger._database.write("c") as connection:
        for table in (ledger_schema.documents, ledger_schema.receipts, ledger_schema.failures, ledger_schema.intents):
            for row in ledger_schema.rows_of(connection, table, "c").all():
                body = ledger_schema.unpack(table, row) | {"not_yet_known": [1]}
                ledger_schema.upsert(connection, table, [ledger_schema.pack(table, "c", row.key, body)])
    assert (ledger.versions("c"), ledger.receipts("c"), ledger.failures("c"), ledger.open_intents("c")) == before


def test_a_commit_lasts_through_a_loss_of_power(ledger: Ledger):
    with ledger._database.read() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    assert found == ["wal", 2], "synchronous FULL: the log is synced with every commit"


@pytest.mark.parametrize(
    "url",
    ["", "ledger.db", "mysql://u:hunter22@h/d", "sqlite://", "sqlite:///:memory:", "postgresql"],
)
def test_urls_that_cannot_be(url: str):
    with pytest.raises(InvalidOptionError) as caught:
        Ledger(url)
    assert "hunter22" not in str(caught.value)


def test_no_server_shows_no_password():
    with pytest.raises(StorageError) as caught:
        Ledger("postgresql+psycopg2://u:hunter22@127.0.0.1:9/d")
    assert "hunter22" not in str(caught.value)
    assert "server runs" in caught.value.hint


def test_every_flipped_byte_is_found_or_harmless(tmp_path: Path):
    """Whatever byte rots: nothing false is read. A row may be missing, so that its document is done again."""
    whole = tmp_path / "whole.db"
    with Ledger(f"sqlite:///{whole}") as ledger:
        for number in range(12):
            ledger.remember("c", [document(key=f"k{number}")])
            ledger.commit("c", receipt(key=f"k{number}"))
        ledger.fail("c", failure())
        ledger.intent("c", KEY, "g1", {"x": 1})
        true_receipts, true_states = ledger.receipts("c"), ledger.versions("c")
        true_failures = ledger.failures("c")
    data = whole.read_bytes()
    found = harmless = 0
    # Every byte would take minutes: a stride that shares no factor with SQLite's page size visits all places of a page.
    for place in range(0, len(data), 127):
        damaged = tmp_path / "damaged.db"
        for left in tmp_path.glob("damaged.db*"):
            left.unlink()
        damaged.write_bytes(data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :])
        try:
            with Ledger(f"sqlite:///{damaged}") as ledger:
                receipts, states, failures = ledger.receipts("c"), ledger.versions("c"), ledger.failures("c")
        except StorageError:
            found += 1
            continue
        harmless += 1
        assert all(item in true_receipts for item in receipts)
        assert all(item in true_failures for item in failures)
        assert all(
            (state.uri, state.version) == (true_states[key].uri, "v1") for key, state in states.items() if key != KEY
        )
    assert found > 0
    assert harmless > 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 kB; only root may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk_is_named_leaves_the_ledger_whole_and_work_goes_on(small_disk: Path):
    with Ledger(f"sqlite:///{small_disk}/ledger.db") as ledger:
        ledger.commit("c", receipt())
        filler = small_disk / "filler"
        filler.write_bytes(bytes(max(0, shutil.disk_usage(small_disk).free - 8192)))

        def fill() -> None:
            for number in range(1000):
                ledger.intent("c", f"k{number}", "g1", {"text": "x" * 1000})

        with pytest.raises(StorageFullError, match="full"):
            fill()
        before = len(ledger.open_intents("c"))
        filler.unlink()
        ledger.intent("c", KEY, "g2", {})
        assert len(ledger.open_intents("c")) == before + 1
    with Ledger(f"sqlite:///{small_disk}/ledger.db") as again:
        assert again.receipts("c") == [receipt()]


def test_read_only_disk_is_named(small_disk: Path):
    Ledger(f"sqlite:///{small_disk}/ledger.db").close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StorageError) as caught:
        Ledger(f"sqlite:///{small_disk}/ledger.db")
    assert "may be written" in caught.value.hint


def test_place_that_cannot_be(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="file") as caught:
        Ledger(f"sqlite:///{tmp_path}/file/ledger.db")
    assert "may be written" in caught.value.hint


def kill_while_writing(url: str) -> None:
    with Ledger(url) as ledger:
        for number in range(1000):
            ledger.commit("c", receipt(key=f"k{number}"))
            print(number, flush=True)
            if number == 30:
                os._exit(9)


def test_killed_writer_loses_nothing_it_was_told_is_kept(path: Path, capfd: pytest.CaptureFixture[str]):
    process = multiprocessing.get_context("spawn").Process(target=kill_while_writing, args=(f"sqlite:///{path}",))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    with Ledger(f"sqlite:///{path}") as ledger:
        assert len(ledger.receipts("c")) == 31


def test_a_database_without_a_free_connection_is_named(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    def none_left(*_: object) -> None:
        raise sa.exc.TimeoutError("QueuePool limit of size 5 overflow 10 reached")

    monkeypatch.setattr(sa.Engine, "begin", none_left)
    with pytest.raises(StorageError, match="no connection in time"):
        ledger.claim("c", KEY, "run", 10)
