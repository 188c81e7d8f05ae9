"""Options as the reference spells them: every one is honoured, warned about or refused, none is swallowed."""

import warnings

import pytest
from pydantic import SecretStr

from nemo_retriever_dagster import Ingestor
from nemo_retriever_dagster.audio_params import AudioParams
from nemo_retriever_dagster.errors import InvalidOptionError, UnknownOptionError
from nemo_retriever_dagster.pipeline import Pipeline, public
from nemo_retriever_dagster.tasks import DedupTask, EmbedTask, ExtractTask


def pipeline(ingestor: Ingestor) -> Pipeline:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return ingestor.pipeline


@pytest.mark.parametrize(
    ("method", "given", "task", "option", "value"),
    [
        ("caption", {"caption_prompt": "Say"}, "caption", "prompt", "Say"),
        ("caption", {"caption_system_prompt": "/no_think"}, "caption", "system_prompt", "/no_think"),
        ("dedup", {"prefer_structured": False}, "dedup", "bbox_dedup_prefer_structured", False),
        ("embed", {"filter_errors": True, "dimensions": 64}, "embed", "dimensions", 64),
        ("embed", {"image_elements_modality": None}, "embed", "image_elements_modality", "text"),
        ("embed", {"embed_image_elements": None}, "embed", "embed_image_elements", True),
        ("embed", {"embed_audio_elements": None}, "embed", "embed_audio_elements", True),
        ("caption", {"context_text_max_chars": None}, "caption", "context_text_max_chars", 0),
        ("store", {"params": {"storage_uri": "memory://p"}, "images": True}, "store", "storage_uri", "memory://p"),
        ("extract", {"extract_images_method": "yolox"}, "extract", "extract_images_method", "group"),
        ("extract", {"extract_audio_params": {"segment_audio": True}}, "extract", "segment_audio", True),
        ("extract", {"extract_audio_params": {"segment_audio": None}}, "extract", "segment_audio", False),
        ("extract", {"extract_audio_params": None, "extract_tables_method": "paddle"}, "extract", "auto_dedup", True),
        (
            "extract",
            {"extract_images_params": {"a": 1}, "page_image_max_dimension": 512},
            "extract",
            "auto_dedup",
            True,
        ),
        ("extract", {"auto_dedup": False}, "extract", "auto_dedup", False),
    ],
)
def test_another_name_for_the_same_thing(method: str, given: dict, task: str, option: str, value: object) -> None:
    ingestor = getattr(Ingestor(), method)(**given)
    assert getattr(getattr(pipeline(ingestor), task), option) == value


@pytest.mark.parametrize(
    ("method", "given", "task", "option", "value"),
    [
        ("extract", {"paddle_output_format": "simple"}, "extract", "table_output_format", "simple"),
        ("embed", {"text": False}, "embed", "embed_text_elements", False),
        ("embed", {"tables": False}, "embed", "embed_structured_elements", False),
        ("store", {"store_method": "minio", "images": True, "storage_uri": "memory://p"}, "store", "images", True),
    ],
)
def test_a_deprecated_name_works_and_warns_where_it_is_written(
    method: str, given: dict, task: str, option: str, value: object
) -> None:
    with pytest.warns(DeprecationWarning, match=" ") as caught:
        ingestor = getattr(Ingestor(), method)(**given)
    assert [warning.filename for warning in caught] == [__file__]
    assert getattr(getattr(pipeline(ingestor), task), option) == value


def test_two_names_that_differ_are_refused() -> None:
    with pytest.raises(InvalidOptionError, match=r"caption_prompt and prompt, and they differ"):
        Ingestor().caption(prompt="One", caption_prompt="Two")
    assert pipeline(Ingestor().caption(prompt="One", caption_prompt="One")).caption.prompt == "One"


def test_what_cannot_be_honoured_is_refused() -> None:
    with pytest.raises(InvalidOptionError, match="custom_content_field"):
        Ingestor().embed(custom_content_field="summary")
    with pytest.raises(UnknownOptionError, match="prefer_structurd"):
        Ingestor().dedup(prefer_structurd=True)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"grpc_endpoint": "audio:50051"}, "audio:50051"),
        ({"grpc_endpoint": "audio:50051", "http_endpoint": "http://audio:9000"}, "audio:50051"),
        ({"grpc_endpoint": "audio:50051", "infer_protocol": "grpc", "use_ssl": True}, "https://audio:50051"),
        ({"grpc_endpoint": "http://audio:50051", "use_ssl": True}, "https://audio:50051"),
        ({"http_endpoint": "audio:9000"}, "audio:9000/v1/audio/transcriptions"),
        ({"http_endpoint": "http://a/v1/", "infer_protocol": "http"}, "http://a/v1/audio/transcriptions"),
        (
            {"http_endpoint": "http://a/v2/audio/x", "grpc_endpoint": "b", "infer_protocol": "http"},
            "http://a/v2/audio/x",
        ),
        ({"function_id": "f"}, ""),
    ],
)
def test_the_transcriber_is_where_the_audio_parameters_say(given: dict, url: str) -> None:
    params = pipeline(Ingestor().extract(extract_audio_params=given)).extract.extract_audio_params
    assert (params.url, params.names_server) == (url, True)


def test_a_misspelt_audio_parameter_names_the_nearest() -> None:
    with pytest.raises(
        UnknownOptionError, match=r"extract\(extract_audio_params=\.\.\.\) has no option 'segment_audi'"
    ) as it:
        Ingestor().extract(extract_audio_params={"segment_audi": True})
    assert it.value.hint == "Did you mean 'segment_audio'?"


def test_where_speech_is_written_down_is_no_part_of_the_extraction() -> None:
    plain, named = ExtractTask(), ExtractTask(extract_audio_params=AudioParams(grpc_endpoint="a:1", auth_token="t"))
    assert public(plain) == public(named)


def test_secrets_are_not_shown() -> None:
    audio = {"auth_token": "nvapi-2", "grpc_endpoint": "a:1"}
    made = pipeline(
        Ingestor()
        .extract(extract_audio_params=audio)
        .embed(api_key="nvapi-1")
        .vdb_upload(password="pw-1", secret_key="sk-1")
    )
    assert made.embed.api_key == SecretStr("nvapi-1")
    assert made.extract.extract_audio_params.auth_token == SecretStr("nvapi-2")
    shown = repr(made) + repr(made.extract.extract_audio_params)
    assert not [word for word in ("nvapi-1", "nvapi-2", "pw-1", "sk-1") if word in shown]


def test_tuning_reaches_the_index() -> None:
    made = pipeline(Ingestor().embed().vdb_upload(m=16, ef_construction=100, no_wait_index=True, meta_fields=["a"]))
    assert made.upload.index_params == {"m": 16, "ef_construction": 100}
    assert made.upload.meta_fields == ("a",)


@pytest.mark.parametrize(
    ("extract", "expected"),
    [
        ({}, True),
        ({"extract_images": False}, False),
        ({"extract_images": True}, True),
        ({"extract_images": True, "auto_dedup": False}, False),
        (
            {
                "extract_images": True,
                "extract_tables": False,
                "extract_charts": False,
                "extract_infographics": False,
            },
            False,
        ),
    ],
)
def test_pictures_that_are_tables_or_charts_are_left_out_unasked(extract: dict, expected: bool) -> None:
    made = Pipeline(extract=ExtractTask(**extract))
    assert made.dedup == (DedupTask(repeats=False) if expected else None)


def test_dedup_that_is_asked_for_is_taken_as_it_is() -> None:
    assert Pipeline(extract=ExtractTask(extract_images=True), dedup=DedupTask(filter=False)).dedup.filter is False


@pytest.mark.parametrize(
    ("page_images", "given", "expected"),
    [
        (False, {}, (False, True, True)),
        (True, {}, (False, True, True)),
        (True, {"image_elements_modality": "text_image"}, (True, False, False)),
        (False, {"image_elements_modality": "text_image"}, (False, True, True)),
        (True, {"image_elements_modality": "text_image", "embed_text_elements": True}, (True, True, False)),
        (True, {"image_elements_aggregate_page_content": True}, (True, False, False)),
        (
            True,
            {"image_elements_modality": "text_image", "image_elements_aggregate_page_content": False},
            (False, True, True),
        ),
    ],
)
def test_page_images_stand_for_their_pages_where_pictures_are_embedded_with_text(
    page_images: bool, given: dict, expected: tuple[bool, bool, bool]
) -> None:
    task = EmbedTask(**given).resolved(page_images=page_images)
    decided = (task.image_elements_aggregate_page_content, task.embed_text_elements, task.embed_structured_elements)
    assert decided == expected
