"""An S3 server on loopback (s3rver), one for the whole test session; a fresh bucket for each test."""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from servers.process import free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = SECRET = "S3RVER"
INSTALL = "npm install --prefix tests/servers --no-package-lock"


@dataclass(frozen=True)
class S3:
    endpoint: str
    bucket: str

    @property
    def options(self) -> dict[str, Any]:
        return {
            "key": KEY,
            "secret": SECRET,
            "client_kwargs": {"endpoint_url": self.endpoint, "region_name": "us-east-1"},
        }

    @property
    def files(self) -> Any:
        return fsspec.filesystem("s3", **self.options)


def binary() -> str | None:
    beside = Path(__file__).parent / "node_modules" / ".bin" / "s3rver"
    return os.environ.get("NRD_TEST_S3RVER") or shutil.which("s3rver") or (str(beside) if beside.exists() else None)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = binary()
    if program is None:
        pytest.skip(f"s3rver is not installed: {INSTALL}")
    folder = tmp_path_factory.mktemp("s3")
    port = free_port()
    command = [program, "-a", "127.0.0.1", "-p", str(port), "-d", str(folder / "data"), "--no-vhost-buckets"]
    # Its continuation tokens use a cipher that OpenSSL 3 keeps in the legacy provider.
    with serving(command, port, folder / "log", environment={"NODE_OPTIONS": "--openssl-legacy-provider"}):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def s3(s3_server: str) -> Iterator[S3]:
    server = S3(s3_server, f"test-{uuid.uuid4().hex[:12]}")
    server.files.mkdir(server.bucket)
    yield server
    server.files.invalidate_cache()
    server.files.rm(server.bucket, recursive=True)
