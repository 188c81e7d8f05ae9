"""Vector stores: the port in `contract`, Milvus in `milvus`; nobody outside this room speaks Milvus."""
