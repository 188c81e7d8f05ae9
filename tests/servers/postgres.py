"""A PostgreSQL server on loopback from Debian's binaries, one for the whole test session; a fresh database for each test."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from servers.process import free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "nrd"
PASSWORD = "nrd-test"


def binaries() -> Path | None:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _version(path: Path) -> int:
    return int(re.sub(r"\D", "", path.parent.parent.name) or 0)


def _account() -> str | None:
    """PostgreSQL refuses to run as root: become somebody else."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


def _await(programs: Path, port: int) -> None:
    """The port answers before the server lets anybody in."""
    for _ in range(600):
        ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        if subprocess.run(ready, check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise RuntimeError("PostgreSQL does not become ready")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of the server, without a database."""
    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL's binaries are not installed: apt-get install postgresql")
    account = _account()
    # Not below pytest's own folder: that is closed to other accounts.
    folder = Path(tempfile.mkdtemp(prefix="nrd-postgres-"))
    try:
        if account:
            shutil.chown(folder, account)
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        data = folder / "data"
        make = [
            str(programs / "initdb"),
            "-D",
            str(data),
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            f"--pwfile={secret}",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        subprocess.run(make, check=True, user=account, capture_output=True, cwd=folder)
        port = free_port()
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder)]
        with serving(command, port, folder / "log", user=account, gentle=signal.SIGINT):
            _await(programs, port)
            yield f"postgresql+psycopg2://{USER}:{PASSWORD}@127.0.0.1:{port}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[str]:
    """The URL of a fresh database."""
    psycopg2 = pytest.importorskip("psycopg2")
    name = f"test_{uuid.uuid4().hex[:12]}"

    def run(statement: str) -> None:
        connection = psycopg2.connect(postgres_server.replace("+psycopg2", "") + "/postgres")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()

    run(f"CREATE DATABASE {name}")
    yield f"{postgres_server}/{name}"
    run(f"DROP DATABASE {name} WITH (FORCE)")
