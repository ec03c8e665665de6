"""What a class may be called: whatever labels.csv can say."""

from collections.abc import Sequence

from dfal_cli.schemas import SKIP


def unfit_class(classes: Sequence[str]) -> str | None:
    """Why one of these names is none for a class; None if all will do."""
    for name in classes:
        if not name.strip():
            return f"a class is called {name!r}, and a blank label means that there is none yet"
        if name == SKIP:
            return f"a class is called {SKIP}, which as a label means that the image is left out"
        if "\0" in name or not _is_unicode(name):
            return f"a class is called {name!r:.80}, which no table can hold"
    if len(set(classes)) < len(classes):
        return f"two classes are called {next(name for name in classes if classes.count(name) > 1)!r:.80}"
    return None


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
