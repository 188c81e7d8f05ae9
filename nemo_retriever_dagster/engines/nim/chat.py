"""Addresses of chat models."""

from __future__ import annotations


def chat_url(url: str) -> str:
    """Complete a server's address, or its ``/v1``, to the chat completions route; leave other paths alone."""
    if url.count("/") <= 2:  # noqa: PLR2004 - only the two of "://": there is no path
        return f"{url}/v1/chat/completions"
    return f"{url}/chat/completions" if url.endswith("/v1") else url
