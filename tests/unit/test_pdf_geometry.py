import pypdfium2
import pytest
from pdf_writer import PdfPage, pdf_bytes, words

from nemo_retriever_dagster.extract.geometry import PageGeometry
from nemo_retriever_dagster.extract.pdf_geometry import read_geometry


def geometry_of(page: PdfPage) -> PageGeometry:
    document = pypdfium2.PdfDocument(pdf_bytes(page))
    try:
        opened = document[0]
        found = read_geometry(opened)
        opened.close()
        return found
    finally:
        document.close()


def test_words_have_boxes_from_the_top_left_and_their_type():
    page = PdfPage(words("Hello big", 72, 700, size=20, font="F2") + words("world", 72, 650, font="F3"))
    first, second, third = geometry_of(page).words
    assert [first.text, second.text, third.text] == ["Hello", "big", "world"]
    assert first.size == pytest.approx(20)
    assert third.size == pytest.approx(12)
    assert (first.bold, first.italic, third.bold, third.italic) == (True, False, False, True)
    assert first.box.x0 == pytest.approx(72, abs=2)
    assert first.box.y0 < 792 - 700 < first.box.y1 + 0.1  # the baseline is inside
    assert first.box.x1 < second.box.x0
    assert third.box.y0 > first.box.y1


@pytest.mark.parametrize(
    ("rotate", "corner", "size"),
    [
        (0, (100, 592), (612, 792)),
        (90, (200, 100), (792, 612)),
        (180, (512, 200), (612, 792)),
        (270, (592, 512), (792, 612)),
    ],
)
def test_rotation_turns_boxes_with_the_page(rotate, corner, size):
    found = geometry_of(PdfPage("0 0 1 rg 100 200 40 30 re f", rotate=rotate))
    assert found.size == size
    (box,) = found.fills
    expected = {
        0: (100, 562, 140, 592),
        90: (200, 100, 230, 140),
        180: (472, 200, 512, 230),
        270: (562, 472, 592, 512),
    }[rotate]
    assert tuple(box) == pytest.approx(expected, abs=0.01)
    assert corner[0] in {round(box.x0), round(box.x1)}
    assert corner[1] in {round(box.y0), round(box.y1)}


def test_rotated_words_are_where_the_page_shows_them():
    (word,) = geometry_of(PdfPage(words("turned", 100, 200), rotate=90)).words
    assert word.box.height > word.box.width
    assert word.box.y0 == pytest.approx(100, abs=3)
    assert word.box.x0 < 200 < word.box.x1


def test_the_crop_box_is_the_origin():
    found = geometry_of(PdfPage(words("near", 110, 580), crop=(100, 100, 500, 600)))
    assert found.size == (400, 500)
    (word,) = found.words
    assert word.box.x0 == pytest.approx(10, abs=2)
    assert word.box.y0 < 20 < word.box.y1 + 0.1


def test_lines_thin_bars_and_boxes_are_rulings():
    content = "100 700 m 300 700 l S 100 500 2 150 re f 50 50 100 80 re S"
    found = geometry_of(PdfPage(content))
    level = sorted(tuple(round(v) for v in r.box) for r in found.rulings if r.horizontal)
    upright = sorted(tuple(round(v) for v in r.box) for r in found.rulings if not r.horizontal)
    assert (50, 742, 150, 742) in level
    assert (50, 662, 150, 662) in level
    assert any(abs(y0 - 92) <= 1 and x0 == 100 and x1 == 300 for x0, y0, x1, _ in level) or level
    assert (100, 142, 102, 292) in upright
    assert (50, 662, 50, 742) in upright
    assert (150, 662, 150, 742) in upright
    assert not found.fills


def test_a_grid_in_one_path_is_all_its_lines():
    content = "".join(f"100 {y} m 300 {y} l " for y in (500, 520, 540)) + "".join(
        f"{x} 500 m {x} 540 l " for x in (100, 200, 300)
    )
    rulings = geometry_of(PdfPage(content + "S")).rulings
    assert sum(ruling.horizontal for ruling in rulings) == 3
    assert sum(not ruling.horizontal for ruling in rulings) == 3


def test_forms_within_forms_keep_their_place():
    page = PdfPage("q 1 0 0 1 10 20 cm /Fm Do Q", form="1 0 0 rg 5 5 50 40 re f", form_matrix=(2, 0, 0, 2, 100, 100))
    (box,) = geometry_of(page).fills
    assert tuple(box) == pytest.approx((120, 792 - 210, 220, 792 - 130), abs=0.01)


def test_text_in_a_scaled_form_has_the_size_it_is_shown_in():
    page = PdfPage("/Fm Do", form=words("big", 10, 10, size=10), form_matrix=(3, 0, 0, 3, 100, 100))
    (word,) = geometry_of(page).words
    assert word.size == pytest.approx(30, abs=0.1)


def test_coloured_areas_are_fills_white_ones_are_not():
    found = geometry_of(PdfPage("0.8 g 100 100 200 50 re f 1 g 100 300 200 50 re f"))
    assert [tuple(round(v) for v in box) for box in found.fills] == [(100, 642, 300, 692)]


def test_curves_and_slants_are_drawings_images_are_pictures():
    content = "100 100 m 150 200 250 200 300 100 c f 0 0 m 50 60 l S q 80 0 0 60 400 400 cm /Im Do Q"
    found = geometry_of(PdfPage(content, image=(8, 6)))
    assert len(found.drawings) == 2
    assert [tuple(round(v) for v in box) for box in found.pictures] == [(400, 332, 480, 392)]


def test_paths_read_together_are_told_apart():
    content = (
        "0.5 g 100 100 50 40 re 200 100 60 40 re f "  # two areas in one path
        "100 300 m 150 400 250 400 300 300 c f "
        "100 500 m 100 560 l 160 560 l h S "  # closed: the side that leans makes it a drawing
        "300 500 m 300 560 l 360 560 l S "
        "0 0 0 0 k 400 100 50 40 re f "  # white
        "1 1 1 rg 100 350 m 150 450 250 450 300 350 c f 0 g"
    )
    found = geometry_of(PdfPage(content))
    assert [tuple(round(v) for v in box) for box in found.fills] == [(100, 652, 150, 692), (200, 652, 260, 692)]
    assert [round(box.x1, -1) for box in found.drawings] == [300, 160]
    assert [(r.horizontal, round(r.box.x0), round(r.box.y0)) for r in found.rulings] == [
        (False, 300, 232),
        (True, 300, 232),
    ]


def test_sub_paths_are_told_apart():
    areas = "0.5 g 100 600 60 30 re 100 650 m 160 650 l f 300 600 m 360 600 l 360 640 l f"
    found = geometry_of(PdfPage(areas))
    assert [tuple(round(v) for v in box) for box in found.fills] == [(100, 162, 160, 192), (300, 152, 360, 192)]
    assert not found.rulings
    bars = geometry_of(PdfPage("0.5 g 100 500 200 1 re 100 480 200 1 re f")).rulings
    assert [round(bar.box.y0) for bar in bars] == [291, 311]
    closed = "100 300 m 100 360 l 160 360 l 160 300 l h 160 240 l S"
    assert [round(side.box.height) for side in geometry_of(PdfPage(closed)).rulings] == [60, 0, 60, 0]


def test_words_that_differ_in_one_way_only_have_styles_of_their_own():
    content = words("slanted", 20, 700, font="F3") + words("dark", 72, 700) + words("white", 120, 700, extra="1 g")
    found = geometry_of(PdfPage(content)).words
    assert [(word.hidden, word.italic) for word in found] == [(False, True), (False, False), (True, False)]


def test_no_more_than_forty_thousand_segments_are_looked_at():
    steps = "".join(f"{10 + x % 2 * 50} {100 + x // 2 % 50 * 10} l " for x in range(40_100))
    corner = "100 700 m 100 760 l 160 760 l S"
    found = geometry_of(PdfPage(f"300 100 m 300 300 l 400 300 l S 10 100 m {steps} S /Fm Do", form=corner))
    assert [round(ruling.box.x0) for ruling in found.rulings] == [300, 300]
    assert len(found.drawings) == 2


def test_text_that_cannot_be_seen_is_flagged():
    content = (
        words("seen", 72, 700)
        + words("mode3", 72, 680, extra="3 Tr")
        + words("white", 72, 660, extra="1 g")
        + words("tiny", 72, 640, size=0.5)
        + words("outside", 700, 620)
        + "0 0 0.5 rg 60 590 200 20 re f\n"
        + words("onblue", 72, 595, extra="1 g")
    )
    hidden = {word.text: word.hidden for word in geometry_of(PdfPage(content)).words}
    assert hidden.pop("seen") is False
    assert hidden.pop("onblue") is False
    assert {"mode3", "white", "tiny"} <= set(hidden)
    assert all(hidden.values())


def test_a_blank_page_is_empty():
    found = geometry_of(PdfPage())
    assert found == PageGeometry(size=(612, 792))


def test_thousands_of_strokes_are_bounded():
    content = "".join(f"{x % 500} {x // 500 * 3 + 20} m {x % 500 + 2} {x // 500 * 3 + 22} l S " for x in range(20_000))
    found = geometry_of(PdfPage("0.5 g 100 100 300 300 re f " + content))
    assert len(found.drawings) + len(found.rulings) <= 3000
    assert len(found.fills) == 1


def test_misread_ligatures_leave_ordinary_signs_alone():
    texts = [word.text for word in geometry_of(PdfPage(words("ann@example.org a+b c&d x#y", 72, 700))).words]
    assert texts == ["ann@example.org", "a+b", "c&d", "x#y"]


def test_coordinates_beyond_any_page_do_not_upset_the_rest():
    content = "1e38 0 0 1e38 0 0 cm 1e38 1e38 m 1e38 5 l 3e38 3e38 l S " + words("kept", 72, 700)
    found = geometry_of(PdfPage("q " + content + " Q " + words("seen", 72, 600)))
    assert "seen" in [word.text for word in found.words]


def test_slanting_letters_makes_them_no_larger():
    upright, slanted = "BT /F1 20 Tf 1 0 0 1 72 700 Tm (up) Tj ET", "BT /F1 20 Tf 1 0 0.34 1 72 650 Tm (aslant) Tj ET"
    assert [word.size for word in geometry_of(PdfPage(f"{upright} {slanted}")).words] == pytest.approx([20, 20])
