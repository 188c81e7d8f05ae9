"""What the surroundings decide: where state is kept, which services are used, and their keys.

Read from the environment and from a ``.env`` file in the working folder. Our own names carry the prefix ``NRD_``; names
that NeMo Retriever's users already have in their environment are read as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from nemo_retriever_dagster.errors import InvalidOptionError

_PORTS = {
    "embedder": "embedding_nim",
    "reranker": "reranker_nim",
    "captioner": "vlm_caption",
    "page_elements": "yolox",
    "table_structure": "yolox_table_structure",
    "graphic_elements": "yolox_graphic_elements",
    "ocr": "ocr",
    "page_parser": "nemotron_parse",
    "transcriber": "audio",
}
"""Engine port -> how its variables begin."""


def _named(name: str, default: Any = None) -> Any:
    """Read the field from the variable ``name``, without a prefix; also accept it under the field's own name."""
    return Field(default=default, validation_alias=AliasChoices(name, name.lower()))


class Settings(BaseSettings):
    """The surroundings. ``Settings()`` reads them; keyword arguments override single ones.

    `InvalidOptionError` names a variable that cannot be what it is set to, without its value, which may be a secret.
    """

    model_config = SettingsConfigDict(
        env_prefix="NRD_",
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    state_dir: Path = Path(".nemo_retriever")
    ledger_url: str = ""
    artifacts_uri: str = ""
    artifacts_options: dict[str, Any] = Field(default_factory=dict, repr=False)
    milvus_uri: str = "milvus.db"
    milvus_token: SecretStr | None = None
    models_dir: Path | None = None
    ocr_engine: Literal["rapidocr", "tesseract", "auto"] = "rapidocr"

    nvidia_api_key: SecretStr | None = _named("NVIDIA_API_KEY")
    ngc_api_key: SecretStr | None = _named("NGC_API_KEY")

    image_storage_uri: str | None = _named("IMAGE_STORAGE_URI")
    image_storage_public_base_url: str | None = _named("IMAGE_STORAGE_PUBLIC_BASE_URL")
    minio_bucket: str = _named("MINIO_BUCKET", "nv-ingest")
    minio_access_key: str | None = _named("MINIO_ACCESS_KEY")
    minio_secret_key: SecretStr | None = _named("MINIO_SECRET_KEY")
    minio_session_token: SecretStr | None = _named("MINIO_SESSION_TOKEN")
    minio_internal_address: str | None = _named("MINIO_INTERNAL_ADDRESS")
    minio_region: str | None = _named("MINIO_REGION")

    embedding_nim_endpoint: str | None = _named("EMBEDDING_NIM_ENDPOINT")
    embedding_nim_model_name: str | None = _named("EMBEDDING_NIM_MODEL_NAME")
    reranker_nim_endpoint: str | None = _named("RERANKER_NIM_ENDPOINT")
    reranker_nim_model_name: str | None = _named("RERANKER_NIM_MODEL_NAME")
    vlm_caption_endpoint: str | None = _named("VLM_CAPTION_ENDPOINT")
    vlm_caption_model_name: str | None = _named("VLM_CAPTION_MODEL_NAME")
    vlm_caption_prompt: str | None = _named("VLM_CAPTION_PROMPT")
    vlm_caption_system_prompt: str | None = _named("VLM_CAPTION_SYSTEM_PROMPT")
    yolox_http_endpoint: str | None = _named("YOLOX_HTTP_ENDPOINT")
    yolox_table_structure_http_endpoint: str | None = _named("YOLOX_TABLE_STRUCTURE_HTTP_ENDPOINT")
    yolox_graphic_elements_http_endpoint: str | None = _named("YOLOX_GRAPHIC_ELEMENTS_HTTP_ENDPOINT")
    ocr_http_endpoint: str | None = _named("OCR_HTTP_ENDPOINT")
    ocr_model_name: str | None = _named("OCR_MODEL_NAME")
    nemotron_parse_http_endpoint: str | None = _named("NEMOTRON_PARSE_HTTP_ENDPOINT")
    nemotron_parse_model_name: str | None = _named("NEMOTRON_PARSE_MODEL_NAME")
    audio_grpc_endpoint: str | None = _named("AUDIO_GRPC_ENDPOINT")
    audio_function_id: str | None = _named("AUDIO_FUNCTION_ID")
    model_predownload_path: Path | None = _named("MODEL_PREDOWNLOAD_PATH")
    save_to_disk_directory: Path | None = _named("NV_INGEST_CLIENT_SAVE_TO_DISK_OUTPUT_DIRECTORY")

    def __init__(self, **given: Any) -> None:
        """Read the environment and ``.env``; ``given`` fields win."""
        try:
            super().__init__(**given)
        except (ValidationError, SettingsError, OSError, UnicodeDecodeError) as error:
            hint = "Correct it in the environment, or in the file .env of this folder."
            raise InvalidOptionError(_refused(error), hint=hint) from None

    @property
    def ledger(self) -> str:
        """The ledger's URL: ``ledger_url``, or a SQLite file in the state folder."""
        return self.ledger_url or f"sqlite:///{self.state_dir.absolute() / 'ledger.db'}"

    @property
    def artifacts(self) -> str:
        """Where artifacts are kept: ``artifacts_uri``, or a folder in the state folder."""
        return self.artifacts_uri or str(self.state_dir / "artifacts")

    @property
    def api_key(self) -> SecretStr | None:
        """The key for hosted engines."""
        return self.nvidia_api_key or self.ngc_api_key

    def endpoints(self) -> dict[str, dict[str, Any]]:
        """Return what the environment says of each engine port: ``urls``, ``api_key`` and what else is named.

        A port is there only if its endpoint is: a key alone sends no document anywhere.
        """
        found: dict[str, dict[str, Any]] = {}
        for port, start in _PORTS.items():
            names = (f"{start}_endpoint", f"{start}_http_endpoint", f"{start}_grpc_endpoint")
            url = next((value for name in names if (value := getattr(self, name, None))), None)
            if url:
                model = getattr(self, f"{start}_model_name", None)
                found[port] = {"urls": url, "api_key": self.api_key, **({"model": model} if model else {})}
        if "transcriber" in found and self.audio_function_id:
            found["transcriber"]["function_id"] = self.audio_function_id
        if "captioner" in found:
            found["captioner"] |= self._prompts()
        return found

    def _prompts(self) -> dict[str, str]:
        prompts = {"prompt": self.vlm_caption_prompt, "system_prompt": self.vlm_caption_system_prompt}
        return {name: text for name, text in prompts.items() if text}

    def minio_options(self) -> dict[str, Any]:
        """Return fsspec options for ``s3://`` from the ``MINIO_*`` variables; the unset is left to S3's own rules."""
        address = self.minio_internal_address or ""
        if address and "://" not in address:
            address = f"http://{address}"
        client = {"endpoint_url": address or None, "region_name": self.minio_region}
        options = {
            "key": self.minio_access_key,
            "secret": _open(self.minio_secret_key),
            "token": _open(self.minio_session_token),
            "client_kwargs": {name: value for name, value in client.items() if value} or None,
        }
        return {name: value for name, value in options.items() if value}


def _refused(error: ValidationError | SettingsError | OSError | UnicodeDecodeError) -> str:
    """Say what is wrong with the surroundings without showing any value of theirs."""
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        return f"The variable NRD_{str(first['loc'][0]).upper()} cannot be used: {first['msg']}."
    if isinstance(error, SettingsError):  # a value that is no JSON; the message names the field only
        return f"The surroundings cannot be read: {error}; it takes a JSON object."
    return f"The file .env cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}."


def _open(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
