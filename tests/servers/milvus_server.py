"""A real Milvus server without containers, that nothing outside this process can reach.

The PyPI package ``milvus`` (2.3.5) holds the whole server binary, but listens on all interfaces and on fixed ports. So it
runs in a network namespace of its own, where only a loopback exists, and a relay inside that namespace carries a Unix socket
in a private folder to it: `MilvusServer.uri` is ``unix:<path>``, which pymilvus takes. The namespace, the process
namespace and everything in them end with this process, killed or not.

The server is installed into its own environment: ``NRD_MILVUS_VENV`` names one, otherwise it is made in the cache folder at
the first use. `MilvusServer.start` raises `CannotStart` with the reason where any of this is impossible.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PORT = 19540
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


class CannotStart(RuntimeError):  # noqa: N818 - reads as the reason of a skip
    """This machine cannot run the server; the message says why."""


class MilvusServer:
    """A server in its own namespaces, from `start` to `stop`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nrd-milvus-"))
        self.uri = f"unix:{self.folder / 'milvus.sock'}"
        self.log = self.folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> MilvusServer:
        python = environment()
        prefix = namespace_command()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*prefix, str(python), __file__, str(self.folder), str(_cache())],
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
    import socket

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


def _inside(folder: Path, cache: Path) -> None:
    from milvus import MilvusServer as Binary

    _loopback_up()
    (cache / "bin").mkdir(parents=True, exist_ok=True)  # unpacked once (about 500 MB), for all later starts
    base = folder / "base"
    base.mkdir()
    (base / "bin").symlink_to(cache / "bin")
    os.environ.update(_QUICK)
    server = Binary()
    server.set_base_dir(str(base))
    server.listen_port = PORT
    server.start()
    asyncio.run(_relay(folder))


if __name__ == "__main__":
    _inside(Path(sys.argv[1]), Path(sys.argv[2]))
