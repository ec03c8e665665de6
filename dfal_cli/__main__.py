"""Entry point of `dfal` and `python -m dfal_cli`."""

import signal


def main() -> None:
    """Run the program. SIGINT during start-up ends it silently, unless the signal is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from dfal_cli.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
