"""Nights of sample_data/round.sh."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from tests.conftest import SAMPLE_DATA, Ended, draw_folder, write
from tests.served import run_script


class Nights:
    """A folder of images with round.sh at work in it; the test runs there."""

    def __init__(self, root: Path, **settings: object) -> None:
        """Settings are those at the top of the script, for every night."""
        draw_folder(root)
        header, *rows = (root / "oracle.csv").read_text().splitlines()
        write(root / "test.csv", header, *rows[:8])
        self.oracle = dict(row.split(",") for row in rows)
        self._settings = {
            "IMAGES": "images", "TEST": "test.csv", "ROUNDS": "rounds", "ORACLE": "", "LAST": "", "COUNT": 3,
            "EPOCHS": 1, "RESTARTS": 1, **settings,
        }  # fmt: skip

    def __call__(self, *arguments: str, **settings: object) -> Ended:
        """Let a night pass, and say how it ended."""
        environment = {name: str(value) for name, value in (self._settings | settings).items()}
        return run_script("bash", SAMPLE_DATA / "round.sh", *arguments, **environment)

    def answer(self, number: int, edit: Callable[[pd.DataFrame], str], rows: int | None = None) -> list[str]:
        """Fill the first rows of a round's list in (all, if it is not said how many), save it as `edit` does.

        Returns the images that were answered, as they stand in the list then.
        """
        path = Path(f"rounds/{number:03d}/queries.csv")
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        answered = table["image"][:rows]
        table.loc[answered.index, "label"] = answered.map(self.oracle)
        path.write_bytes(edit(table).encode())
        return sorted(answered)


def labels_of(number: int) -> dict[str, str]:
    """The labels with which a round begins."""
    return dict(pd.read_csv(f"rounds/{number:03d}/labels.csv", dtype=str)[["image", "label"]].to_numpy().tolist())


def files_of(number: int) -> dict[str, bytes]:
    """What is in a round's folder, locks and all."""
    folder = Path(f"rounds/{number:03d}")
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
