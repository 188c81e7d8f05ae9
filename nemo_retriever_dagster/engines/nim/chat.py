"""Addresses of chat models."""

from __future__ import annotations

from urllib.parse import urlsplit

from nemo_retriever_dagster.engines.addresses import completed


def chat_url(url: str) -> str:
    """Complete a server's address, or its ``/v1``, to the chat completions route; leave other paths alone."""
    path = urlsplit(url).path.rstrip("/")
    return url if path and not path.endswith("/v1") else completed(url, "/chat/completions")
