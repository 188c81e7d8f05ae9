"""Settings: names of the environment, of the file, and keys that are never shown."""

from pathlib import Path

import pytest

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.settings import Settings


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of this machine and no .env of its folders."""
    for field, info in Settings.model_fields.items():
        for name in {f"NRD_{field}".upper(), *getattr(info.validation_alias, "choices", [])}:
            monkeypatch.delenv(str(name), raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults_need_nothing(tmp_path: Path):
    settings = Settings()
    assert settings.state_dir == Path(".nemo_retriever")
    assert settings.ledger == f"sqlite:///{tmp_path}/.nemo_retriever/ledger.db"
    assert settings.artifacts == ".nemo_retriever/artifacts"
    assert settings.milvus_uri == "milvus.db"
    assert settings.api_key is None
    assert settings.endpoints() == {}
    assert settings.minio_options() == {}


def test_own_names_carry_a_prefix(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NRD_STATE_DIR", "/srv/state")
    monkeypatch.setenv("NRD_LEDGER_URL", "postgresql+psycopg2://h/d")
    monkeypatch.setenv("NRD_ARTIFACTS_URI", "s3://b/artifacts")
    monkeypatch.setenv("NRD_ARTIFACTS_OPTIONS", '{"key": "k"}')
    monkeypatch.setenv("NRD_MODELS_DIR", "/srv/models")
    monkeypatch.setenv("NRD_OCR_ENGINE", "tesseract")
    monkeypatch.setenv("LEDGER_URL", "sqlite:///not-ours")
    settings = Settings()
    assert (settings.models_dir, settings.ocr_engine) == (Path("/srv/models"), "tesseract")
    assert (settings.ledger, settings.artifacts) == ("postgresql+psycopg2://h/d", "s3://b/artifacts")
    assert settings.artifacts_options == {"key": "k"}


def test_names_of_the_reference_are_read_as_they_are(monkeypatch: pytest.MonkeyPatch):
    names = {
        "NVIDIA_API_KEY": "nvapi-1",
        "EMBEDDING_NIM_ENDPOINT": "http://embed/v1",
        "EMBEDDING_NIM_MODEL_NAME": "e5",
        "YOLOX_HTTP_ENDPOINT": "http://pages/v1/infer",
        "AUDIO_GRPC_ENDPOINT": "audio:50051",
        "IMAGE_STORAGE_URI": "s3://b/i",
        "VLM_CAPTION_PROMPT": "What is this?",
        "NV_INGEST_CLIENT_SAVE_TO_DISK_OUTPUT_DIRECTORY": "/out",
        "RERANKER_NIM_ENDPOINT": "",
    }
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    found = settings.endpoints()
    assert sorted(found) == ["embedder", "page_elements", "transcriber"]
    assert found["embedder"]["urls"] == "http://embed/v1"
    assert found["embedder"]["model"] == "e5"
    assert "model" not in found["page_elements"]
    assert found["transcriber"]["urls"] == "audio:50051"
    assert found["embedder"]["api_key"].get_secret_value() == "nvapi-1"
    assert settings.image_storage_uri == "s3://b/i"
    assert settings.save_to_disk_directory == Path("/out")


def test_a_captioner_brings_its_prompts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VLM_CAPTION_PROMPT", "What is this?")
    monkeypatch.setenv("VLM_CAPTION_SYSTEM_PROMPT", "/think")
    assert "captioner" not in Settings().endpoints()
    monkeypatch.setenv("VLM_CAPTION_ENDPOINT", "http://vlm")
    found = Settings().endpoints()["captioner"]
    assert (found["prompt"], found["system_prompt"]) == ("What is this?", "/think")


def test_keys_are_never_shown(monkeypatch: pytest.MonkeyPatch):
    for name in ("NVIDIA_API_KEY", "NGC_API_KEY", "MINIO_SECRET_KEY", "MINIO_SESSION_TOKEN", "NRD_MILVUS_TOKEN"):
        monkeypatch.setenv(name, "canary-value")
    settings = Settings()
    assert "canary-value" not in repr(settings) + str(settings) + settings.model_dump_json() + repr(
        settings.endpoints()
    )
    assert settings.minio_options()["secret"] == "canary-value"


def test_ngc_key_stands_in(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NGC_API_KEY", "ngc")
    key = Settings().api_key
    assert key is not None
    assert key.get_secret_value() == "ngc"


@pytest.mark.parametrize(
    ("address", "url"), [("minio:9000", "http://minio:9000"), ("https://s3.local", "https://s3.local")]
)
def test_minio(monkeypatch: pytest.MonkeyPatch, address: str, url: str):
    monkeypatch.setenv("MINIO_INTERNAL_ADDRESS", address)
    monkeypatch.setenv("MINIO_ACCESS_KEY", "ak")
    monkeypatch.setenv("MINIO_SECRET_KEY", "sk")
    assert Settings().minio_options() == {"key": "ak", "secret": "sk", "client_kwargs": {"endpoint_url": url}}


def test_file_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".env").write_text("NRD_MILVUS_URI=http://milvus:19530\nEMBEDDING_NIM_ENDPOINT=http://e/v1\nOTHER=1\n")
    assert Settings().milvus_uri == "http://milvus:19530"
    assert "embedder" in Settings().endpoints()
    monkeypatch.setenv("NRD_MILVUS_URI", "other.db")
    assert Settings().milvus_uri == "other.db"


def test_arguments_win_and_wrong_values_are_refused():
    assert Settings(milvus_uri="mine.db", nvidia_api_key="k").milvus_uri == "mine.db"
    with pytest.raises(InvalidOptionError, match="NRD_OCR_ENGINE cannot be used"):
        Settings(ocr_engine="eyes")


def test_options_that_are_no_json_are_named_and_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NRD_ARTIFACTS_OPTIONS", '{"key": "se-cret"')
    with pytest.raises(InvalidOptionError, match=r'field "artifacts_options".*takes a JSON object') as caught:
        Settings()
    assert "se-cret" not in str(caught.value)
