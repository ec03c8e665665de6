"""`python -m dfal_cli` is the same program as `dfal`."""

import signal


def main() -> None:
    """Run the program. A signal while it is being loaded ends it without a word, unless it is to be ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from dfal_cli.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
