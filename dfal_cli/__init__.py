"""dfal: choose which images to label next (DFAL, arXiv:1802.09841)."""

__version__ = "0.2.0"
