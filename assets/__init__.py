"""The corpora of this code location, one file each."""
