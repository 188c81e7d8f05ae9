"""``python -m nemo_retriever_dagster.cli``."""

from nemo_retriever_dagster.cli import main

main()
