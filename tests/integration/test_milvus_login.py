"""A Milvus server that asks who it is: who has the right login gets in, who has not is told so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from servers.milvus_server import MilvusServer, started

from nemo_retriever_dagster.doctor import examine
from nemo_retriever_dagster.errors import StoreUnavailableError
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.server
TOKEN = "root:Milvus"  # what every new server has


@pytest.fixture(scope="module")
def guarded() -> Iterator[MilvusServer]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("COMMON_SECURITY_AUTHORIZATIONENABLED", "true")
        with started() as server:
            yield server


@pytest.mark.parametrize("token", ["", "root:wrong-password"])
def test_a_refused_login_is_not_taken_for_a_server_that_is_down(guarded: MilvusServer, token: str) -> None:
    with pytest.raises(
        StoreUnavailableError, match=r"refuses the login: (auth check failure|missing authorization)"
    ) as caught:
        MilvusStore(guarded.uri, token=token).collections()
    assert caught.value.hint == "Check username and password, or the token."
    assert "wrong-password" not in str(caught.value)


@pytest.mark.parametrize(("token", "lets_in"), [(TOKEN, True), ("root:wrong-password", False)])
def test_the_doctor_logs_in_as_the_surroundings_say(
    guarded: MilvusServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str, lets_in: bool
) -> None:
    monkeypatch.setenv("NRD_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("NRD_MILVUS_URI", guarded.uri)
    monkeypatch.setenv("NRD_MILVUS_TOKEN", token)
    (found,) = [finding for finding in examine() if finding.part.startswith("milvus")]
    assert found.ok is lets_in, found.note
