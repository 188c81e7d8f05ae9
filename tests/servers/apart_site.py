"""A deployment of several machines, as far as one machine can be several: nothing is shared but servers.

`deploy/dagster.server.yaml` in three home folders, Dagster's storage and the ledger on PostgreSQL, documents, stage
results, hand-overs and logs on S3, rows on a Milvus server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import yaml
from servers.dagster_site import REPOSITORY, Site, deployed
from servers.milvus_server import started
from servers.s3 import KEY, S3, SECRET
from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DEFINITIONS = """
import dagster as dg
from dagster_aws.s3 import S3PickleIOManager, S3Resource
from nemo_retriever_dagster import DocumentCorpus, Ingestor

notes = DocumentCorpus(
    name="notes",
    source="s3://{bucket}/documents",
    pipeline=Ingestor().extract().split().embed().vdb_upload(collection_name="notes"),
    workers=1,
)
hand_over = S3PickleIOManager(s3_resource=S3Resource(), s3_bucket="{bucket}", s3_prefix="handed-over")
defs = notes.definitions(resources={{"nrd_io_manager": hand_over}})
"""


@dataclass(frozen=True)
class ApartSite(Site):
    """``s3`` holds the documents, ``ledger_url`` and ``milvus_uri`` are the servers'."""

    s3: S3
    ledger_url: str
    milvus_uri: str


@pytest.fixture
def apart_site(tmp_path: Path, postgres: str, s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApartSite]:
    """The deployment; its bucket has no documents, and nothing has been run yet."""
    url = make_url(postgres)
    config = yaml.safe_load((REPOSITORY / "deploy/dagster.server.yaml").read_text())
    config["storage"]["postgres"]["postgres_db"]["port"] = url.port
    config["run_monitoring"]["poll_interval_seconds"] = 2
    homes = [tmp_path / name for name in ("home", "home-of-the-webserver", "home-of-the-daemon")]
    for home in homes:
        home.mkdir()
        (home / "dagster.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "code_location.py").write_text(_DEFINITIONS.format(bucket=s3.bucket))
    with started() as milvus:
        environment = {
            "DAGSTER_PG_HOST": str(url.host),
            "DAGSTER_PG_USER": str(url.username),
            "DAGSTER_PG_PASSWORD": str(url.password),
            "DAGSTER_PG_DB": str(url.database),
            "DAGSTER_LOG_BUCKET": s3.bucket,
            "DAGSTER_EVENT_BATCH_SIZE": "40",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": s3.endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "NRD_LEDGER_URL": postgres,
            "NRD_ARTIFACTS_URI": f"s3://{s3.bucket}/artifacts",
            "NRD_MILVUS_URI": milvus.uri,
            "NRD_STATE_DIR": str(tmp_path / "nothing-is-kept-here"),
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with deployed(tmp_path, homes, environment) as running:
            yield ApartSite(running.root, running.url, running.selector, s3, postgres, milvus.uri)
