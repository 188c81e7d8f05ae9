"""The documents of the crash tests, before and after they change."""

from __future__ import annotations

import io
from email.message import EmailMessage
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path


class Sources:
    """A folder of small texts and pictures."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def first(self) -> None:
        self.folder.mkdir(parents=True)
        self._text("grows", 40)
        self._text("shrinks", 120)
        self._text("stays", 40)
        self._text("goes", 40)
        self._picture("sign", "red")
        self._picture("gone", "navy")

    def second(self) -> None:
        self._text("grows", 160)
        self._text("shrinks", 30)
        self._text("new", 70)
        self._picture("sign", "green")
        (self.folder / "goes.txt").unlink()
        (self.folder / "gone.eml").unlink()

    def many(self, count: int) -> None:
        """Texts of 1 to 15 chunks, every fifth a mail with a picture, of which two are the same."""
        self.folder.mkdir(parents=True)
        for n in range(count):
            if n % 5:
                self._text(f"note{n:02}", 10 + 37 * n % 150)
            else:
                self._picture(f"mail{n:02}", ("red", "green", "blue")[n % 3])

    def _text(self, name: str, words: int) -> None:
        (self.folder / f"{name}.txt").write_text(" ".join(f"{name}{n}" for n in range(words)) + ".\n")

    def _picture(self, name: str, colour: str) -> None:
        written = io.BytesIO()
        Image.new("RGB", (80, 60), colour).save(written, "PNG")
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = f"A {colour} sign", "a@example.org", "b@example.org"
        mail.set_content(f"The {name} is {colour}.\n")
        mail.add_attachment(written.getvalue(), "image", "png", filename=f"{name}.png")
        mail.set_boundary("boundary")
        (self.folder / f"{name}.eml").write_bytes(mail.as_bytes())
