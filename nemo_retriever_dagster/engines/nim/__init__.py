"""NIM clients."""
