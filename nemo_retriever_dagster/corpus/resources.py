"""Dagster resources: where state lies, where vectors go, which engines are used. Keys are given as ``EnvVar``."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import dagster as dg
from pydantic import Field, PrivateAttr, SecretStr

from nemo_retriever_dagster import portal
from nemo_retriever_dagster.engines.nim import NimEndpoint, RivaTranscriber, wait_ready
from nemo_retriever_dagster.engines.nim.base import NimClient
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.equip import engines_for
from nemo_retriever_dagster.errors import InvalidOptionError, Stage, redact
from nemo_retriever_dagster.settings import Settings
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nemo_retriever_dagster.pipeline import Pipeline
    from nemo_retriever_dagster.vdb.contract import VectorStore

ENGINES = "nrd_engines"
STORE = "nrd_vector_store"
STATE = "nrd_state"
IO_MANAGER = "nrd_io_manager"
"""What ops hand each other goes through it, so that a project's own ``io_manager`` gets assets and nothing else."""
RESOURCES = frozenset({ENGINES, STORE, STATE})


# Dagster's type argument of a resource is for one that stands for a plain value: ours have none.
class StateResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where artifacts and the ledger are kept. Empty fields fall back to the environment and its defaults.

    Several machines need a shared ``artifacts_uri`` (s3://...) and a PostgreSQL ``ledger_url``. Secrets in
    ``artifacts_options`` are given as ``EnvVar``, at any depth.
    """

    state_dir: str = Field(default="", description="Folder of ledger and artifacts where the next fields are empty.")
    artifacts_uri: str = Field(default="", description="Where results of stages are kept: a folder or fsspec URI.")
    artifacts_options: dict[str, Any] = Field(default_factory=dict, repr=False, description="For fsspec.")
    ledger_url: str = Field(default="", description="Of a database: postgresql+psycopg2://user:password@host/nrd.")

    def settings(self) -> Settings:
        """Return the surroundings with this resource's fields over them."""
        fields: dict[str, Any] = {
            "state_dir": Path(self.state_dir) if self.state_dir else None,
            "artifacts_uri": self.artifacts_uri,
            "artifacts_options": _resolved(self.artifacts_options),
            "ledger_url": self.ledger_url,
        }
        return Settings(**{name: value for name, value in fields.items() if value})


def _resolved(options: Any) -> Any:
    """Return options with the values of environment variables: Dagster does not look inside a mapping."""
    if isinstance(options, dg.EnvVar):
        return options.get_value()
    if not isinstance(options, dict):
        return options
    if options.keys() == {"env"}:
        return dg.EnvVar(options["env"]).get_value()
    return {name: _resolved(value) for name, value in options.items()}


class MilvusResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Milvus: a path ending ``.db`` for Milvus Lite, a URL for a server. Empty: what the pipeline names."""

    uri: str = Field(default="", description="Path ending .db, or URL of a server: http://milvus:19530/database.")
    username: str = ""
    password: str = Field(default="", repr=False)
    token: str = Field(default="", repr=False)
    database: str = ""
    timeout: float = Field(default=60.0, description="Seconds for one call of a server.")
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


class NimResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """One NIM: where it is and how hard it may be pressed. Times are seconds; see `NimEndpoint` for every field."""

    urls: str = Field(description="The address that is called; several equal ones separated by commas.")
    model: str = ""
    api_key: str = Field(default="", repr=False, description="For a hosted NIM; give it as EnvVar.")
    timeout: float = Field(default=60.0, description="For one attempt.")
    deadline: float = Field(default=300.0, description="For one request with all its attempts and waits.")
    concurrency: int = Field(default=8, description="Requests in flight at most.")
    batch: int = Field(default=0, description="Inputs a request; 0 for the NIM's own usual number.")
    rate_limit: float = Field(default=0.0, description="Requests a minute; 0 for no limit.")
    attempts: int = Field(default=5, description="Of one request; after that the op's retry policy takes over.")
    dimensions: int = Field(default=0, description="Length of an embedder's vectors; 0 for the model's own.")
    dialect: str = Field(default="", description="Variant of the protocol where URL and model do not tell it.")
    language: str = Field(default="en-US", description="Of the speech.")
    function_id: str = Field(default="", description="Of a hosted Riva function.")
    prompt: str = Field(default="", description="What a captioner is asked where the pipeline does not say.")
    system_prompt: str = Field(default="", description="The same for its system prompt.")

    def endpoint(self) -> NimEndpoint:
        """Return the endpoint; `InvalidOptionError` names a value that cannot be."""
        return NimEndpoint(
            urls=self.urls,
            model=self.model,
            api_key=SecretStr(self.api_key) if self.api_key else None,
            timeout=self.timeout,
            deadline=self.deadline,
            concurrency=self.concurrency,
            batch=self.batch,
            rate_limit=self.rate_limit,
            attempts=self.attempts,
            dimensions=self.dimensions,
            dialect=self.dialect,
            language=self.language,
            function_id=self.function_id,
            prompt=self.prompt,
            system_prompt=self.system_prompt,
        )


class EnginesResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The engines of a corpus, one field a port.

    An empty port has the NIM that the pipeline or the environment names, else the local engine.
    """

    # Dagster reads these annotations at run time and knows nested resources as Optional only.
    embedder: Optional[NimResource] = None  # noqa: UP045
    captioner: Optional[NimResource] = None  # noqa: UP045
    ocr: Optional[NimResource] = None  # noqa: UP045
    page_elements: Optional[NimResource] = None  # noqa: UP045
    table_structure: Optional[NimResource] = None  # noqa: UP045
    graphic_elements: Optional[NimResource] = None  # noqa: UP045
    page_parser: Optional[NimResource] = None  # noqa: UP045
    transcriber: Optional[NimResource] = None  # noqa: UP045
    ready_timeout: float = Field(default=60.0, description="Seconds to wait for the NIMs of an op before it begins.")

    _engines: dict[int, tuple[Pipeline, Engines]] = PrivateAttr(default_factory=dict)

    def engines(self, pipeline: Pipeline, settings: Settings) -> Engines:
        """Return the engines for ``pipeline``; they are made once a run and process, and keep their sessions."""
        key = id(pipeline)
        if key not in self._engines:
            self._engines[key] = (pipeline, self._make(pipeline, settings))
        return self._engines[key][1]

    def await_ready(self, engines: Engines, stages: Sequence[Stage]) -> None:
        """Return once the NIMs that ``stages`` call are ready; `EngineUnavailableError` names those that are not."""
        ports = {port for stage in stages for port in _CALLED.get(stage, ())}
        nims = {port: one for port, one in engines.all().items() if isinstance(one, NimClient | RivaTranscriber)}
        called = Engines(**{port: nim for port, nim in nims.items() if port in ports})  # type: ignore[arg-type] # each is of its port
        portal.run(wait_ready(called, timeout=self.ready_timeout))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the run's engines: their connections, sessions, processes."""
        del context
        made, self._engines = list(self._engines.values()), {}
        for _, engines in made:
            portal.run(engines.aclose())

    def _make(self, pipeline: Pipeline, settings: Settings) -> Engines:
        nims = {port: getattr(self, port) for port in _PORTS}
        endpoints = {port: nim.endpoint() for port, nim in nims.items() if nim is not None}
        return engines_for(pipeline, settings, endpoints)


_CALLED = {
    Stage.EXTRACT: ("ocr", "page_elements", "table_structure", "graphic_elements", "page_parser", "transcriber"),
    Stage.CAPTION: ("captioner",),
    Stage.EMBED: ("embedder",),
}
"""The ports that a stage calls."""
_PORTS = tuple(port for ports in _CALLED.values() for port in ports)
DEFAULTS: dict[str, Any] = {
    ENGINES: EnginesResource(),
    STORE: MilvusResource(),
    STATE: StateResource(),
    IO_MANAGER: dg.FilesystemIOManager(),
}
"""The resources of every corpus that is given no others: the same objects, so that definitions can be merged."""


@contextmanager
def initialized(resources: Mapping[str, Any], *keys: str) -> Iterator[tuple[Any, ...]]:
    """Hand out the resources of ``keys`` outside of a run, as a run would have them: each `EnvVar` has its value.

    `InvalidOptionError` names a variable that is not set.
    """
    with ExitStack() as stack:
        try:
            made = stack.enter_context(dg.build_resources({key: resources[key] for key in keys}))
        except dg.DagsterInvalidConfigError as error:
            said = redact(error.errors[0].message.partition("\n")[0])
            hint = "Set the environment variables that the fields of the resources name."
            raise InvalidOptionError(f"The resources cannot be made. {said}", hint=hint) from error
        yield tuple(getattr(made, key) for key in keys)
