"""From what the detection models return to what a document has: thresholds, overlaps, cells, chart text, frames.

All functions are pure; boxes are in pixels of the picture that was looked at.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from nemo_retriever_dagster.model import Box, Cell, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.engines.ports import Region
    from nemo_retriever_dagster.model import Picture, Word

CHART_LABELS = (
    *("chart_title", "x_title", "xlabel", "y_title", "ylabel"),
    *("legend_label", "legend_title", "mark_label", "value_label", "other"),
)
"""The parts of a chart, in the order in which its text is put together."""
_SCORES = {"chart": 0.01, "infographic": 0.01}  # page-elements v3; the others 0.1
_SCORE = 0.1
_SAME = 0.25  # overlap of two boxes of one label that mean one thing
_FUSED = 0.01  # the same for page elements
_TITLED = 0.1  # of the page: a title this near belongs to the table or chart
_COVERED = 0.9
_IN_CELL = 0.25  # share of a word that must lie in a cell
_IN_BAND = 0.5  # share of a row (column) that a spanning cell must cover
_WIDE_TITLE = 0.3  # of the chart
_BLANK = 0.6  # of the height of the type: a wider gap parts two labels


def distinct(regions: Iterable[Region]) -> list[Region]:
    """Drop regions of low confidence, and of one label all but the surest of those that overlap."""
    kept: list[Region] = []
    for region in sorted(regions, key=lambda one: -one.confidence):
        rivals = (one for one in kept if one.label == region.label)
        sure = region.confidence >= _SCORES.get(region.label, _SCORE)
        if sure and region.box.area > 0 and all(region.box.iou(one.box) <= _SAME for one in rivals):
            kept.append(region)
    return kept


def page_regions(regions: Iterable[Region], size: tuple[float, float]) -> list[Region]:
    """Return the regions of a page in reading order.

    Overlapping boxes of one label become the one around them, with the highest confidence; a table or chart takes in
    the title next to it, unless that is nearer to another one; text that a table or chart covers is left out.
    """
    sure = [one for one in regions if one.confidence >= _SCORES.get(one.label, _SCORE) and one.box.area > 0]
    fused = _fused(sure)
    figures = [one for one in fused if one.label in {"table", "chart"}]
    grown = _with_titles(figures, [one for one in fused if one.label == "title"], size)
    rest = [one for one in fused if one not in figures]
    free = [one for one in rest if not (one.label in {"paragraph", "title"} and _is_covered(one, grown))]
    width, height = size
    return sorted([*grown, *free], key=lambda one: 10 * one.box.y0 / height + one.box.x0 / width)


def _fused(regions: Sequence[Region]) -> list[Region]:
    """Join overlapping boxes of one label until none overlap: a joined one may reach a third."""
    kept: list[Region] = []
    for region in sorted(regions, key=lambda one: -one.box.area):
        joined = region
        while (same := next((one for one in kept if _is_same(one, joined)), None)) is not None:
            kept.remove(same)
            confidence = max(same.confidence, joined.confidence)
            joined = replace(same, box=same.box.union(joined.box), confidence=confidence)
        kept.append(joined)
    return kept


def _is_same(one: Region, other: Region) -> bool:
    return one.label == other.label and one.box.iou(other.box) > _FUSED


def _is_covered(region: Region, figures: Sequence[Region]) -> bool:
    return any(region.box.covered_by(figure.box) > _COVERED for figure in figures)


def _with_titles(figures: Sequence[Region], titles: Sequence[Region], size: tuple[float, float]) -> list[Region]:
    """Return the figures with their titles taken in: a title is the nearest figure's, the lower one's between two."""
    own: dict[Box, list[tuple[float, Box]]] = defaultdict(list)
    for title in titles:
        near = [(_distance(figure.box, title.box, size), -figure.box.y0, figure.box) for figure in figures]
        distance, _, figure_box = min(near, default=(1.0, 0.0, title.box))
        if distance <= _TITLED:
            own[figure_box].append((distance, title.box))
    return [replace(one, box=one.box.union(min(own[one.box])[1])) if own[one.box] else one for one in figures]


def _distance(a: Box, b: Box, size: tuple[float, float]) -> float:
    """Return the gap between two boxes, as a share of the page."""
    across = max(a.x0 - b.x1, b.x0 - a.x1, 0.0) / size[0]
    down = max(a.y0 - b.y1, b.y0 - a.y1, 0.0) / size[1]
    return float((across**2 + down**2) ** 0.5)


def table_from(regions: Sequence[Region], words: Sequence[Word]) -> Table | None:
    """Put words into the cells that table structure found; None where it found no rows or no columns.

    Boxes of regions and words are in one unit. A cell that covers several rows or columns spans them; words in no cell
    go to the nearest row and column, so that none is lost. The row under a ``header`` region is a header row.
    """
    rows = _bands(_boxes(regions, "row") or _boxes(regions, "cell"), vertical=True)
    columns = _bands(_boxes(regions, "column") or _boxes(regions, "cell"), vertical=False)
    if not rows or not columns:
        return None
    places = _spans(_boxes(regions, "cell"), rows, columns)
    headers = _boxes(regions, "header")
    texts: dict[tuple[int, int], list[Word]] = defaultdict(list)
    for word in words:
        texts[_place(word, places, rows, columns)].append(word)
    spans = {(row, column): (down, across) for _, row, column, down, across in places}
    for key in texts:
        spans.setdefault(key, (1, 1))
    cells = [
        Cell(
            row=row,
            column=column,
            text=text_of(texts.get((row, column), ())),
            row_span=down,
            column_span=across,
            header=any(_middle_in(rows[row], header) for header in headers),
        )
        for (row, column), (down, across) in sorted(spans.items())
    ]
    return Table(cells=tuple(cells)) if any(cell.text for cell in cells) else None


_Band = tuple[float, float]
_Placed = tuple[Box, int, int, int, int]


def _boxes(regions: Iterable[Region], label: str) -> list[Box]:
    return [region.box for region in regions if region.label == label]


def _middle_in(band: _Band, box: Box) -> bool:
    return box.y0 <= sum(band) / 2 <= box.y1


def _bands(boxes: Iterable[Box], *, vertical: bool) -> list[_Band]:
    """Return the rows (columns) that the boxes make, sorted; boxes that lie mostly in a known one make none."""
    edges = sorted(((b.y0, b.y1) if vertical else (b.x0, b.x1) for b in boxes), key=lambda e: e[1] - e[0])
    bands: list[_Band] = []
    for low, high in edges:
        if all(_common((low, high), band) < _IN_BAND * (band[1] - band[0]) for band in bands):
            bands.append((low, high))
    return sorted(bands)


def _common(a: _Band, b: _Band) -> float:
    return max(min(a[1], b[1]) - max(a[0], b[0]), 0.0)


def _spans(cells: Sequence[Box], rows: Sequence[_Band], columns: Sequence[_Band]) -> list[_Placed]:
    """Return each cell's box, first row and column, and how many it covers; of cells on one place the larger stays."""
    found: list[_Placed] = []
    taken: set[tuple[int, int]] = set()
    for box in sorted(cells, key=lambda cell: -cell.area):
        down = _covered_bands((box.y0, box.y1), rows)
        across = _covered_bands((box.x0, box.x1), columns)
        fields = {(row, column) for row in down for column in across}
        if fields and not fields & taken:
            taken |= fields
            found.append((box, down[0], across[0], len(down), len(across)))
    return found


def _covered_bands(edge: _Band, bands: Sequence[_Band]) -> list[int]:
    return [i for i, band in enumerate(bands) if _common(edge, band) >= _IN_BAND * (band[1] - band[0])]


def _place(word: Word, placed: Sequence[_Placed], rows: Sequence[_Band], columns: Sequence[_Band]) -> tuple[int, int]:
    best = max(placed, key=lambda cell: word.box.covered_by(cell[0]), default=None)
    if best is not None and word.box.covered_by(best[0]) >= _IN_CELL:
        return best[1], best[2]
    row = _nearest((word.box.y0, word.box.y1), rows)
    column = _nearest((word.box.x0, word.box.x1), columns)
    inside = (c for c in placed if c[1] <= row < c[1] + c[3] and c[2] <= column < c[2] + c[4])
    spanning = next(inside, None)
    return (spanning[1], spanning[2]) if spanning else (row, column)


def _nearest(edge: _Band, bands: Sequence[_Band]) -> int:
    middle = sum(edge) / 2
    return min(range(len(bands)), key=lambda i: (-_common(edge, bands[i]), abs(sum(bands[i]) / 2 - middle)))


def text_of(words: Sequence[Word]) -> str:
    """Join words line by line, from left to right: the text of a cell or of a small area."""
    if not words:
        return ""
    height = median(word.box.height for word in words) or 1.0
    lines: list[list[Word]] = []
    for word in sorted(words, key=lambda one: one.box.y0 + one.box.y1):
        middle = (word.box.y0 + word.box.y1) / 2
        if lines and middle - (lines[-1][0].box.y0 + lines[-1][0].box.y1) / 2 < height / 2:
            lines[-1].append(word)
        else:
            lines.append([word])
    return " ".join(word.text for line in lines for word in sorted(line, key=lambda one: one.box.x0))


def chart_text(regions: Sequence[Region], words: Sequence[Word], size: tuple[float, float]) -> str:
    """Return the text of a chart: titles, labels and values in a fixed order of their kinds.

    ``words`` are pieces of text (lines or paragraphs) in the chart. Each counts as the kind of the region it overlaps
    most; within a kind, pieces are joined with a blank (titles) or with `` - ``. Without a title, the largest ``other``
    region that is wide enough is one. Text in no region comes last, so that none is lost.
    """
    regions = _titled(regions, size)
    pieces: dict[str, list[str]] = defaultdict(list)
    for word in words:
        pieces[_kind_of(word, regions)].append(word.text.strip())
    joined = ((" " if kind.endswith("title") else " - ").join(pieces[kind]) for kind in CHART_LABELS)
    return " ".join(text for text in joined if text)


def _titled(regions: Sequence[Region], size: tuple[float, float]) -> list[Region]:
    wide = [one for one in regions if one.label == "other" and one.box.width > _WIDE_TITLE * size[0]]
    if not wide or any(one.label == "chart_title" for one in regions):
        return list(regions)
    title = max(wide, key=lambda one: one.box.area)
    return [replace(one, label="chart_title") if one is title else one for one in regions]


def _kind_of(word: Word, regions: Sequence[Region]) -> str:
    scores = [word.box.covered_by(region.box) * word.box.iou(region.box) for region in regions]
    best = max(scores, default=0.0)
    return regions[scores.index(best)].label if best > 0 else "other"


def unpadded(box: Box, place: Box, frame: tuple[float, float], picture: Picture) -> Box:
    """Take a box, in shares of a padded frame, back to pixels of the picture that lies at ``place`` in the frame."""
    inside = box.scale(*frame).intersect(place)
    x, y = picture.width / place.width, picture.height / place.height
    x0, x1 = sorted((inside.x0, inside.x1))
    y0, y1 = sorted((inside.y0, inside.y1))
    return Box((x0 - place.x0) * x, (y0 - place.y0) * y, (x1 - place.x0) * x, (y1 - place.y0) * y)


def phrases(words: Sequence[Word]) -> list[Word]:
    """Join words that stand on one line with no more than a blank between them, and sort them as they are read.

    A label of several words is one phrase; labels side by side stay apart.
    """
    found: list[Word] = []
    for word in sorted(words, key=lambda one: (one.box.x0, one.box.y0)):
        at = next((i for i, one in enumerate(found) if _goes_on(one, word)), None)
        if at is None:
            found.append(word)
        else:
            text, box = f"{found[at].text} {word.text}", found[at].box.union(word.box)
            found[at] = replace(found[at], text=text, box=box, confidence=min(found[at].confidence, word.confidence))
    height = median(word.box.height for word in found) if found else 1.0
    return sorted(found, key=lambda one: (round(one.box.y0 / (height or 1.0)), one.box.x0))


def _goes_on(phrase: Word, word: Word) -> bool:
    height = min(phrase.box.height, word.box.height)
    on_line = _common((phrase.box.y0, phrase.box.y1), (word.box.y0, word.box.y1)) > height / 2
    return on_line and -height < word.box.x0 - phrase.box.x1 < _BLANK * height
