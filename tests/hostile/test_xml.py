"""XML that attacks its reader: external entities, entity bombs, hidden document types, depth, sheer number."""

from __future__ import annotations

import socket
import zipfile
from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster.errors import CorruptFileError, DataError, LimitExceededError
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.workers import ParserPool
from nemo_retriever_dagster.extract.xml import safe_xml
from nemo_retriever_dagster.limits import Budget, Limits

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary-5f2c"


def read(data: bytes, limits: Limits | None = None) -> str:
    return "".join(safe_xml(data, Budget(limits or Limits())).itertext())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_good_xml_is_read_in_its_encoding(encoding):
    name = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{name}"?><a><!-- no --><b x="&lt;1">é &amp; &#x42;</b><![CDATA[<c>]]></a>'
    assert read(text.encode(encoding)) == "é & B<c>"


@pytest.fixture
def canary(tmp_path: Path):
    secret = tmp_path / "secret.txt"
    secret.write_text(CANARY)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield secret.as_uri(), f"http://127.0.0.1:{server.getsockname()[1]}/x.dtd"
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


ATTACKS = {
    "external entity": '<!DOCTYPE a [<!ENTITY e SYSTEM "{0}">]><a>&e;</a>',
    "external entity over the network": '<!DOCTYPE a [<!ENTITY e SYSTEM "{1}">]><a>&e;</a>',
    "external subset": '<!DOCTYPE a SYSTEM "{1}"><a/>',
    "parameter entity": '<!DOCTYPE a [<!ENTITY % p SYSTEM "{1}"> %p;]><a/>',
    "entity in an attribute": '<!DOCTYPE a [<!ENTITY e "{0}">]><a b="&e;"/>',
    "billion laughs": '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>',
    "behind a comment": '<!-- <a --><!DOCTYPE a [<!ENTITY e SYSTEM "{0}">]><a>&e;</a>',
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-32", "utf-7", "cp037"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_document_type_is_refused_in_whatever_encoding(canary, attack, encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?>' + ATTACKS[attack].format(*canary)
    with pytest.raises(CorruptFileError):
        read(text.encode(encoding))


def test_a_document_type_hidden_by_utf7_is_refused(canary):
    """The declaration alone is plain; what follows means ``<!DOCTYPE`` only to a reader that believes it."""
    text = ATTACKS["external entity"].format(*canary).replace("<", "+ADw-").replace("!", "+ACE-").replace("&", "+ACY-")
    with pytest.raises(CorruptFileError):
        read(b'<?xml version="1.0" encoding="UTF-7"?>' + text.encode())


@pytest.mark.parametrize("include", ['<xi:include href="{0}" parse="text"/>', '<?xml-stylesheet href="{1}"?>'])
def test_nothing_else_is_fetched(canary, include):
    text = f'<a xmlns:xi="http://www.w3.org/2001/XInclude">{include.format(*canary)}rest</a>'
    assert read(text.encode()) == "rest"


def test_the_limit_of_depth_is_exact():
    limits = Limits(depth=100)
    assert read(b"<a>" * 100 + b"x" + b"</a>" * 100, limits) == "x"
    with pytest.raises(LimitExceededError, match="depth"):
        read(b"<a>" * 101 + b"x" + b"</a>" * 101, limits)


@pytest.mark.parametrize("levels", [10_000, 300_000])
def test_deep_nesting_is_refused(levels):
    with pytest.raises(LimitExceededError, match="depth"):
        read(b"<a>" * levels + b"</a>" * levels, Limits())


@pytest.mark.parametrize("flood", [b"<a/>", b"<a></a>", b"<a b='' c=''/>", b"<!---->", b"<?a?>"])
def test_a_flood_of_nodes_is_refused(flood):
    with pytest.raises(LimitExceededError, match="xml_nodes"):
        read(b"<r>" + flood * 300_000 + b"</r>", Limits(xml_nodes=50_000))


def test_a_flood_of_attributes_is_refused():
    attributes = b"".join(b' a%d=""' % n for n in range(300_000))
    with pytest.raises(LimitExceededError, match="xml_nodes"):
        read(b"<r" + attributes + b"/>", Limits(xml_nodes=50_000))


def test_a_huge_text_is_no_attack():
    assert len(read(b"<a>" + b"x" * 12_000_000 + b"</a>")) == 12_000_000


@pytest.mark.parametrize(
    "broken", [b"", b"   ", b"no xml", b"<a>", b"<a></b>", b"<a>\xff\xfe</a>", b"\xff\xfe", b"<a>&e;</a>"]
)
def test_broken_xml_is_corrupt(broken):
    with pytest.raises(CorruptFileError):
        read(broken)


def test_the_corpus_file_with_an_external_entity_is_an_error(shared):
    path = shared / "corpora/dev/files/ExternalEntityInText.docx"
    with ParserPool(1) as pool, pytest.raises(DataError, match="DOCTYPE"):
        list(pool.pages(path, ExtractOptions(format="docx")))


def test_external_targets_of_an_office_file_are_not_fetched(canary, tmp_path):
    secret, url = canary
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    relations = "".join(
        f'<Relationship Id="x{n}" Type="{office}/{kind}" Target="{target}" TargetMode="External"/>'
        for n, (kind, target) in enumerate(
            [("image", url), ("attachedTemplate", url), ("oleObject", url), ("image", secret), ("subDocument", secret)]
        )
    )
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r" Type="{office}/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels": f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{relations}</Relationships>',
        "word/document.xml": f'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:r="{office}" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main">'
        '<w:body><w:p><w:r><w:t>visible</w:t></w:r><w:r><w:drawing><a:blip r:link="x0"/><a:blip r:link="x3"/></w:drawing></w:r></w:p><w:subDoc r:id="x4"/></w:body></w:document>',
    }
    path = tmp_path / "linked.docx"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    with ParserPool(1) as pool:
        pages = list(pool.pages(path, ExtractOptions(format="docx")))
    found = repr(pages)
    assert "visible" in found
    assert CANARY not in found
