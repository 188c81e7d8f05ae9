"""Documents, artifacts and pictures in a bucket of a real S3 server."""

import hashlib

import pytest
from servers.s3 import S3

from nemo_retriever_dagster.artifacts import Artifacts, address
from nemo_retriever_dagster.errors import LimitExceededError, SourceNotFoundError, SourceUnavailableError, StorageError
from nemo_retriever_dagster.images import ImageStore
from nemo_retriever_dagster.limits import Limits
from nemo_retriever_dagster.model import Picture
from nemo_retriever_dagster.source import Source

pytestmark = pytest.mark.server
SECRET = "do-not-show-me"


def fill(s3: S3, **objects: bytes) -> None:
    for name, data in objects.items():
        s3.files.pipe_file(f"{s3.bucket}/{name}", data)


def test_documents(s3: S3):
    big = bytes(range(256)) * 40_000
    fill(
        s3,
        **{
            "docs/a.txt": b"a",
            "docs/sub/ü b.txt": b"b",
            "docs/.hidden": b"h",
            "docs/big.bin": big,
            "docs/[1].txt": b"1",
        },
    )
    source = Source(f"s3://{s3.bucket}/docs", storage_options=s3.options)
    documents = {document.name: document for document in source.list()}
    assert sorted(documents) == ["[1].txt", "a.txt", "big.bin", "ü b.txt"]
    assert [item.reason for item in source.skipped] == ["hidden file"]
    for name, data in (("big.bin", big), ("ü b.txt", b"b"), ("[1].txt", b"1")):
        with source.fetch(documents[name]) as fetched:
            assert fetched.sha256 == hashlib.sha256(data).hexdigest()
            assert fetched.path.read_bytes() == data
            assert fetched.version == documents[name].version
    glob = Source(f"s3://{s3.bucket}/docs/**/*.txt", storage_options=s3.options)
    assert [document.name for document in glob.list()] == ["[1].txt", "a.txt", "ü b.txt"]
    single = Source([f"s3://{s3.bucket}/docs/a.txt", f"s3://{s3.bucket}/docs/[1].txt"], storage_options=s3.options)
    assert [document.name for document in single.list()] == ["[1].txt", "a.txt"]


def test_markers_of_folders_are_no_documents(s3: S3):
    for name, data in {"f/": b"", "f/sub/": b"", "f/a.txt": b"a"}.items():
        s3.files.call_s3("put_object", Bucket=s3.bucket, Key=name, Body=data)
    for spec in ("f", "f/", "f/**/*"):
        found = Source(f"s3://{s3.bucket}/{spec}", storage_options=s3.options).list()
        assert [document.name for document in found] == ["a.txt"]


def test_versions_and_limits(s3: S3):
    fill(s3, **{"docs/a.txt": b"one"})
    source = Source(f"s3://{s3.bucket}/docs/", storage_options=s3.options, limits=Limits(file_bytes=3))
    [before] = source.list()
    assert source.list() == [before]
    fill(s3, **{"docs/a.txt": b"two"})
    [after] = source.list()
    assert after.version != before.version
    with source.fetch(before) as fetched:
        assert fetched.version == after.version
    fill(s3, **{"docs/a.txt": b"three"})
    with pytest.raises(LimitExceededError), source.fetch(before):
        pass
    s3.files.rm_file(f"{s3.bucket}/docs/a.txt")
    assert source.list() == []
    with pytest.raises(SourceUnavailableError), source.fetch(before):
        pass


def test_what_is_not_there(s3: S3):
    with pytest.raises(SourceNotFoundError, match=r"nothing\.txt"):
        Source(f"s3://{s3.bucket}/nothing.txt", storage_options=s3.options).list()
    for spec in ("s3://no-such-bucket", "s3://no-such-bucket/", "s3://no-such-bucket/**/*.pdf"):
        with pytest.raises(SourceNotFoundError, match="no-such-bucket"):
            Source(spec, storage_options=s3.options).list()
    for spec in (f"s3://{s3.bucket}/", f"s3://{s3.bucket}", f"s3://{s3.bucket}/none/**/*.pdf"):
        assert Source(spec, storage_options=s3.options).list() == []
    fill(s3, **{"top.txt": b"t"})
    for spec in (f"s3://{s3.bucket}", f"s3://{s3.bucket}/", f"s3://{s3.bucket}/*.txt"):
        [document] = Source(spec, storage_options=s3.options).list()
        assert document.uri == f"s3://{s3.bucket}/top.txt"


def test_wrong_credentials_and_dead_server_show_no_secret(s3: S3):
    # The server knows its keys but does not compute signatures, so the key is what must be wrong.
    wrong = {**s3.options, "key": SECRET, "secret": SECRET}
    dead = {
        **s3.options,
        "secret": SECRET,
        "client_kwargs": {"endpoint_url": "http://127.0.0.1:9", "region_name": "us-east-1"},
    }
    dead["config_kwargs"] = {"retries": {"max_attempts": 0}, "connect_timeout": 2}
    for options in (wrong, dead):
        with pytest.raises(SourceUnavailableError) as caught:
            Source(f"s3://{s3.bucket}/docs/a.txt", storage_options=options).list()
        assert SECRET not in repr(caught.value) + str(caught.value) + caught.value.hint
        with pytest.raises(StorageError) as refused:
            Artifacts(f"s3://{s3.bucket}/kept", options).put(address("extract", "ab" * 32, "data"), b"x")
        assert SECRET not in str(refused.value)


def test_artifacts(s3: S3):
    artifacts = Artifacts(f"s3://{s3.bucket}/kept", s3.options)
    place = address("extract", "ab" * 32, "data")
    assert artifacts.get(place) is None
    assert not artifacts.exists(place)
    artifacts.put(place, b"payload" * 1000)
    artifacts.put(address("embed", "cd" * 32, "npy"), b"")
    assert artifacts.get(place) == b"payload" * 1000
    assert artifacts.exists(place)
    assert artifacts.list("extract") == [place]
    assert len(artifacts.list()) == 2
    fill(s3, **{f"kept/{place}": b"NRD1 cut short"})
    assert artifacts.get(place) is None
    assert not artifacts.exists(place)
    assert artifacts.delete("embed") == 1
    assert artifacts.list() == []


def test_pictures_with_the_environment_of_minio(s3: S3, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MINIO_INTERNAL_ADDRESS", s3.endpoint.removeprefix("http://"))
    monkeypatch.setenv("MINIO_ACCESS_KEY", s3.options["key"])
    monkeypatch.setenv("MINIO_SECRET_KEY", s3.options["secret"])
    monkeypatch.setenv("MINIO_REGION", "us-east-1")
    store = ImageStore(f"s3://{s3.bucket}/images", public_base_url="https://cdn.example.org/images/")
    picture = Picture(data=b"png", width=1, height=1)
    stored = store.put(picture)
    assert store.put(picture) == stored
    name = f"{picture.sha256[:2]}/{picture.sha256}.png"
    assert stored.uri == f"s3://{s3.bucket}/images/{name}"
    assert stored.url == f"https://cdn.example.org/images/{name}"
    assert s3.files.cat_file(stored.uri) == b"png"
    for _ in range(2):
        store.set_aside(picture.sha256)
        store.discard(picture.sha256)
    s3.files.invalidate_cache()
    assert s3.files.find(f"{s3.bucket}/images") == []
