"""Mail: a format that is one file, one registry line and these tests."""

# ruff: noqa: RUF001 -- other scripts are the point here

from __future__ import annotations

import io
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from nemo_retriever_dagster.errors import CorruptFileError, DataError, EmptyFileError, LimitExceededError
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.registry import EXTENSIONS, extractor_for
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Element]]:
    def extract(mail: EmailMessage | bytes, limits: Limits | None = None, **options: bool) -> list[Element]:
        path = tmp_path / "x.eml"
        path.write_bytes(mail if isinstance(mail, bytes) else mail.as_bytes())
        chosen = ExtractOptions(format="eml", **options)
        (page,) = extractor_for("eml").extract(path, chosen, Budget(limits=limits or Limits()))
        assert page.number == 0
        return list(page.elements)

    return extract


def mail(subject: str = "Lunch", body: str = "At noon?\n\nThe usual place.") -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "Ann <ann@example.org>", "bob@example.org", subject
    made["Date"] = "Fri, 01 Mar 2024 10:00:00 +0000"
    made.set_content(body)
    return made


def texts(elements: list[Element]) -> list[str]:
    return [element.text for element in elements]


def test_header_and_paragraphs(read):
    found = read(mail())
    assert [(e.text, e.heading) for e in found[:1]] == [("Lunch", 1)]
    header = "From: Ann <ann@example.org>\nTo: bob@example.org\nDate: Fri, 01 Mar 2024 10:00:00 +0000"
    assert (found[1].text, found[1].attributes) == (header, {"part": "header"})
    assert texts(found[2:]) == ["At noon?", "The usual place."]
    assert EXTENSIONS["eml"] == "eml"


def test_of_the_forms_of_a_message_the_html_is_read(read):
    made = mail(body="plain form")
    made.add_alternative(
        "<p>rich form</p><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>", subtype="html"
    )
    found = read(made)
    assert "plain form" not in texts(found)
    assert [element.kind for element in found[2:]] == [Kind.TEXT, Kind.TABLE]


def test_attachments_are_named_and_pictures_kept(read):
    data = io.BytesIO()
    Image.new("RGB", (80, 70)).save(data, "PNG")
    made = mail()
    made.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="r\u00e9sum\u00e9.pdf")
    made.add_attachment(data.getvalue(), maintype="image", subtype="png", filename="plan.png")
    made.add_attachment(b"broken", maintype="image", subtype="png", filename="bad.png")
    pdf, plan, bad = read(made)[-3:]
    assert "r\u00e9sum\u00e9.pdf (application/pdf, 8 bytes) was not read" in pdf.warnings[0]
    assert (plan.kind, plan.picture.width, plan.attributes) == (
        Kind.IMAGE,
        80,
        {"name": "plan.png", "look_inside": True},
    )
    assert "bad.png cannot be read" in bad.warnings[0]
    assert all(e.kind is not Kind.IMAGE for e in read(made, images=False, tables=False, charts=False))


def test_forwarded_message_stands_under_its_own_subject(read):
    made = mail("Fwd: News")
    made.add_attachment(mail("News", "Old news."))
    found = read(made)
    assert [(e.text, e.heading) for e in found if e.heading] == [("Fwd: News", 1), ("News", 3)]
    assert found[-1].text == "Old news."


def test_encoded_words_and_charsets(read):
    raw = (
        b"Subject: =?iso-8859-1?q?Gr=FC=DFe?= =?utf-8?b?4oKs?=\r\nFrom: =?unknown-8bit?q?x=FF?=\r\n"
        b"Content-Type: text/plain; charset=windows-1252\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\x80 100 f\xfcr den Gr\xfc\xdfenden\r\n"
    )
    assert texts(read(raw))[0] == "Gr\u00fc\u00dfe\u20ac"
    assert texts(read(raw))[-1] == "\u20ac 100 f\u00fcr den Gr\u00fc\u00dfenden"


@pytest.mark.parametrize(("encoding", "charset"), [("utf-8", "utf-8"), ("cp1251", "windows-1251")])
def test_headers_of_raw_bytes_are_read_as_the_message_is(read, encoding, charset):
    raw = (
        "From: Иван <ivan@x.ru>\r\nTo: =?utf-8?b?0JDQvdC90LA=?= Каренина <a@x.ru>\r\nSubject: Привет, отчёт\r\n готов\r\n"
        f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\nТело письма, проверка.\r\n"
    )
    assert texts(read(raw.encode(encoding))) == [
        "Привет, отчёт готов",
        "From: Иван <ivan@x.ru>\nTo: Анна Каренина <a@x.ru>",
        "Тело письма, проверка.",
    ]


def test_folded_headers_keep_their_blanks(read):
    raw = (
        b"To: =?iso-8859-1?Q?J=F6rg?= <d@e.f>,\r\n =?utf-8?Q?Zo=C3=AB?= <z@z.z>\r\n"
        b"Subject: =?utf-8?Q?Angebot_f=C3=BCr_?=\r\n =?utf-8?Q?M=C3?= =?utf-8?Q?=BCller?= (neu)\r\n\r\nx\r\n"
    )
    assert texts(read(raw)) == ["Angebot für Müller (neu)", "To: Jörg <d@e.f>, Zoë <z@z.z>", "x"]


def test_a_byte_order_mark_before_the_header_is_no_text(read):
    assert texts(read(b"\xef\xbb\xbf" + mail().as_bytes())) == texts(read(mail()))


@pytest.mark.parametrize(
    "rich", ["<body></body>", "<head><title>Shop</title></head><img src=a.png alt='Our logo'>", "<h1>Shop</h1>"]
)
def test_a_form_that_says_nothing_does_not_hide_the_next(read, rich):
    made = mail()
    made.add_alternative(rich, subtype="html")
    assert texts(read(made))[-2:] == ["At noon?", "The usual place."]


INVITATION = """\
BEGIN:VCALENDAR
METHOD:REQUEST
BEGIN:VTIMEZONE
DTSTART:16010101T020000
END:VTIMEZONE
BEGIN:VEVENT
UID:4711
SUMMARY;LANGUAGE=en:Meet\\, then
  lunch
DTSTART;TZID=Europe/Berlin:20240301T093000
DTEND:20240301T100000Z
LOCATION:Room 5
ORGANIZER;CN="Ann: the boss":mailto:ann@example.org
ATTENDEE:MAILTO:bob@example.org
DESCRIPTION:
BEGIN:VALARM
DESCRIPTION:REMINDER
END:VALARM
END:VEVENT
BEGIN:VEVENT
SUMMARY:Holiday
DTSTART;VALUE=DATE:20240302
"""
MEETING = """\
Summary: Meet, then lunch
Start: 2024-03-01 09:30 Europe/Berlin
End: 2024-03-01 10:00 UTC
Location: Room 5
Organizer: Ann: the boss <ann@example.org>
Attendee: bob@example.org"""


def test_an_invitation_stands_beside_the_message(read):
    made = mail()
    made.add_alternative(INVITATION, subtype="calendar")
    found = read(made)
    assert texts(found[2:]) == [
        "At noon?",
        "The usual place.",
        MEETING,
        "Summary: Holiday\nStart: 2024-03-02",
    ]
    assert found[-1].attributes == {"part": "calendar"}
    made = EmailMessage()
    made["Subject"] = "Free"
    made.set_content("BEGIN:VFREEBUSY\n", subtype="calendar")
    assert texts(read(made))[-1] == "BEGIN:VFREEBUSY"


def test_text_that_is_not_wanted_is_left_out(read):
    assert read(mail(), text=False) == []


def test_unfit_files_are_one_typed_error(read):
    with pytest.raises(EmptyFileError):
        read(b"\r\n")
    with pytest.raises(CorruptFileError, match="no header"):
        read(b"just words\n")
    with pytest.raises(CorruptFileError, match="cut off"):
        read(b"Subject: x\nContent-Type: multipart/alternative; boundary=b\n\n\n")


def test_parts_without_their_border_are_text(read):
    assert texts(read(b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\nstill here"))[-1] == "still here"
    assert "cannot be" not in str(read(b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"))


def test_an_empty_part_costs_only_itself(read):
    """Outlook Express for Macintosh gave inner parts the border of the outer one, so that they stand beside it."""
    opened = b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
    found = read(opened + b"Content-Type: multipart/alternative; boundary=b\n\n--b\n\nIt arrived.\n--b--\n")
    assert [text for text in texts(found) if text] == ["x", "It arrived."]
    assert [warning[:38] for element in found for warning in element.warnings] == [
        "A part that should hold others is empt"
    ]
    found = read(opened + b"\nSee below.\n--b\nContent-Type: message/rfc822\n\n--b--\n")
    assert [text for text in texts(found) if text] == ["x", "See below."]
    assert found[-1].warnings == ("A forwarded message without a header was not read.",)
    found = read(b"Subject: x\nContent-Type: multipart/alternative;\n\nNo border is named.\n")
    assert [text for text in texts(found) if text] == ["x", "No border is named."]


def test_a_bounce_tells_what_was_not_delivered_and_why(read):
    bounce = (
        b"Subject: failed\nContent-Type: multipart/report; boundary=b\n\n--b\n\nNobody of that name.\n"
        b"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; a.example\n\n"
        b"Final-Recipient: rfc822; bob@b.example\nStatus: 5.1.1\n\n"
        b"--b\nContent-Type: message/rfc822-headers\n\nFrom: ann@a.example\nSubject: offer\n"
        b"Content-Type: multipart/alternative; boundary=c\n\n--b--\n"
    )
    found = read(bounce)
    assert [text for text in texts(found) if text] == [
        "failed",
        "Nobody of that name.",
        "Reporting-MTA: dns; a.example",
        "Final-Recipient: rfc822; bob@b.example\nStatus: 5.1.1",
        "offer",
        "From: ann@a.example",
    ]
    assert [element.heading for element in found if element.heading] == [1, 3]
    assert not any(element.warnings for element in found)


def test_nesting_and_parts_are_bounded(read):
    opened = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(3000))
    with pytest.raises(DataError):
        read(b"Subject: deep\n" + opened.encode())
    made = mail()
    for _ in range(30):
        made.add_attachment(b"x", maintype="application", subtype="x")
    with pytest.raises(LimitExceededError, match="archive_members"):
        read(made, Limits(archive_members=20))


def test_every_cut_is_text_or_one_typed_error(read):
    made = mail()
    made.add_alternative("<p>rich</p>", subtype="html")
    made.add_attachment(b"12345" * 50, maintype="application", subtype="pdf", filename="a.pdf")
    data = made.as_bytes()
    for place in range(0, len(data), len(data) // 50):
        try:
            assert read(data[:place])
        except DataError:
            continue
