"""Made pages with known tables: what is on them (`cases`), and one writer for each producer of PDF."""
