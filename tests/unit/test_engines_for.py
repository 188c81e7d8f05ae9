"""Which engines a pipeline runs with: those its tasks name, then the environment's, then the local ones."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from nemo_retriever_dagster import EnginesResource, Ingestor, NimResource, Settings
from nemo_retriever_dagster.engines.local import MiniLmEmbedder, SphinxTranscriber
from nemo_retriever_dagster.engines.nim import NimEmbedder, NimTranscriber, RivaTranscriber
from nemo_retriever_dagster.equip import engines_for
from nemo_retriever_dagster.errors import InvalidOptionError


@pytest.fixture
def settings() -> Settings:
    return Settings(_env_file=None, nvidia_api_key="nvapi-environment")


def transcriber(settings: Settings, **params: Any) -> Any:
    return engines_for(Ingestor().extract(extract_audio_params=params).pipeline, settings).transcriber


def test_speech_is_written_down_where_the_audio_parameters_say(settings: Settings) -> None:
    assert isinstance(transcriber(settings, segment_audio=True), SphinxTranscriber)
    http = transcriber(settings, http_endpoint="http://audio:9000", auth_token="t")
    assert isinstance(http, NimTranscriber)
    assert http.endpoint.targets == ("http://audio:9000/v1/audio/transcriptions",)
    assert http.endpoint.api_key == SecretStr("t")


def test_riva_is_called_with_function_and_token(settings: Settings) -> None:
    pytest.importorskip("riva.client.proto.riva_asr_pb2_grpc")
    named = transcriber(
        settings, grpc_endpoint="grpc.nvcf.nvidia.com:443", auth_token="t", function_id="f", use_ssl=True
    )
    assert isinstance(named, RivaTranscriber)
    assert named.endpoint.targets == ("https://grpc.nvcf.nvidia.com:443",)
    assert (named.endpoint.api_key, named.endpoint.function_id) == (SecretStr("t"), "f")
    hosted = transcriber(settings, function_id="f")
    assert hosted.endpoint.targets == named.endpoint.targets
    assert hosted.endpoint.api_key == SecretStr("nvapi-environment")


def test_the_environments_transcriber_is_called_as_the_parameters_say() -> None:
    pytest.importorskip("riva.client.proto.riva_asr_pb2_grpc")
    settings = Settings(_env_file=None, audio_grpc_endpoint="audio:50051", audio_function_id="f")
    endpoint = transcriber(settings, auth_token="t").endpoint
    assert (endpoint.targets, endpoint.api_key, endpoint.function_id) == (("http://audio:50051",), SecretStr("t"), "f")


def test_a_token_for_a_transcriber_that_is_nowhere_is_refused(settings: Settings) -> None:
    with pytest.raises(InvalidOptionError, match=r"do not say where the transcriber is\. Give grpc_endpoint"):
        transcriber(settings, auth_token="t")


def test_the_local_model_makes_vectors_of_its_own_length_only(settings: Settings) -> None:
    with pytest.raises(InvalidOptionError, match=r"dimensions is 128; .*makes 384\. Leave it out, set it to 384"):
        engines_for(Ingestor().embed(dimensions=128).pipeline, settings)
    for options in ({}, {"dimensions": 384}):
        assert isinstance(engines_for(Ingestor().embed(**options).pipeline, settings).embedder, MiniLmEmbedder)


def test_a_nim_is_asked_for_vectors_as_long_as_wanted(settings: Settings) -> None:
    task = Ingestor().embed(endpoint_url="http://e/v1", dimensions=128).pipeline
    assert engines_for(task, settings).embedder.dimension == 128


@pytest.mark.parametrize(("own", "length"), [(0, 128), (256, 256)])
def test_the_nim_of_a_resource_is_asked_too_unless_it_says_so_itself(settings: Settings, own: int, length: int) -> None:
    engines = EnginesResource(embedder=NimResource(urls="http://e/v1", dimensions=own))
    made = engines.engines(Ingestor().embed(dimensions=128).pipeline, settings)
    assert isinstance(made.embedder, NimEmbedder)
    assert made.embedder.dimension == length
