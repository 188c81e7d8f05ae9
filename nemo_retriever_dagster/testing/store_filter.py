"""Milvus filter expressions over plain mappings: comparisons, ``in``, ``like``, ``and``/``or``/``not``, JSON paths."""

from __future__ import annotations

import ast
import operator
import re
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.errors import InvalidOptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nemo_retriever_dagster.model import type_json

_TOKEN = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|&&|\|\||!=|!|[A-Za-z_]\w*""", re.DOTALL)
_WORDS = {"&&": " and ", "||": " or ", "!": " not ", "true": "True", "false": "False", "like": "@"}
_KEYWORDS = {"and", "or", "not", "in", "like"}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}


class _MissingError(Exception):
    """A JSON path leads nowhere: whatever is compared with it is false."""


def matcher(expression: str) -> Callable[[Mapping[str, type_json]], bool]:
    """Return a function from a row to whether it satisfies ``expression``; "" accepts all."""
    if not expression.strip():
        return lambda _row: True
    try:
        tree = ast.parse(_TOKEN.sub(_translate, expression).strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise _unclear(expression) from error
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED):
            raise _unclear(expression)
    return lambda row: _satisfies(tree, row)


def _satisfies(tree: ast.expr, row: Mapping[str, type_json]) -> bool:
    try:
        return bool(_value(tree, row))
    except _MissingError:
        return False


_ALLOWED = (
    ast.BoolOp, ast.boolop, ast.UnaryOp, ast.Not, ast.USub, ast.Compare, ast.cmpop, ast.BinOp, ast.MatMult,
    ast.Subscript, ast.Name, ast.Load, ast.Constant, ast.List,
)  # fmt: skip


def _translate(match: re.Match[str]) -> str:
    token = match.group()
    if token[0] in "\"'":
        return repr(ast.literal_eval(token.replace("\n", "\\n")))
    token = token.lower() if token.lower() in _KEYWORDS else token
    return _WORDS.get(token, token)


def _unclear(expression: str) -> InvalidOptionError:
    return InvalidOptionError(
        f"The filter is not understood: {expression}.",
        hint='Write it like content_metadata["page_number"] == {page}, and pass filter_params={"page": 3}.',
    )


def _value(node: ast.expr, row: Mapping[str, type_json]) -> Any:
    if isinstance(node, ast.BoolOp):
        combine = all if isinstance(node.op, ast.And) else any
        return combine(_value(part, row) for part in node.values)
    if isinstance(node, ast.UnaryOp):
        inner = _value(node.operand, row)
        return not inner if isinstance(node.op, ast.Not) else -inner
    if isinstance(node, ast.Compare):
        return _compare(node, row)
    if isinstance(node, ast.BinOp):
        return _like(str(_value(node.left, row)), str(_value(node.right, row)))
    return _operand(node, row)


def _operand(node: ast.expr, row: Mapping[str, type_json]) -> Any:
    match node:
        case ast.Subscript(value=base, slice=key):
            return _item(_value(base, row), _value(key, row))
        case ast.Name(id=name):
            return _item(row, name)
        case ast.List(elts=items):
            return [_value(item, row) for item in items]
        case ast.Constant(value=value):
            return value
    raise _unclear(ast.unparse(node))


def _item(base: Any, key: Any) -> Any:
    try:
        return base[key]
    except (KeyError, IndexError, TypeError) as error:
        raise _MissingError from error


def _compare(node: ast.Compare, row: Mapping[str, type_json]) -> bool:
    try:
        values = [_value(part, row) for part in (node.left, *node.comparators)]
        pairs = zip(node.ops, values, values[1:], strict=False)
        return all(_COMPARE[type(op)](left, right) for op, left, right in pairs)
    except (_MissingError, TypeError):
        return False


def _like(text: str, pattern: str) -> bool:
    wanted = "".join(".*" if char == "%" else "." if char == "_" else re.escape(char) for char in pattern)
    return re.fullmatch(wanted, text, re.DOTALL) is not None
