"""Pipelines that differ in one option of how a document is cut: what ``--compare chunk_size=256,512`` means."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.errors import InvalidOptionError, UnknownOptionError
from nemo_retriever_dagster.tasks import SplitTask

if TYPE_CHECKING:
    from nemo_retriever_dagster.pipeline import Pipeline

AS_IT_IS = "as it is"
_FLAGS = {"true": True, "yes": True, "false": False, "no": False}
_OPTIONS = ("chunk_size", "chunk_overlap", "sentences", "tokenizer", "text_depth")
_NUMBERS = ("chunk_size", "chunk_overlap")
_MOST = 2


def variants(pipeline: Pipeline, wanted: str) -> dict[str, Pipeline]:
    """Return two pipelines by label: ``name=a,b`` changes the option ``name`` twice, ``name=a`` once.

    The options are those of ``split()`` and ``extract(text_depth=...)``: they cut the same elements in other ways.
    Raises `UnknownOptionError` or `InvalidOptionError`.
    """
    name, equals, given = wanted.partition("=")
    if name not in _OPTIONS:
        raise UnknownOptionError.of("preview --compare", name, _OPTIONS)
    values = [value.strip() for value in given.split(",")]
    if not equals or not all(values) or len(values) > _MOST:
        hint = "Give one value, to compare with the pipeline as it is, or two: chunk_size=256,512."
        raise InvalidOptionError(f"{wanted!r} names no configurations to compare.", hint=hint)
    made = {f"{name}={value}": _with(pipeline, name, _value(name, value)) for value in values}
    return made if len(made) == _MOST else {AS_IT_IS: pipeline, **made}


def _with(pipeline: Pipeline, name: str, value: Any) -> Pipeline:
    if name == "text_depth":
        return replace(pipeline, extract=replace(pipeline.extract, text_depth=value))
    changed: Any = {name: value}
    return replace(pipeline, split=replace(pipeline.split or SplitTask(), **changed))


def _value(name: str, given: str) -> Any:
    if name in _NUMBERS:
        if not given.isdecimal():
            raise InvalidOptionError(f"{name} is {given!r}.", hint="Give a number of tokens.")
        return int(given)
    if name == "sentences":
        if given.lower() not in _FLAGS:
            raise InvalidOptionError(f"{name} is {given!r}.", hint="Give true or false.")
        return _FLAGS[given.lower()]
    return given
