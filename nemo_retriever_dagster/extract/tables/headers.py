"""Which rows of a table are its header."""
from __future__ import annotations
from nemo_retriever_dagster.model import Table
def mark_headers(table: Table) -> Table:
    return table
