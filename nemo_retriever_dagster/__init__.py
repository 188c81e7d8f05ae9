"""Keep a Milvus RAG index true to a changing pile of documents, as partitioned Dagster assets."""
