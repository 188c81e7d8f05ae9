"""Engines: the ports, the clients of NIMs, and the local engines that stand in for them."""
