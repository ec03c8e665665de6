"""What `simulate` lets compete: the strategies, and those that go by margins also without twins."""

from typing import NamedTuple

from dfal_cli.strategies import STRATEGIES

DEFAULT_CONTENDERS = "dfal,dfal-without-twins,random"


class Contender(NamedTuple):
    """A strategy as a whole: what `select` does, and whether `score` keeps twins for `train`."""

    strategy: str
    twins: bool = False


def _contenders() -> dict[str, Contender]:
    """Every strategy; one that goes by margins trains on their twins, and has another name without."""
    table: dict[str, Contender] = {}
    for name, strategy in STRATEGIES.items():
        table[name] = Contender(name, twins=strategy.nearest > 0)
        if strategy.nearest:
            table[f"{name}-without-twins"] = Contender(name)
    return table


CONTENDERS = _contenders()
