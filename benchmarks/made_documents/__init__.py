"""Made documents with known text: what is in them (`cases`), and one writer for each language of markup."""
