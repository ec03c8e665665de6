"""The labelling page: a local server, and the page (in `page/`) that people answer query lists on."""
