"""The image store: names by content, links, and nothing written twice."""

import os
from pathlib import Path

import fsspec
import pytest

from nemo_retriever_dagster.errors import InvalidOptionError, StorageFullError
from nemo_retriever_dagster.images import ImageStore
from nemo_retriever_dagster.model import Picture
from nemo_retriever_dagster.storage import Storage

PNG = Picture(data=b"png bytes", width=3, height=2)
JPEG = Picture(data=b"jpeg bytes", width=3, height=2, media_type="image/jpeg")


def test_local_pictures_have_a_path_and_a_uri(tmp_path: Path):
    store = ImageStore(tmp_path / "my images")
    for picture, suffix in ((PNG, "png"), (JPEG, "jpeg")):
        stored = store.put(picture)
        assert stored.path == str(tmp_path / "my images" / picture.sha256[:2] / f"{picture.sha256}.{suffix}")
        assert Path(stored.path).read_bytes() == picture.data
        assert stored.uri == stored.url == Path(stored.path).as_uri()
        assert stored == store.locate(picture.sha256, suffix)


def test_file_uri_is_the_same_place(tmp_path: Path):
    assert ImageStore(f"file://{tmp_path}").put(PNG) == ImageStore(tmp_path).put(PNG)


def test_public_address(tmp_path: Path):
    stored = ImageStore(tmp_path, public_base_url="https://cdn.example.org/i/").put(PNG)
    assert stored.url == f"https://cdn.example.org/i/{PNG.sha256[:2]}/{PNG.sha256}.png"
    assert stored.uri.startswith("file://")


def test_putting_again_writes_nothing_and_mends_a_cut_file(tmp_path: Path):
    store = ImageStore(tmp_path)
    path = Path(store.put(PNG).path)
    os.utime(path, ns=(1, 1))
    store.put(PNG)
    assert path.stat().st_mtime_ns == 1
    path.write_bytes(b"png")
    store.put(PNG)
    assert path.read_bytes() == PNG.data


def test_a_picture_is_set_aside_and_then_deleted_or_brought_back(tmp_path: Path):
    store = ImageStore(tmp_path)
    paths = [Path(store.put(picture).path) for picture in (PNG, JPEG)]
    store.set_aside(PNG.sha256)
    assert [path.exists() for path in paths] == [False, True]
    for _ in range(2):
        ImageStore(tmp_path).restore(PNG.sha256)
        assert paths[0].read_bytes() == PNG.data
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(paths)
    for _ in range(2):
        store.set_aside(PNG.sha256)
        store.discard(PNG.sha256)
        store.restore(PNG.sha256)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [paths[1]]


@pytest.mark.parametrize("aside", [False, True])
def test_a_picture_that_is_moved_is_written_before_it_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, aside: bool
):
    store = ImageStore(tmp_path)
    store.put(PNG)
    if aside:
        store.set_aside(PNG.sha256)

    def killed(*_: object) -> None:
        raise StorageFullError

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "put", killed)
        with pytest.raises(StorageFullError):
            (store.restore if aside else store.set_aside)(PNG.sha256)
    store.restore(PNG.sha256)
    assert store.missing({PNG.sha256}) == set()


def test_remote_store():
    store = ImageStore("memory://pictures/of/mine/")
    stored = store.put(PNG)
    assert stored.path == ""
    assert stored.uri == stored.url == f"memory://pictures/of/mine/{PNG.sha256[:2]}/{PNG.sha256}.png"
    assert fsspec.filesystem("memory").cat_file(stored.uri) == PNG.data


@pytest.mark.parametrize(("sha256", "suffix"), [("../../x", "png"), ("ab" * 32, "svg"), ("ab" * 32, "png/../x")])
def test_only_hashes_are_names(tmp_path: Path, sha256: str, suffix: str):
    with pytest.raises(InvalidOptionError):
        ImageStore(tmp_path).locate(sha256, suffix)


@pytest.mark.parametrize("others", [0, 100])
def test_missing_pictures_are_told_one_by_one_and_in_one_listing(tmp_path: Path, others: int):
    store = ImageStore(tmp_path)
    store.put(JPEG)
    store.put(PNG)
    store.set_aside(PNG.sha256)
    gone = {f"{n:064x}" for n in range(others)} | {PNG.sha256}
    assert store.missing(gone | {JPEG.sha256}) == gone
