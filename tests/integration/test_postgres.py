"""The ledger on a real PostgreSQL server: the same model, and two writers at once."""

import threading

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from ledger_model import LedgerMachine

from nemo_retriever_dagster.errors import LedgerDamagedError, StorageError
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.ledger_schema import _number
from nemo_retriever_dagster.ledger_usage import UsageRow
from nemo_retriever_dagster.model import Failure, Receipt, Usage

pytestmark = pytest.mark.server


def receipt(key: str = "k") -> Receipt:
    return Receipt(
        document=key, uri="/k", sha256="s", collection="c", generation="g", rows=1, run_id="r", finished_at="t"
    )


def failure(key: str = "k") -> Failure:
    return Failure(document=key, uri="/k\0\udcff", stage="embed", category="data", kind="E", cause="nul \0 and \udcff")


def test_against_a_model(postgres: str):
    class OnPostgres(LedgerMachine):
        runs = 0

        def make(self) -> Ledger:
            OnPostgres.runs += 1
            with engine.begin() as connection:
                for table in sa.inspect(connection).get_table_names():
                    connection.exec_driver_sql(f"TRUNCATE {table}")
            return Ledger(postgres)

    engine = sa.create_engine(postgres)
    quick = settings(max_examples=6, stateful_step_count=15, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(OnPostgres, settings=quick)
    engine.dispose()
    assert OnPostgres.runs > 1


def test_plain_url_takes_the_driver_that_dagster_takes(postgres: str):
    with Ledger(postgres.replace("+psycopg2", "")) as ledger:
        ledger.commit("c", receipt())
        assert ledger.receipts("c") == [receipt()]
        assert "nrd-test" not in ledger.url


def test_odd_characters(postgres: str):
    with Ledger(postgres) as ledger:
        kept = ledger.fail("c", failure())
        assert ledger.failures("c") == [kept]
        ledger.versions("c")["k"].uri.encode()


def test_many_open_it_for_the_first_time_and_count_together(postgres: str):
    used = UsageRow(document="k", run_id="r", stage="embed", engine="", usage=Usage(tokens=1))
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with Ledger(postgres) as ledger:
                for _ in range(10):
                    ledger.fail("c", failure())
                    ledger.record_usage("c", [used])
        except Exception as error:  # noqa: BLE001 - a thread's error would be lost
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Ledger(postgres) as ledger:
        assert ledger.failures("c")[0].attempts == 40
        assert ledger.usage("c")[0].usage.tokens == 40


def test_one_of_many_gets_the_lease(postgres: str):
    won: list[str] = []

    def work(owner: str) -> None:
        with Ledger(postgres) as ledger:
            if ledger.claim("c", "k", owner, 600):
                won.append(owner)

    threads = [threading.Thread(target=work, args=(f"o{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Ledger(postgres) as ledger:
        assert [ledger.holder("c", "k")] == won
        assert ledger.claim("c", "k2", "short", 0.01)
        while ledger.holder("c", "k2"):
            pass
        assert ledger.claim("c", "k2", "heir", 60)


def test_lost_connection_is_mended_by_the_next_call(postgres: str):
    with Ledger(postgres) as ledger:
        ledger.commit("c", receipt())
        engine = sa.create_engine(postgres)
        with engine.begin() as connection:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            connection.exec_driver_sql(others)
        engine.dispose()
        assert ledger.receipts("c") == [receipt()]


def test_damaged_row_is_found(postgres: str):
    with Ledger(postgres) as ledger:
        ledger.commit("c", receipt())
        engine = sa.create_engine(postgres)
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE nrd_receipts SET body = replace(body, '\"rows\":1', '\"rows\":7')")
        engine.dispose()
        with pytest.raises(LedgerDamagedError, match="nrd_receipts"):
            ledger.receipts("c")


def test_wrong_password_is_named_and_not_shown(postgres: str):
    with pytest.raises(StorageError) as caught:
        Ledger(postgres.replace("nrd-test", "wrong-password"))
    assert "wrong-password" not in str(caught.value)
    assert "password authentication failed" in str(caught.value)


def test_missing_database_is_named(postgres: str):
    with pytest.raises(StorageError, match="does not exist"):
        Ledger(postgres.rpartition("/")[0] + "/nowhere")


def test_a_process_takes_few_connections_and_its_threads_take_turns(postgres: str):
    won: list[bool] = []
    engine = sa.create_engine(postgres, isolation_level="AUTOCOMMIT")  # a transaction sees one state of the server
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with Ledger(postgres) as ledger, engine.connect() as outside:
        outside.execute(sa.select(sa.func.pg_advisory_lock(_number("c", ""))))
        work = [threading.Thread(target=lambda k=f"k{n}": won.append(ledger.claim("c", k, "o", 60))) for n in range(12)]
        for thread in work:
            thread.start()
        while outside.exec_driver_sql(f"{others} AND wait_event = 'advisory'").scalar_one() < 4:
            pass
        outside.execute(sa.select(sa.func.pg_advisory_unlock(_number("c", ""))))
        for thread in work:
            thread.join()
        assert outside.exec_driver_sql(others).scalar_one() == 4
    engine.dispose()
    assert won == [True] * 12
