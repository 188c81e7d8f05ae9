"""Pictures made ready for an engine."""

from __future__ import annotations

import io

from nemo_retriever_dagster.model import Picture


def turned(picture: Picture, turns: int) -> Picture:
    """Return a picture after so many quarter turns to the left, as PNG."""
    from PIL import Image

    with Image.open(io.BytesIO(picture.data)) as opened:
        image = opened.rotate(90 * turns, expand=True)
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return Picture(data=out.getvalue(), width=image.width, height=image.height)
