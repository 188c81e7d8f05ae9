"""Extractors that misbehave as the file's text tells them to; they run in real parser processes."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import EncryptedFileError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nemo_retriever_dagster.limits import Budget


def say(text: object, number: int = 0) -> Page:
    return Page(number=number, elements=(Element(kind=Kind.TEXT, text=str(text)),))


class Faulty:
    formats = ("faulty",)
    methods: tuple[str, ...] = ()
    version = "1"

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        name, _, argument = path.read_text().partition(" ")
        yield from FAULTS[name](argument)


class Long:
    """A document of many pages that is read in parts; its text, ``TOTAL FAULT PAGE``, may have a page fail."""

    formats = ("long",)
    methods: tuple[str, ...] = ()
    version = "1"

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        total, _, fault = path.read_text().partition(" ")
        name, _, at = fault.partition(" ")
        first, last = options.pages or (1, int(total))
        for number in range(first, min(last, int(total)) + 1):
            if str(number) == at:
                for _ in FAULTS[name]("600"):
                    pass
            time.sleep(0.002)
            yield replace(say(f"{number} by {os.getpid()}", number), total=int(total))


def count(argument: str) -> Iterator[Page]:
    for number in range(1, int(argument) + 1):
        yield say(f"page {number}", number)


def pid(_: str) -> Iterator[Page]:
    yield say(os.getpid())


def sleeper(argument: str) -> Iterator[Page]:
    yield say(os.getpid())
    time.sleep(float(argument))


def spin_in_c(_: str) -> Iterator[Page]:
    """Never come back from native code that holds the interpreter lock."""
    yield say(os.getpid())
    ctypes.PyDLL(None).pause()


def drip(argument: str) -> Iterator[Page]:
    while True:
        time.sleep(float(argument))
        yield say("drop")


def endless(_: str) -> Iterator[Page]:
    while True:
        yield say("x" * 1000)


def progress(argument: str) -> Iterator[Page]:
    """Note each page that was made in the file ``argument``."""
    for number in range(1, 501):
        Path(argument).write_text(str(number))
        yield say("y" * 100_000, number)


def segfault(_: str) -> Iterator[Page]:
    yield say("before")
    ctypes.string_at(0)


def abort(_: str) -> Iterator[Page]:
    yield say("before")
    os.abort()


def leave(argument: str) -> Iterator[Page]:
    yield say("before")
    os._exit(int(argument))


def kill_parent_first(_: str) -> Iterator[Page]:
    os.kill(os.getpid(), signal.SIGKILL)
    yield say("never")


def gorge(_: str) -> Iterator[Page]:
    yield say(len(bytearray(8 * 2**30)))


def recurse(_: str) -> Iterator[Page]:
    yield from recurse(_)


def noise(_: str) -> Iterator[Page]:
    print("NOISE ON STDOUT" * 10_000)
    sys.stderr.write("NOISE ON STDERR" * 100_000)
    os.system("echo NOISE OF A CHILD; echo NOISE OF A CHILD >&2")
    yield say("fine")


def typed(_: str) -> Iterator[Page]:
    yield say("before", 1)
    raise EncryptedFileError("Page 2 is locked.", hint="Unlock it.", page=2)


def untyped(_: str) -> Iterator[Page]:
    yield say("before")
    raise KeyError("missing xref")


def short_of_bytes(_: str) -> Iterator[Page]:
    yield say("before")
    raise EOFError("image file is truncated")


def foreign(_: str) -> Iterator[Page]:
    yield Page(elements=(Element(kind=Kind.TEXT, attributes={"path": Path("/")}),))


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch " + os.environ["HOME"] + "/unpickled",)


def poisoned(_: str) -> Iterator[Page]:
    yield Page(elements=(Element(kind=Kind.TEXT, attributes={"bomb": Bomb()}),))


def environment(_: str) -> Iterator[Page]:
    yield say("\n".join(f"{name}={value}" for name, value in os.environ.items()))


def state(_: str) -> Iterator[Page]:
    core = resource.getrlimit(resource.RLIMIT_CORE)
    memory = resource.getrlimit(resource.RLIMIT_AS)[0]
    yield say([core, memory, "grpc" in sys.modules, "dagster" in sys.modules, "pymilvus" in sys.modules])


def connect(argument: str) -> Iterator[Page]:
    tries = []
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.socket(family).connect(("127.0.0.1", int(argument)))
            tries.append("connected")
        except OSError as error:
            tries.append(type(error).__name__)
    child = f"import socket; socket.create_connection(('127.0.0.1', {argument}))"
    tries.append(str(subprocess.call([sys.executable, "-c", child], stderr=subprocess.DEVNULL)))
    yield say(" ".join(tries))


def orphan(_: str) -> Iterator[Page]:
    yield say(subprocess.Popen(["sleep", "600"]).pid)
    os.abort()


def orphan_at_rest(_: str) -> Iterator[Page]:
    yield say(subprocess.Popen(["sleep", "600"]).pid)
    time.sleep(600)


def heavy(argument: str) -> Iterator[Page]:
    yield say("z" * int(argument))


FAULTS: dict[str, Callable[[str], Iterator[Page]]] = {
    function.__name__: function
    for function in (
        *(
            orphan_at_rest,
            count,
            pid,
            sleeper,
            spin_in_c,
            drip,
            endless,
            progress,
            segfault,
            abort,
            leave,
            kill_parent_first,
            gorge,
        ),
        *(
            recurse,
            noise,
            typed,
            untyped,
            short_of_bytes,
            foreign,
            poisoned,
            environment,
            state,
            connect,
            orphan,
            heavy,
        ),
    )
}
