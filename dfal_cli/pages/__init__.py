"""HTML pages and curve plots for people. Each is a single self-contained file."""
