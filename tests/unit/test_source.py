"""Documents from paths, folders, patterns, URIs and buffers: names, order, what is passed over, what is refused."""

import contextlib
import errno
import hashlib
import http.server
import os
import re
import socket
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import httpx
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from nemo_retriever_dagster.errors import (
    InvalidOptionError,
    LimitExceededError,
    MissingDependencyError,
    SourceNotFoundError,
    SourceUnavailableError,
    UnknownOptionError,
)
from nemo_retriever_dagster.limits import Limits
from nemo_retriever_dagster.source import KEY_PATTERN, Buffers, Source, partition_key
from nemo_retriever_dagster.source_names import scratch_name, shown
from nemo_retriever_dagster.source_web import GuardedTransport, _public


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for name in ("b.txt", "a.md", "sub/deep/c.pdf", "sub/d.txt", ".hidden.txt", ".git/x.txt", "~$lock.docx"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def names(source: Source | Buffers) -> list[str]:
    return [document.name for document in source.list()]


# --- what is listed ---


def test_folder_is_read_at_every_depth_and_says_what_it_passes_over(corpus: Path):
    source = Source(corpus)
    found = source.list()
    assert [Path(item.uri).relative_to(corpus).as_posix() for item in found] == [
        "a.md",
        "b.txt",
        "sub/d.txt",
        "sub/deep/c.pdf",
    ]
    assert [item.size for item in found] == [4, 5, 9, 14]
    passed = {Path(item.uri).relative_to(corpus).as_posix(): item.reason for item in source.skipped}
    assert passed == {
        ".hidden.txt": "hidden file",
        ".git/x.txt": "hidden file",
        "~$lock.docx": "lock file of an office program",
    }


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.txt", ["b.txt"]),
        ("**/*.txt", ["b.txt", "d.txt"]),
        ("**/*", ["a.md", "b.txt", "d.txt", "c.pdf"]),
        ("sub/**", ["d.txt", "c.pdf"]),
        ("s?b/*.txt", ["d.txt"]),
        ("[ab].*", ["a.md", "b.txt"]),
        ("*.nothing", []),
    ],
)
def test_patterns(corpus: Path, pattern: str, expected: list[str]):
    assert names(Source(f"{corpus}/{pattern}")) == expected


def test_relative_paths_stay_relative(corpus: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(corpus)
    assert [item.uri for item in Source("sub").list()] == ["sub/d.txt", "sub/deep/c.pdf"]
    assert [item.uri for item in Source("./sub/*.txt").list()] == ["sub/d.txt"]
    assert [item.uri for item in Source(".").list()] == ["a.md", "b.txt", "sub/d.txt", "sub/deep/c.pdf"]
    assert [item.uri for item in Source("*.md").list()] == ["a.md"]


def test_home_folder(corpus: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(corpus))
    assert [item.uri for item in Source("~/b.txt").list()] == [f"{corpus}/b.txt"]


def test_one_file_named_in_many_ways_is_one_document(corpus: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(corpus)
    source = Source(["b.txt", str(corpus / "b.txt"), "./b.txt", "sub/../b.txt", "*.txt", f"file://{corpus}/b.txt"])
    assert [item.uri for item in source.list()] == ["b.txt"]


def test_order_as_given(corpus: Path):
    given_order = [corpus / "sub/d.txt", corpus / "a.md"]
    assert [item.name for item in Source(given_order).list(as_given=True)] == ["d.txt", "a.md"]
    assert names(Source(given_order)) == ["a.md", "d.txt"]


def test_file_given_by_its_own_path_is_always_taken(corpus: Path):
    source = Source(corpus / ".hidden.txt")
    assert names(source) == [".hidden.txt"]
    assert source.skipped == ()


def test_name_that_looks_like_a_pattern_is_taken_literally_where_it_exists(tmp_path: Path):
    (tmp_path / "report[1].txt").write_text("x")
    assert names(Source(tmp_path / "report[1].txt")) == ["report[1].txt"]


def test_file_uri(corpus: Path):
    (corpus / "with space.txt").write_text("x")
    assert [item.uri for item in Source(f"file://{corpus}/sub").list()] == [
        f"file://{corpus}/sub/d.txt",
        f"file://{corpus}/sub/deep/c.pdf",
    ]
    escaped = Source(f"file://{corpus}/with%20space.txt")
    with escaped.fetch(escaped.list()[0]) as fetched:
        assert fetched.path.read_text() == "x"


def test_missing_path_is_named_with_what_is_there(corpus: Path):
    with pytest.raises(SourceNotFoundError, match=r"sub/nothing/x\.txt") as caught:
        Source(corpus / "sub/nothing/x.txt").list()
    assert str(corpus / "sub") in caught.value.hint


def test_empty_folder_is_an_empty_list(tmp_path: Path):
    assert Source(tmp_path).list() == []


@pytest.mark.parametrize("spec", ["", "  "])
def test_empty_path_is_refused(spec: str):
    with pytest.raises(InvalidOptionError, match="empty path"):
        Source(spec)


def test_unknown_scheme_is_refused():
    with pytest.raises(InvalidOptionError, match="gopher"):
        Source("gopher://example.org/a.txt")


def test_scheme_that_is_not_installed_says_what_to_install():
    with pytest.raises(MissingDependencyError, match="gcs"):
        Source("gs://bucket/a.txt")


def test_pattern_below_a_folder_that_is_not_there_is_an_error(corpus: Path):
    """A share that is not mounted must not look like a corpus without documents."""
    with pytest.raises(SourceNotFoundError, match="gone") as caught:
        Source(f"{corpus}/gone/**/*.txt").list()
    assert str(corpus) in caught.value.hint
    with pytest.raises(SourceNotFoundError, match="gone"):
        Source("memory://gone/**/*.txt").list()


def test_pattern_that_cannot_be_read(corpus: Path):
    with pytest.raises(InvalidOptionError, match="pattern"):
        Source(f"{corpus}/a**b/*.txt").list()


def test_links_are_followed_once_and_loops_end(corpus: Path):
    (corpus / "sub/loop").symlink_to(corpus)
    (corpus / "broken.txt").symlink_to(corpus / "nowhere")
    (corpus / "itself.txt").symlink_to(corpus / "itself.txt")
    os.mkfifo(corpus / "pipe.txt")
    source = Source(corpus)
    assert sorted(names(source)) == ["a.md", "b.txt", "c.pdf", "d.txt"]
    reasons = {Path(item.uri).name: item.reason for item in source.skipped}
    assert reasons["broken.txt"] == reasons["itself.txt"] == "broken link"
    assert reasons["pipe.txt"] == "not a regular file"


def test_a_folder_that_cannot_be_listed_fails_the_listing(corpus: Path, monkeypatch: pytest.MonkeyPatch):
    """A list that is short of it would have discovery take its rows out."""
    listed = os.scandir

    def denied(path: Any) -> Any:
        if os.fspath(path) == str(corpus / "sub"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(SourceUnavailableError, match=r"sub cannot be \w.*: Permission denied"):
        Source(corpus).list()


def test_a_name_that_this_locale_reads_otherwise_is_refused(tmp_path: Path):
    """Taken, its document would be there twice: once for each locale that a run had."""
    (tmp_path / "plain.txt").write_text("a")
    code = "import sys; from nemo_retriever_dagster.source import Source; print(len(list(Source(sys.argv[1]).list())))"
    command = [sys.executable, "-c", code, str(tmp_path)]
    surroundings = {**os.environ, "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    def listing() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)

    assert listing().stdout.strip() == "1"
    (tmp_path / "caf\N{LATIN SMALL LETTER E WITH ACUTE}.txt").write_text("b")
    assert "InvalidOptionError: Python takes the names of files for ascii here" in listing().stderr
    surroundings["PYTHONUTF8"] = "1"
    assert listing().stdout.strip() == "2"


def test_undecodable_and_control_characters_in_names(tmp_path: Path):
    raw = os.fsencode(tmp_path) + b"/\xff\n name.txt"
    Path(os.fsdecode(raw)).write_text("odd")
    source = Source(tmp_path)
    [document] = source.list()
    assert document.uri.isprintable()
    document.uri.encode("utf-8")
    with source.fetch(document) as fetched:
        assert fetched.path.read_bytes() == b"odd"


def test_two_unicode_forms_of_one_name_do_not_overwrite_each_other_silently(tmp_path: Path):
    for form in ("NFC", "NFD"):
        (tmp_path / (unicodedata.normalize(form, "é") + ".txt")).write_text(form)
    source = Source(tmp_path)
    assert len(source.list()) == 1
    [skipped] = source.skipped
    assert "same partition key" in skipped.reason


def test_version_follows_the_bytes(corpus: Path):
    def version() -> str:
        return Source(corpus / "b.txt").list()[0].version

    first = version()
    assert version() == first
    os.utime(corpus / "b.txt", ns=(1, 1))
    second = version()
    (corpus / "b.txt").write_text("longer now")
    os.utime(corpus / "b.txt", ns=(1, 1))
    assert len({first, second, version()}) == 3


# --- what is fetched ---


def test_local_file_is_used_in_place(corpus: Path):
    source = Source(corpus / "b.txt")
    [document] = source.list()
    with source.fetch(document) as fetched:
        assert fetched.path == corpus / "b.txt"
        assert fetched.sha256 == hashlib.sha256(b"b.txt").hexdigest()
        assert (fetched.size, fetched.version) == (5, document.version)


@pytest.mark.parametrize("fails", [False, True])
def test_change_while_it_is_read_is_noticed_and_the_file_not_blamed(corpus: Path, fails: bool):
    source = Source(corpus / "b.txt")
    [document] = source.list()

    def parse() -> None:
        (corpus / "b.txt").write_text("other")
        if fails:
            raise ValueError("the parser met half a file")

    with pytest.raises(SourceUnavailableError, match="changed while it was read"), source.fetch(document):
        parse()


def test_file_that_has_gone(corpus: Path):
    source = Source(corpus / "b.txt")
    [document] = source.list()
    (corpus / "b.txt").unlink()
    with pytest.raises(SourceUnavailableError, match=r"b\.txt"), source.fetch(document):
        pass


def test_size_limit(corpus: Path):
    for source in (
        Source(corpus / "b.txt", limits=Limits(file_bytes=4)),
        Buffers([("b", BytesIO(b"12345"))], limits=Limits(file_bytes=4)),
    ):
        [document] = source.list()
        with pytest.raises(LimitExceededError, match="file_bytes"), source.fetch(document):
            pass


def test_memory_uris():
    files = fsspec.filesystem("memory")
    for name in ("/box/b.txt", "/box/sub/a.md", "/box/.hidden", "/box/[x].txt"):
        files.pipe(name, name.encode())
    source = Source("memory://box")
    assert [item.uri for item in source.list()] == [
        "memory://box/[x].txt",
        "memory://box/b.txt",
        "memory://box/sub/a.md",
    ]
    assert [item.uri for item in source.skipped] == ["memory://box/.hidden"]
    assert names(Source("memory://box/**/*.md")) == ["a.md"]
    assert names(Source("memory://box/[x].txt")) == ["[x].txt"]
    assert names(Source("memory://box/none/")) == []
    with pytest.raises(SourceNotFoundError, match="memory://box/none"):
        Source("memory://box/none").list()
    document = source.list()[1]
    with source.fetch(document) as fetched:
        assert fetched.path.read_bytes() == b"/box/b.txt"
        assert fetched.path.suffix == ".txt"
        assert fetched.version == document.version
        scratch = fetched.path
    assert not scratch.exists()
    with pytest.raises(LimitExceededError), Source("memory://box", limits=Limits(file_bytes=3)).fetch(document):
        pass
    files.rm("/box", recursive=True)
    with pytest.raises(SourceUnavailableError), source.fetch(document):
        pass


class _Guarded(MemoryFileSystem):
    """A store whose account may list one folder alone: of what is not there it says that it may not be seen."""

    protocol = "guarded"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("guarded:/")))

    def info(self, path: str, **options: Any) -> Any:
        try:
            found = super().info(path, **options)
        except FileNotFoundError:
            found = None
        if found is None or found["type"] == "directory":
            raise PermissionError("Forbidden")
        return found


def test_an_account_that_may_list_one_folder_alone_lists_it():
    fsspec.register_implementation("guarded", _Guarded, clobber=True)
    fsspec.filesystem("guarded").pipe("/box/a.txt", b"a")
    for spec in ("guarded://box/**/*", "guarded://box/"):
        assert names(Source(spec)) == ["a.txt"]
    with pytest.raises(SourceUnavailableError, match="Forbidden"):
        Source("guarded://box").list()


def test_a_slash_at_the_start_of_a_remote_key_is_part_of_it():
    files = fsspec.filesystem("memory")
    contents = {"slashes/a.txt": b"one", "slashes//a.txt": b"two", "slashes//only.txt": b"three"}
    for name, data in contents.items():
        files.pipe_file(f"memory://{name}", data)
    source, read = Source("memory://slashes/"), {}
    for document in source.list():
        with source.fetch(document) as fetched:
            read[document.uri.removeprefix("memory://")] = fetched.path.read_bytes()
    assert read == contents


class Marked(MemoryFileSystem):
    """Lists what a bucket's console writes to show an empty folder: an object without bytes."""

    protocol = "marked"

    def find(self, path: str, **options: object) -> dict[str, dict[str, object]]:
        marker = f"{path.rstrip('/')}/empty/"
        return {**super().find(path, **options), marker: {"name": marker, "type": "file", "size": 0}}


def test_the_marker_of_an_empty_folder_is_no_document():
    fsspec.register_implementation("marked", Marked, clobber=True)
    fsspec.filesystem("marked").pipe_file("marked://folder/a.txt", b"one")
    assert [document.uri for document in Source("marked://folder/").list()] == ["marked://folder/a.txt"]


def test_buffers_keep_their_names_and_position():
    held = BytesIO(b"two")
    held.read(1)
    source = Buffers([("z.txt", BytesIO(b"one")), ("../../a.txt", held)])
    assert [item.uri for item in source.list(as_given=True)] == ["z.txt", "../../a.txt"]
    document = source.list()[0]
    assert document.sha256 == document.version == hashlib.sha256(b"two").hexdigest()
    with source.fetch(document) as fetched:
        assert fetched.path.read_bytes() == b"two"
        assert re.fullmatch(r"[0-9a-f]{16}\.txt", fetched.path.name)
    assert held.tell() == 1


def test_buffers_of_one_name_are_refused():
    with pytest.raises(InvalidOptionError, match=r"called 'a\.txt'"):
        Buffers([("a.txt", BytesIO()), ("a.txt", BytesIO())])
    with pytest.raises(InvalidOptionError, match="no name"):
        Buffers([("", BytesIO())])


# --- partition keys ---


@given(st.text())
def test_keys_keep_to_their_grammar(uri: str):
    key = partition_key(uri)
    assert KEY_PATTERN.fullmatch(key)
    assert ".." not in key
    assert key == partition_key(unicodedata.normalize("NFD", uri)) or unicodedata.normalize(
        "NFC", unicodedata.normalize("NFD", uri)
    ) != unicodedata.normalize("NFC", uri)


def test_keys_are_readable_and_stable():
    assert partition_key("/data/Jahresbericht 2024 (endgültig).PDF") == "jahresbericht-2024-endgultig.pdf.429efd1ce5"
    assert partition_key("https://example.org/a/report.pdf?token=1").startswith("report.pdf.")
    assert partition_key("語.txt").startswith("txt.")
    assert partition_key("語").startswith("document.")
    long = partition_key("x" * 5000 + ".pdf")
    assert len(long) <= 96
    assert long[:-11].endswith(".pdf")


def test_hostile_names_do_not_collide():
    odd = ["../", "/", "\0", "\u202e", "CON", "a,b", "...", "\n", "%00", "é", "\udcff", "x" * 300, " ", "~$", "NUL.txt"]
    uris = {f"/{odd[n % 15]}/{odd[n // 15 % 15]}{n}{odd[n // 225 % 15]}.pdf" for n in range(100_000)}
    assert len(uris) == 100_000
    assert len({partition_key(uri) for uri in uris}) == 100_000


@given(st.text(max_size=50))
def test_nothing_of_a_foreign_name_reaches_the_disk(uri: str):
    assert re.fullmatch(r"[0-9a-f]{16}(\.[a-z0-9]{1,8})?", scratch_name(uri))


# --- credentials ---


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://user:s3cret@host/a.pdf", "https://host/a.pdf"),
        ("https://token@host/a.pdf?X-Amz-Signature=abc&id=1", "https://host/a.pdf?X-Amz-Signature=***&id=1"),
        ("sftp://user:s3cret@host/a.pdf", "sftp://user@host/a.pdf"),
        ("abfs://box@account.dfs.core.windows.net/a.pdf", "abfs://box@account.dfs.core.windows.net/a.pdf"),
        ("/data/token=abcdef.pdf", "/data/token=abcdef.pdf"),
        ("s3://bucket/user:x@y.pdf", "s3://bucket/user:x@y.pdf"),
    ],
)
def test_addresses_are_shown_without_credentials(uri: str, expected: str):
    assert shown(uri) == expected


# --- the web ---


class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pages: ClassVar[dict[str, tuple[int, dict[str, str], bytes]]] = {}
    seen: ClassVar[list[str]] = []
    keys: ClassVar[list[tuple[str, str | None]]] = []

    def do_HEAD(self) -> None:
        status, headers, body = self.pages.get(self.path, (404, {}, b""))
        self._send(405 if "X-No-Head" in headers else status, headers, body, head=True)

    def do_GET(self) -> None:
        self._send(*self.pages.get(self.path, (404, {}, b"")))

    def _send(self, status: int, headers: dict[str, str], body: bytes, *, head: bool = False) -> None:
        self.seen.append(f"{self.command} {self.headers['Host']} {self.path}")
        self.keys.append((self.headers["Host"].partition(":")[0], self.headers["X-Api-Key"]))
        self.send_response(status)
        length = {} if "X-No-Length" in headers and not head else {"Content-Length": str(len(body))}
        for name, value in {**length, **headers}.items():
            self.send_header(name, value)
        self.close_connection = not length
        self.end_headers()
        if not head:
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    Site.seen = []
    Site.keys = []
    Site.pages = {
        "/a.pdf": (200, {"ETag": '"v1"'}, b"bytes"),
        "/dated.pdf": (200, {"ETag": '"v1"', "Last-Modified": "Sun, 01 Mar 2026 10:00:00 GMT"}, b"bytes"),
        "/plain.pdf": (200, {"X-No-Head": "1"}, b"bytes"),
        "/streamed.pdf": (200, {"ETag": '"v1"', "X-No-Length": "1", "Connection": "close"}, b"bytes"),
        "/moved.pdf": (302, {"Location": "/a.pdf"}, b""),
        "/secret.pdf": (403, {}, b""),
        "/busy.pdf": (503, {}, b""),
        "/elsewhere.pdf": (302, {"Location": f"http://localhost:{server.server_port}/a.pdf"}, b""),
        "/away.pdf": (302, {"Location": "http://169.254.169.254/latest/meta-data"}, b""),
    }
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("page", ["/a.pdf", "/plain.pdf", "/moved.pdf"])
def test_web_document(site: str, page: str):
    source = Source(site + page, storage_options={"allow_private": True})
    [document] = source.list()
    with source.fetch(document) as fetched:
        assert fetched.path.read_bytes() == b"bytes"
        assert fetched.version == document.version
        assert fetched.size == document.size == 5


def test_a_server_that_tells_the_length_to_one_method_only_has_one_version(site: str):
    source = Source(f"{site}/streamed.pdf", storage_options={"allow_private": True})
    [document] = source.list()
    with source.fetch(document) as fetched:
        assert fetched.version == document.version == "v1"


def test_a_server_tells_when_a_document_was_changed(site: str):
    source = Source(f"{site}/dated.pdf", storage_options={"allow_private": True})
    with source.fetch(source.list()[0]) as fetched:
        assert (fetched.version, fetched.modified) == ("v1", "2026-03-01T10:00:00")


def test_credentials_go_to_the_named_server_only(site: str):
    source = Source(
        f"{site}/elsewhere.pdf", storage_options={"allow_private": True, "headers": {"X-Api-Key": "canary-key"}}
    )
    with source.fetch(source.list()[0]) as fetched:
        assert fetched.path.read_bytes() == b"bytes"
    assert Site.keys == [("127.0.0.1", "canary-key"), ("localhost", None)] * 2


def test_a_server_that_drips_is_left(site: str):
    source = Source(f"{site}/a.pdf", storage_options={"allow_private": True}, limits=Limits(total_seconds=1e-9))
    with pytest.raises(SourceUnavailableError, match="needed more than"), source.fetch(source.list()[0]):
        pass


def test_web_errors_are_named(site: str):
    options = {"allow_private": True}
    with pytest.raises(SourceNotFoundError, match="status 404"):
        Source(f"{site}/none.pdf", storage_options=options).list()
    with pytest.raises(SourceUnavailableError, match="status 403") as caught:
        Source(f"{site}/secret.pdf", storage_options=options).list()
    assert "headers" in caught.value.hint
    with pytest.raises(SourceUnavailableError, match="status 503"):
        Source(f"{site}/busy.pdf", storage_options=options).list()
    with pytest.raises(UnknownOptionError, match="allow_privat"):
        Source(site, storage_options={"allow_privat": True})
    with pytest.raises(InvalidOptionError, match="cannot list"):
        Source(f"{site}/*.pdf")
    source = Source(f"{site}/a.pdf", storage_options=options, limits=Limits(file_bytes=3))
    with pytest.raises(LimitExceededError), source.fetch(source.list()[0]):
        pass


def test_no_server(unused_port: int):
    with pytest.raises(SourceUnavailableError, match="Looking up"):
        Source(f"http://127.0.0.1:{unused_port}/a.pdf", storage_options={"allow_private": True}).list()


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
def test_private_addresses_are_never_connected_to(site: str, host: str):
    url = site.replace("127.0.0.1", host) + "/a.pdf"
    with pytest.raises((InvalidOptionError, SourceUnavailableError)):
        Source(url).list()
    assert Site.seen == []


def test_redirects_pass_the_guard_and_the_name_is_resolved_once(site: str, monkeypatch: pytest.MonkeyPatch):
    real = socket.getaddrinfo
    asked: list[str] = []

    def resolve(host: str, port: int, *rest: object, **more: object) -> list[tuple[object, ...]]:
        """Answer as a name server that changes its mind: public first, this machine afterwards."""
        if not host.endswith(".test"):
            return real(host, port, *rest, **more)
        asked.append(host)
        address = "203.0.113.9" if len(asked) > 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    port = site.rpartition(":")[2]
    guard = GuardedTransport(allow_private=True, home=httpx.URL(site), headers={})
    with httpx.Client(transport=guard, trust_env=False) as client:
        assert client.get(f"http://rebinding.test:{port}/a.pdf").content == b"bytes"
    assert asked == ["rebinding.test"]
    assert Site.seen == [f"GET rebinding.test:{port} /a.pdf"]


def test_redirect_to_an_internal_address_is_refused(monkeypatch: pytest.MonkeyPatch, site: str):
    # The first hop is let through as if it were public; the second must be refused by its own check.
    monkeypatch.setattr("nemo_retriever_dagster.source_web._public", lambda address: address == "127.0.0.1")
    with pytest.raises(InvalidOptionError, match=r"169\.254\.169\.254"):
        Source(f"{site}/away.pdf").list()
    assert len(Site.seen) == 1


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool):
    assert _public(address) is public


def test_a_relative_path_with_control_characters_can_be_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a\x1b[2J.txt").write_text("text")
    source = Source("docs")
    (document,) = source.list()
    assert document.uri.isprintable()
    with source.fetch(document) as fetched:
        assert fetched.path.read_text() == "text"
