"""From files to pages of elements, in disposable processes; one format (or family), one file."""
