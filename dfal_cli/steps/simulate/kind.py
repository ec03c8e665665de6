"""What a simulation trains, behind one interface: networks on images (`Networks`), or heads on embeddings (`Heads`)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from dfal_cli.steps.simulate.contents import Contents
from dfal_cli.steps.simulate.inputs import Available, Inputs
from dfal_cli.steps.simulate.machine import Machine
from dfal_cli.steps.simulate.options import SimulateOptions
from dfal_cli.system.reporting import Reporter

InputShape = tuple[int, ...]
"""Of what is classified: (C, H, W) of images, (d,) of embeddings."""


class Described(NamedTuple):
    """What the report says of a kind of simulation."""

    chosen: Mapping[str, Any]
    """Values of options that are not given."""
    without_effect: frozenset[str]
    """Options that have no effect."""
    facts: Mapping[str, str]
    """Further rows of the settings."""
    remedies: str
    """What may help if nothing was learnt, as a phrase."""


class Kind(Protocol):
    """A kind of simulation. Its methods raise UsageError or DataError as documented for the command."""

    module: str
    """The module with the function `play` of a `Simulation`; each process imports it first."""
    whole_runs: bool
    """As of a `Simulation`."""
    axes: int
    """Length of the input shape."""
    hashed: str
    """What the digest of the contents is of: a name in CHANGE_TEXTS."""

    def device(self, options: SimulateOptions) -> str:
        """The device to play on, as in --device."""

    def available(self, options: SimulateOptions) -> Available:
        """The images to choose from."""

    def completed(self, options: SimulateOptions, inputs: Inputs) -> SimulateOptions:
        """The options with defaults that suit the oracle, the same for all rounds."""

    def contents(self, options: SimulateOptions, inputs: Inputs, stored: Path, reporter: Reporter) -> Contents:
        """Hash the images or embeddings, unless `stored` holds the hashes already."""

    def made_with(self, options: SimulateOptions) -> dict[str, Any]:
        """Versions, code and weights that determine the results, by their names in CHANGE_TEXTS."""

    def check(self, options: SimulateOptions, inputs: Inputs, machine: Machine) -> None:
        """Check what can be checked before anything is written."""

    def prepare(
        self, options: SimulateOptions, inputs: Inputs, machine: Machine, reporter: Reporter
    ) -> tuple[Any, InputShape]:
        """Write what all runs share into the folder of the rounds. Returns the data of the `Simulation`."""

    def describe(self, shape: InputShape) -> Described:
        """What the report says."""
