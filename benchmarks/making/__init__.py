"""What the benchmarks on made pages share: options and producers (`run`), and the printing of PDFs (`printing`)."""
