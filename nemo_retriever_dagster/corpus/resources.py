"""Dagster resources: where state lies, where vectors go, which engines are used. Keys are given as ``EnvVar``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field, PrivateAttr

from nemo_retriever_dagster.equip import engines_for
from nemo_retriever_dagster.settings import Settings
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from nemo_retriever_dagster.engines.ports import Engines
    from nemo_retriever_dagster.pipeline import Pipeline
    from nemo_retriever_dagster.vdb.contract import VectorStore

ENGINES = "nrd_engines"
STORE = "nrd_vector_store"
STATE = "nrd_state"
RESOURCES = frozenset({ENGINES, STORE, STATE})


class StateResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where artifacts and the ledger are kept. Empty fields fall back to the environment and its defaults.

    Several machines need a shared ``artifacts_uri`` (s3://...) and a PostgreSQL ``ledger_url``.
    """

    state_dir: str = ""
    artifacts_uri: str = ""
    artifacts_options: dict[str, Any] = Field(default_factory=dict)
    ledger_url: str = ""

    def settings(self) -> Settings:
        """Return the surroundings with this resource's fields over them."""
        fields = {
            "state_dir": Path(self.state_dir) if self.state_dir else None,
            "artifacts_uri": self.artifacts_uri,
            "artifacts_options": self.artifacts_options,
            "ledger_url": self.ledger_url,
        }
        return Settings(**{name: value for name, value in fields.items() if value})


class MilvusResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Milvus: a path ending ``.db`` for Milvus Lite, a URL for a server. Empty: what the pipeline names."""

    uri: str = ""
    username: str = ""
    password: str = Field(default="", repr=False)
    token: str = Field(default="", repr=False)
    database: str = ""
    timeout: float = 60.0
    wait: float = Field(default=600.0, description="Seconds to wait for another run that holds Milvus Lite.")

    def open(self, pipeline: Pipeline, settings: Settings, *, what: str, run_id: str) -> VectorStore:
        """Return the store; it connects when it is first used, and the caller closes it."""
        task = pipeline.upload
        given = (task.milvus_uri if task else None) or settings.milvus_uri
        token = settings.milvus_token.get_secret_value() if settings.milvus_token else ""
        return MilvusStore(
            self.uri or given,
            username=self.username or (task.username if task else None) or "",
            password=self.password or (task.password.get_secret_value() if task and task.password else ""),
            token=self.token or token,
            database=self.database,
            timeout=self.timeout,
            wait=self.wait,
            what=what,
            run_id=run_id,
        )


class EnginesResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The engines of a corpus: local ones, or the NIMs that the pipeline and the environment name."""

    _engines: dict[int, Any] = PrivateAttr(default_factory=dict)

    def engines(self, pipeline: Pipeline, settings: Settings) -> Engines:
        """Return the engines for ``pipeline``; they are made once a process and keep their sessions."""
        key = id(pipeline)
        if key not in self._engines:
            self._engines[key] = engines_for(pipeline, settings)
        found: Engines = self._engines[key]
        return found
