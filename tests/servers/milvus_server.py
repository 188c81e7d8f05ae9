"""A real Milvus server without containers, that nothing outside this process can reach.

The PyPI package ``milvus`` (2.3.5) holds the whole server binary, but listens on all interfaces and on fixed ports. So it
runs in a network namespace of its own, where only a loopback exists, and a relay inside that namespace carries a Unix socket
in a private folder to it: `MilvusServer.uri` is ``unix:<path>``, which pymilvus takes. The namespace, the process
namespace and everything in them end with this process, killed or not.

The server is installed into its own environment: ``NRD_MILVUS_VENV`` names one, otherwise it is made in the cache folder at
the first use. `MilvusServer.start` raises `CannotStart` with the reason where any of this is impossible.

Its bucket is a folder, or, with ``s3``, a bucket of an S3 server (s3rver) that runs in the namespace beside it. That one
keeps objects in `MilvusServer.objects`; another s3rver over the same folder, outside, is the same bucket for this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import http.server
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT = 19540
S3_PORT = 9000
BUCKET, S3_KEY = "a-bucket", "S3RVER"
START_SECONDS = 240.0
_PACKAGES = ("milvus==2.3.5", "setuptools<80")
# A Strong read waits for the next tick, a load for the next check: milliseconds, instead of 200 to 3000.
_QUICK = {
    "PROXY_TIMETICKINTERVAL": "10",
    "QUERYCOORD_CHECKINTERVAL": "50",
    "QUERYCOORD_CHECKCHANNELINTERVAL": "50",
    "QUERYCOORD_CHECKSEGMENTINTERVAL": "50",
    "QUERYCOORD_CHECKINDEXINTERVAL": "50",
    "QUERYCOORD_DISTPULLINTERVAL": "50",
}

_OF_ONE_LINK = {"content-length", "transfer-encoding", "connection", "keep-alive"}
_ON_S3 = {
    "COMMON_STORAGETYPE": "minio",
    "MINIO_ADDRESS": "127.0.0.1",
    "MINIO_PORT": str(S3_PORT),
    "MINIO_ACCESSKEYID": S3_KEY,
    "MINIO_SECRETACCESSKEY": S3_KEY,
    "MINIO_BUCKETNAME": BUCKET,
    "MINIO_REGION": "us-east-1",
}


class CannotStart(RuntimeError):  # noqa: N818 - reads as the reason of a skip
    """This machine cannot run the server; the message says why."""


class MilvusServer:
    """A server in its own namespaces, from `start` to `stop`. ``s3`` is the program of an S3 server, "" for none."""

    def __init__(self, s3: str = "") -> None:
        self._s3 = s3
        self.folder = Path(tempfile.mkdtemp(prefix="nrd-milvus-"))
        self.uri = f"unix:{self.folder / 'milvus.sock'}"
        self.log = self.folder / "server.log"
        self.objects = self.folder / "objects"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> MilvusServer:
        python = environment()
        prefix = namespace_command()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*prefix, str(python), __file__, str(self.folder), str(_cache()), self._s3],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not (self.folder / "ready").exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace")[-800:]
                self.stop()
                raise CannotStart(f"the Milvus server did not start: {tail}")
            time.sleep(0.2)
        return self

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()  # the relay inside ends, and with it the namespaces
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def started(s3: str = "") -> Iterator[MilvusServer]:
    """Hand out a running server; skip the test where this machine cannot run one."""
    import pytest  # not in the environment of the server, which runs this file too

    server = MilvusServer(s3=s3)
    try:
        server.start()
    except CannotStart as error:
        pytest.skip(f"no Milvus server: {error}")
    try:
        yield server
    finally:
        server.stop()


def namespace_command() -> list[str]:
    """Return the prefix that runs a command with its own network and processes."""
    options = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    reasons = []
    for extra in ([], ["--map-root-user"]):
        command = ["unshare", *extra, *options]
        try:
            tried = subprocess.run([*command, "true"], capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CannotStart(f"cannot run unshare: {error}") from error
        if tried.returncode == 0:
            return command
        reasons.append(tried.stderr.strip())
    raise CannotStart(f"no network namespace of its own ({'; '.join(reasons)})")


def _cache() -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "nemo_retriever_dagster" / "milvus-2.3.5"


def environment() -> Path:
    """Return the Python that has the server, installing it at the first use."""
    folder = Path(os.environ.get("NRD_MILVUS_VENV") or _cache() / "venv")
    python = folder / "bin" / "python"
    done = folder / ".complete"
    if python.exists() and (done.exists() or _has_server(python)):
        return python
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, capture_output=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_PACKAGES]
        subprocess.run(install, check=True, capture_output=True, timeout=600)
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", b"") or b""
        raise CannotStart(f"cannot install {_PACKAGES[0]}: {error} {detail.decode(errors='replace')[-300:]}") from error
    done.touch()
    return python


def _has_server(python: Path) -> bool:
    return subprocess.run([str(python), "-c", "import milvus"], capture_output=True, check=False).returncode == 0


# What follows runs inside the namespaces, in the server's own environment.


def _loopback_up() -> None:
    import fcntl

    set_flags, up_and_running = 0x8914, 0x1 | 0x40
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, set_flags, struct.pack("16sh14x", b"lo", up_and_running))


async def _relay(path: Path) -> None:
    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(2**18):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", PORT)
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    async with await asyncio.start_unix_server(serve, path=path / "milvus.sock"):
        (path / "ready").touch()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)  # first process of its namespace: the kernel ends all others


class _Plain(http.server.BaseHTTPRequestHandler):
    """Hands requests on to the S3 server, which does not know the signed chunks that Milvus writes objects in."""

    protocol_version = "HTTP/1.1"

    def _hand_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("X-Amz-Content-Sha256", "").startswith("STREAMING"):
            body = _unchunked(body)
            self.headers.replace_header("Content-Length", str(len(body)))
        link = http.client.HTTPConnection("127.0.0.1", S3_PORT + 1)
        link.request(self.command, self.path, body or None, dict(self.headers.items()))
        answer = link.getresponse()
        data = answer.read()
        self.send_response_only(answer.status, answer.reason)
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _OF_ONE_LINK]
        length = answer.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(data))
        for name, value in [*kept, ("Content-Length", length)]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        link.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _hand_on  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        pass


def _unchunked(body: bytes) -> bytes:
    parts, at = [], 0
    while at < len(body):
        line_end = body.index(b"\r\n", at)
        size = int(body[at:line_end].partition(b";")[0], 16)
        parts.append(body[line_end + 2 : line_end + 2 + size])
        at = line_end + 2 + size + 2
    return b"".join(parts)


def _serve_s3(program: str, objects: Path) -> None:
    command = [program, "-a", "127.0.0.1", "-p", str(S3_PORT + 1), "-d", str(objects), "--no-vhost-buckets"]
    legacy = {"NODE_OPTIONS": "--openssl-legacy-provider"}  # for the cipher of its continuation tokens
    subprocess.Popen([*command, "--configure-bucket", BUCKET], env={**os.environ, **legacy})
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", S3_PORT + 1), timeout=1):
            break
        time.sleep(0.1)
    front = http.server.ThreadingHTTPServer(("127.0.0.1", S3_PORT), _Plain)
    threading.Thread(target=front.serve_forever, daemon=True).start()


def _inside(folder: Path, cache: Path, s3: str) -> None:
    from milvus import MilvusServer as Binary

    _loopback_up()
    (cache / "bin").mkdir(parents=True, exist_ok=True)  # unpacked once (about 500 MB), for all later starts
    base = folder / "base"
    base.mkdir()
    (base / "bin").symlink_to(cache / "bin")
    os.environ.update(_QUICK)
    if s3:
        _serve_s3(s3, folder / "objects")
        os.environ.update(_ON_S3)
    server = Binary()
    server.set_base_dir(str(base))
    server.listen_port = PORT
    server.start()
    asyncio.run(_relay(folder))


if __name__ == "__main__":
    _inside(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
