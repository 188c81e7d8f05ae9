"""``extract(extract_audio_params=...)``: where speech is written down, as the reference spells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import SecretStr  # noqa: TC002 - types of options are read when they are checked

from nemo_retriever_dagster.errors import InvalidOptionError

_HTTP_ROUTE = "/audio/transcriptions"


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioParams:
    """Address and credentials of a transcriber; without an address they are those of the environment's.

    ``infer_protocol`` chooses where both addresses are given; gRPC is taken by default. ``segment_audio`` makes one
    element a sentence.
    """

    grpc_endpoint: str | None = None
    http_endpoint: str | None = None
    infer_protocol: Literal["grpc", "http"] | None = None
    auth_token: SecretStr | None = field(default=None, repr=False)
    function_id: str | None = None
    use_ssl: bool | None = None
    ssl_cert: str | None = None
    segment_audio: bool | None = None

    def __post_init__(self) -> None:
        """Check that what is chosen is there, and nothing is asked for that would be ignored."""
        if self.ssl_cert:
            hint = "Trust it for the process: GRPC_DEFAULT_SSL_ROOTS_FILE_PATH (gRPC) or SSL_CERT_FILE (HTTP) names it."
            raise InvalidOptionError("extract_audio_params: ssl_cert is not read.", hint=hint)
        if (self.infer_protocol or self.use_ssl) and not self._address:
            hint = f"Give {self._protocol}_endpoint, or leave them out."
            raise InvalidOptionError("extract_audio_params: infer_protocol and use_ssl need an address.", hint=hint)

    @property
    def _protocol(self) -> str:
        return self.infer_protocol or ("grpc" if self.grpc_endpoint or not self.http_endpoint else "http")

    @property
    def _address(self) -> str:
        named = self.grpc_endpoint if self._protocol == "grpc" else self.http_endpoint
        return (named or "").strip().rstrip("/")

    @property
    def url(self) -> str:
        """The address that is called, "" where none is named: that of gRPC, or the full one of the HTTP route."""
        address = self._address
        if self.use_ssl:
            address = f"https://{address.rpartition('://')[2]}"
        if not address or self._protocol == "grpc" or "/audio/" in address:
            return address
        return f"{address}{_HTTP_ROUTE}" if address.endswith("/v1") else f"{address}/v1{_HTTP_ROUTE}"

    @property
    def names_server(self) -> bool:
        """Whether anything says which server is called, or as whom."""
        return bool(self._address or self.auth_token or self.function_id)
