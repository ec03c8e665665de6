"""`python -m dfal_cli` is the same program as `dfal`."""

from dfal_cli.cli import main

main()
