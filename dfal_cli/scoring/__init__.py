"""Scoring: from a pool of images to a table of measures, in a stream that can be interrupted and resumed."""
