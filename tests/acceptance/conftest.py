"""Fixtures of the tests that use a whole deployment."""

from servers.dagster_site import site

__all__ = ["site"]
