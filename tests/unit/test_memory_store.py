import numpy as np
import pytest

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.testing.store_filter import matcher
from nemo_retriever_dagster.vdb.milvus_filters import bind, join, literal

ROW = {
    "document": "a'b",
    "page": 3,
    "content_metadata": {"page_number": 7, "tags": ["x", "y"], "word": "Grüße", "flag": True},
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", True),
        ('document == "a\'b"', True),
        ("document == 'a\\'b'", True),
        ('document != "a\'b" or page == 3', True),
        ("page > 3 && page < 10", False),
        ("page >= 3 && !(page == 4)", True),
        ("page in [1, 2, 3] AND NOT (page in [4])", True),
        ("page not in [1, 2, 3]", False),
        ('content_metadata["page_number"] == 7 || false', True),
        ('content_metadata["tags"][1] == "y"', True),
        ('content_metadata["word"] like "Gr%"', True),
        ('content_metadata["word"] like "r%"', False),
        ('content_metadata["flag"] == true', True),
        ('content_metadata["missing"] == 7', False),
        ('content_metadata["missing"] like "x%"', False),
        ('page < "text"', False),
        ("page == -3", False),
    ],
)
def test_filter_expressions(expression: str, expected: bool) -> None:
    assert matcher(expression)(ROW) is expected


@pytest.mark.parametrize(
    "expression",
    ["document ==", "__import__('os')", "(lambda: 1)()", "document.x == 1", "page == 1; page", "[x for x in y]"],
)
def test_what_is_no_filter_is_refused(expression: str) -> None:
    with pytest.raises(InvalidOptionError, match="not understood"):
        matcher(expression)


def test_placeholders_inside_quotes_stay_text() -> None:
    bound = bind("""a == {x} and b == "{x}" and c == '{y}'""", {"x": 'q"\\\n'})
    assert bound == 'a == "q\\"\\\\\\n" and b == "{x}" and c == \'{y}\''


def test_literals() -> None:
    assert literal(value=True) == "true"
    assert literal(-5) == "-5"
    assert literal(0.5) == "0.5"
    assert literal(["a", 1]) == '["a", 1]'
    assert literal([np.float64(0.5), np.int64(3), np.bool_(True)]) == "[0.5, 3, true]"
    assert literal(np.asarray([1, 2])) == "[1, 2]"
    for bad in (None, {}, b"x", 2**63, float("inf"), np.float64("nan")):
        with pytest.raises(InvalidOptionError, match="cannot hold"):
            literal(bad)


def test_conditions_are_joined_with_parentheses() -> None:
    assert join("a == 1 or b == 2", "", "c == 3") == "(a == 1 or b == 2) and (c == 3)"
    assert join("", " ") == ""
