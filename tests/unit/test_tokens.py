"""Tokenizers: places of tokens, sources, errors."""

import json
import os
import shutil
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_retriever_dagster import tokens
from nemo_retriever_dagster.errors import InvalidOptionError, SourceNotFoundError
from nemo_retriever_dagster.modelfiles import find_model_file
from nemo_retriever_dagster.tokens import load_tokenizer


def test_spans_are_places_in_the_text():
    text = "Hello wörld, unbelievably 日本"
    spans = load_tokenizer().spans(text)
    assert "".join(text[start:end] for start, end in spans) == text.replace(" ", "")
    assert spans[:3] == [(0, 5), (6, 11), (11, 12)]
    assert load_tokenizer().count(text) == len(spans)


def test_the_default_neither_truncates_nor_pads():
    assert load_tokenizer().count("word " * 1000) == 1000
    assert load_tokenizer().count("word") == 1
    assert load_tokenizer().spans("") == []


def test_one_tokenizer_a_process():
    assert load_tokenizer() is load_tokenizer("all-MiniLM-L6-v2")
    assert load_tokenizer().name == "all-MiniLM-L6-v2"


@given(text=st.text(max_size=200))
@settings(max_examples=200)
def test_spans_are_ordered_and_inside(text):
    spans = load_tokenizer().spans(text)
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert spans == sorted(spans)


def test_a_long_text_is_tokenized_in_pieces_with_the_same_result(monkeypatch):
    text = "Some words, and more — of them; número uno.\n" * 50
    whole = load_tokenizer().spans(text)
    monkeypatch.setattr(tokens, "_PIECE", 97)
    assert load_tokenizer().spans(text) == whole
    assert load_tokenizer().count(text) == len(whole)
    assert load_tokenizer().count("x" * 1000) > 0


def test_a_file_or_its_folder(tmp_path):
    shutil.copy(find_model_file("tokenizer.json"), tmp_path)
    from_folder = load_tokenizer(str(tmp_path))
    assert from_folder is load_tokenizer(str(tmp_path / "tokenizer.json"))
    assert from_folder.name.startswith(f"{tmp_path.name}@")
    assert from_folder.spans("two words") == [(0, 3), (4, 9)]


@pytest.mark.parametrize("place", ["acme/Words-1B", "words-1b/tokenizer", "Words-1B"])
def test_a_hub_name_that_was_downloaded_beforehand(tmp_path, place):
    (tmp_path / place).mkdir(parents=True)
    shutil.copy(find_model_file("tokenizer.json"), tmp_path / place)
    found = load_tokenizer("acme/Words-1B", tokenizers_dir=tmp_path)
    assert (found.name, found.spans("two words")) == ("acme/Words-1B", [(0, 3), (4, 9)])


def test_the_default_comes_from_a_configured_folder(tmp_path):
    shutil.copy(find_model_file("tokenizer.json"), tmp_path)
    assert load_tokenizer(models_dir=tmp_path).name == load_tokenizer().name
    with pytest.raises(SourceNotFoundError, match=r"no tokenizer\.json"):
        load_tokenizer(models_dir=tmp_path / "empty")


def test_a_folder_without_tokenizer(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"no tokenizer\.json"):
        load_tokenizer(str(tmp_path))


@pytest.mark.parametrize("name", ["./gone/tokenizer.json", "/gone/folder/deep"])
def test_a_path_that_is_not_there(name):
    with pytest.raises(SourceNotFoundError, match="works offline"):
        load_tokenizer(name)


def test_a_file_that_is_no_tokenizer(tmp_path):
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps({"version": "1.0"}))
    with pytest.raises(InvalidOptionError, match="not a tokenizer file"):
        load_tokenizer(str(file))


def test_a_hub_name_without_network_is_an_error_that_names_the_way_out():
    code = (
        "from nemo_retriever_dagster.tokens import load_tokenizer\n"
        "from nemo_retriever_dagster.errors import MisuseError\n"
        "try: load_tokenizer('meta-llama/Llama-3.2-1B', hf_access_token='hf_canary0123456789')\n"
        "except MisuseError as error: print(error)\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "meta-llama/Llama-3.2-1B" in done.stdout
    assert "works offline" in done.stdout
    assert "canary" not in done.stdout + done.stderr


def test_threads_share_one_tokenizer():
    texts = [f"thread {i} " + "unbelievable words " * i for i in range(40)]
    expected = [load_tokenizer().spans(text) for text in texts]
    found = {}
    workers = [
        threading.Thread(target=lambda i=i: found.update({i: load_tokenizer().spans(texts[i])})) for i in range(40)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [found[i] for i in range(40)] == expected


def test_half_a_character_is_a_token_like_an_unknown_one():
    tokenizer = load_tokenizer()
    assert tokenizer.spans("ab \ud800 cd") == tokenizer.spans("ab \ufffd cd")
    assert tokenizer.count("\ud800") == tokenizer.count("\ufffd")
