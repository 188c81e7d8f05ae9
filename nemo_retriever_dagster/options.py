"""Values of options, checked when they are given: known by name, of the right type, within bounds."""

from __future__ import annotations

import os
from dataclasses import Field, fields
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_type_hints

from pydantic import BeforeValidator, TypeAdapter, ValidationError
from pydantic import Field as Bounds

from nemo_retriever_dagster.errors import InvalidOptionError, UnknownOptionError, as_call

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Share = Annotated[float, Bounds(ge=0, le=1)]
Amount = Annotated[int, Bounds(ge=0)]
Number = Annotated[int, Bounds(ge=1)]


def _in_order(value: Any) -> Any:
    """Return a set as a sorted list: as it is, its order, and with it a fingerprint, would differ from run to run."""
    return sorted(value, key=str) if isinstance(value, (set, frozenset)) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_in_order)]

_Task = TypeVar("_Task")


def make(task: type[_Task], method: str, options: Mapping[str, Any]) -> _Task:
    """Make a task from keyword options.

    Raises `UnknownOptionError` naming the nearest for one that is not known, `InvalidOptionError` for a value that is
    not of the option's type; numbers written as text are taken, and lists for tuples.
    """
    known = _known(task)  # type: ignore[arg-type] # a type is hashable
    expect(method, options, known)
    given = {}
    for name, value in options.items():
        option, wanted = known[name]
        given[name] = checked(method, name, wanted, value, shown=option.repr)
    return task(**given)


def expect(method: str, options: Iterable[str], known: Iterable[str]) -> None:
    """Raise `UnknownOptionError`, naming the nearest, for the first option that is not known."""
    known = tuple(known)
    for name in options:
        if name not in known:
            raise UnknownOptionError.of(method, name, known)


@cache
def _known(task: type[Any]) -> dict[str, tuple[Field[Any], Any]]:
    """Return the options of a task by name, each with its type."""
    types = get_type_hints(task, include_extras=True)
    return {option.name: (option, types[option.name]) for option in fields(task)}


@cache
def _adapter(wanted: Any) -> TypeAdapter[Any]:
    return TypeAdapter(wanted)


def checked(method: str, name: str, wanted: Any, value: Any, *, shown: bool = True) -> Any:
    """Return ``value`` as the type ``wanted``; raise `InvalidOptionError`, which tells the value where ``shown``."""
    parts = (wanted, *get_args(wanted))
    if bool in parts and value is not None:
        flag(name, value)
    if isinstance(value, os.PathLike) and str in parts:
        value = os.fspath(value)
    try:
        return _adapter(wanted).validate_python(value)
    except ValidationError as error:
        told = f" is {value!r}" if shown else " is not what it should be"
        hint = "; ".join(dict.fromkeys(f"{one['msg']}." for one in error.errors(include_input=False)))
        raise InvalidOptionError(f"{as_call(method)}: {name}{told}.", hint=hint) from None


def one_of(option: str, value: object, choices: object) -> None:
    """Raise `InvalidOptionError` unless ``value`` is one of the choices (a Literal or a tuple)."""
    allowed = get_args(choices) or tuple(choices)  # type: ignore[arg-type] # a tuple, where it is no Literal
    if value not in allowed:
        listed = ", ".join(repr(choice) for choice in allowed)
        raise InvalidOptionError(f"{option} is {value!r}.", hint=f"Choose one of {listed}.")


def flag(option: str, value: object) -> None:
    """Raise `InvalidOptionError` unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise InvalidOptionError(f"{option} is {value!r}.", hint="Give True or False.")
