"""Tables of a page, found from its words and lines alone."""

from nemo_retriever_dagster.extract.tables.find import find_tables, may_have_tables
from nemo_retriever_dagster.extract.tables.found import FoundTable

__all__ = ["FoundTable", "find_tables", "may_have_tables"]
