"""An entry of the table of strategies."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from dfal_cli.strategies.pool import Pool, Positions

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Pick: TypeAlias = Callable[[Pool, int, "np.random.Generator"], Positions]


@dataclass(frozen=True)
class Strategy:
    """An entry of the table of strategies."""

    pick: Pick
    """pool, count, generator -> positions of at most count rows, best query first."""
    help: str
    measure: str | None = None
    """The column that the strategy sorts by; it is included in the query list."""
    needs: tuple[str, ...] = ()
    """Optional measures (`score --measure`) that the strategy requires."""
    reads: tuple[str, ...] | None = None
    """Other columns of the scores file that it reads; None for all, or for none if it sorts by a measure."""
    nearest: int = 0
    """Number of exact smallest margins required per query: `score --nearest` must be at least this times the count."""
    labelled: bool = False
    """Whether the strategy uses the embeddings of labelled images."""
    needs_network: bool = True
    """Whether the strategy requires scores; else it also works on paths and embeddings, before anything is trained."""
    pseudo_labels: "Callable[[pd.DataFrame, int], pd.Series[str]] | None" = None
    """Rows that are not queried, round number -> confident predictions to train on, by row."""
    note: str = ""
    """A sentence for the preview page."""
    without_twins: bool = False
    """Leave twins out of the query list, even if `score` has written some."""

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The columns of the scores file that `select` reads of the whole pool, besides the images; None for all."""
        if self.reads is None and self.measure is None:
            return None
        margins = ("margin",) if self.nearest else ()  # tell which images are certainly the nearest
        return (*filter(None, [self.measure]), *self.needs, *(self.reads or ()), *margins)

    @property
    def trains_on_twins(self) -> bool:
        """Whether the method also trains on the adversarial images of its queries."""
        return self.nearest > 0 and not self.without_twins
