"""What is said about a slide and not shown on it: the speaker's notes and the reviewers' comments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import CorruptFileError
from nemo_retriever_dagster.extract.ooxml import every, first, q
from nemo_retriever_dagster.extract.pptx_text import body_text, paragraph_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element

    from nemo_retriever_dagster.extract.ooxml import Package

Remark = tuple[str, str, dict[str, str]]
"""The text, what it is (``notes`` or ``comment``), and more about it."""


def notes(package: Package, slide: str) -> Iterator[Remark]:
    """Yield the speaker's notes of a slide, one text."""
    part = package.link(slide, "notesSlide")
    if not part:
        return
    bodies = [
        node
        for node in package.xml(part).iter(q("p:sp"))
        if (placeholder := first(node, "p:nvSpPr/p:nvPr/p:ph")) is not None and placeholder.get("type") == "body"
    ]
    text = "\n".join(filter(None, (body_text(first(node, "p:txBody")) for node in bodies)))
    if text:
        yield f"Speaker notes: {text}", "notes", {}


def comments(package: Package, show: str, slide: str) -> Iterator[Remark]:
    """Yield the comments on a slide and the replies to them, of the old kind and of the threaded one."""
    authors = dict(_authors(package, show))
    for link in package.links(slide).values():
        if link.kind != "comments" or link.external:
            continue
        for node in package.xml(link.target).iter():
            if not isinstance(node.tag, str) or _local(node) not in {"cm", "reply"}:
                continue
            author = authors.get(node.get("authorId", ""), "")
            if text := _comment_text(node):
                label = f"Comment ({author})" if author else "Comment"
                yield f"{label}: {text}", "comment", {"author": author}


def _comment_text(node: _Element) -> str:
    plain = first(node, "p:text")
    if plain is not None:
        return (plain.text or "").strip()
    body = next((child for child in node if isinstance(child.tag, str) and _local(child) == "txBody"), None)
    return "\n".join(filter(None, map(paragraph_text, every(body, "a:p"))))


def _authors(package: Package, show: str) -> Iterator[tuple[str, str]]:
    for link in package.links(show).values():
        if link.kind not in {"commentAuthors", "authors"} or link.external:
            continue
        try:
            root = package.xml(link.target)
        except CorruptFileError:
            continue  # comments stand without their author's name
        for node in root:
            yield node.get("id", ""), node.get("name", "")


def _local(node: _Element) -> str:
    return str(node.tag).rpartition("}")[2]
