"""Messages between a parser process and its owner: whole however they arrive, and nothing but values of pages."""

import enum
import pickle
import socket
import threading

import pytest

from nemo_retriever_dagster.errors import CorruptFileError
from nemo_retriever_dagster.extract import wire
from nemo_retriever_dagster.extract.contract import Page
from nemo_retriever_dagster.model import Box, Cell, Element, Kind, Picture, Table, Word

MOST = 1 << 26
PAGE = Page(
    number=3,
    size=(612.0, 792.0),
    elements=(
        Element(kind=Kind.TEXT, text="a block", box=Box(1, 2, 3, 4), attributes={"hidden": True}),
        Element(kind=Kind.TABLE, table=Table(cells=(Cell(row=0, column=0, text="cell"),)), inside=Kind.CHART),
    ),
    scan=Picture(data=b"\x89PNG", width=10, height=20),
    words=(Word(text="word", box=Box(0, 0, 1, 1)),),
)


def patience() -> wire.Patience:
    return wire.Patience(idle=5.0, total=5.0)


def bytes_of(*messages: object) -> bytes:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        for message in messages:
            wire.send(ours, message)
        ours.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: theirs.recv(1 << 16), b""))


def test_a_page_is_read_where_python_pickles_enumerations_by_getattr(monkeypatch):
    """As Python does from 3.11.0 to 3.11.3, Debian 12's own (3.11.2) among them."""
    monkeypatch.setattr(enum.Enum, "__reduce_ex__", lambda member, _protocol: (getattr, (type(member), member.name)))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire.send(ours, PAGE)
        assert wire.Incoming(theirs).receive(patience(), at_most=MOST) == PAGE


def _dribble(sock: socket.socket, data: bytes, piece: int) -> None:
    for at in range(0, len(data), piece):
        sock.sendall(data[at : at + piece])


@pytest.mark.parametrize("piece", [5, 1 << 20])
def test_messages_come_whole_in_whatever_pieces(piece):
    data = bytes_of(PAGE, PAGE, wire.Finished())
    ours, theirs = socket.socketpair()
    with ours, theirs:
        incoming = wire.Incoming(theirs)
        sender = threading.Thread(target=_dribble, args=(ours, data, piece))
        sender.start()
        assert [incoming.receive(patience(), at_most=MOST) for _ in range(3)] == [PAGE, PAGE, wire.Finished()]
        sender.join()
        ours.close()
        with pytest.raises(EOFError):
            incoming.receive(patience(), at_most=MOST)


def test_values_are_rebuilt_field_by_field():
    error = wire.Finished(error=CorruptFileError("not a PDF", page=2), reusable=False)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        incoming = wire.Incoming(theirs)
        for message in (PAGE, error):
            wire.send(ours, message)
        assert incoming.receive(patience(), at_most=MOST) == PAGE
        found = incoming.receive(patience(), at_most=MOST)
        assert isinstance(found, wire.Finished)
        assert isinstance(found.error, CorruptFileError)
        assert (found.error.message, found.error.page, found.reusable) == ("not a PDF", 2, False)


def test_a_message_larger_than_allowed_is_refused_before_it_is_read():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall((1 << 40).to_bytes(8, "big"))
        with pytest.raises(wire.ProtocolError, match="is announced"):
            wire.Incoming(theirs).receive(patience(), at_most=MOST)


class _Call:
    def __init__(self, function: object, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.function, self.arguments


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(_Call(wire._rebuilt, socket.socket, ()), id="a kind that is none of ours"),
        pytest.param(_Call(wire._rebuilt, Page, (1, 2)), id="too few fields"),
        pytest.param(_Call(wire._rebuilt, dict, ()), id="a builtin"),
        pytest.param(_Call(print, "executed"), id="a call"),
    ],
)
def test_nothing_but_values_of_pages_is_made(message, capfd):
    data = pickle.dumps(message)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(len(data).to_bytes(8, "big") + data)
        with pytest.raises(wire.ProtocolError):
            wire.Incoming(theirs).receive(patience(), at_most=MOST)
    assert capfd.readouterr().out == ""
