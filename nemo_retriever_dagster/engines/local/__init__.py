"""Engines that run in this process: no GPU, no network, no key."""
