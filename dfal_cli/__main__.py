"""`python -m dfal_cli` is the same program as `dfal`."""

from dfal_cli.signals import keep_to_default


def main() -> None:
    """Run the program; a signal while it is being loaded ends it without a word."""
    keep_to_default()
    from dfal_cli.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
