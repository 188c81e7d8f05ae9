"""Fixtures of the tests that use a whole deployment."""

from servers.apart_site import apart_site
from servers.dagster_site import site

__all__ = ["apart_site", "site"]
