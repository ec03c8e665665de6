"""Simulations that train heads on embeddings: those in a file, or those of images by a pretrained network."""

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dfal_cli.errors import UsageError
from dfal_cli.images import ImageFolder, Listing, Skipped
from dfal_cli.schemas import IMAGE, LABEL
from dfal_cli.steps.option import options_in
from dfal_cli.steps.option_groups import ComputingOptions, NetworkOptions, TrainingOptions
from dfal_cli.steps.simulate.contents import Contents, contents_of_embeddings, contents_of_images
from dfal_cli.steps.simulate.head_rounds import EmbeddedImages
from dfal_cli.steps.simulate.inputs import Available, Inputs, available_embeddings, available_images
from dfal_cli.steps.simulate.kind import Described, InputShape
from dfal_cli.steps.simulate.machine import Machine
from dfal_cli.steps.simulate.options import SimulateOptions
from dfal_cli.steps.simulate.outputs import ROUNDS
from dfal_cli.steps.train.head import WHAT_TO_TRY
from dfal_cli.system.files import atomic_output
from dfal_cli.system.fingerprints import fingerprint, sha256_of
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables.embeddings import read_embeddings
from dfal_cli.tables.vectors import unit_length
from dfal_cli.training.architecture import code_sha256

OF_NETWORKS = options_in(TrainingOptions) | {"grey", "estimator", "classes", "max_iterations", "clip", "train_arch"}
"""Options without effect on heads: these are fitted to convergence, and their margins are exact."""
OF_BACKBONES = options_in(NetworkOptions, ComputingOptions) | {
    "images", "freeze", "weights", "pretrained", "resize", "follow_links",
}  # fmt: skip
"""Options without effect on given embeddings."""

EMBEDDINGS = "embeddings.parquet"
"""The file of the embeddings of images; it is kept, so that more trials need not compute them again."""


class Heads:
    """The kind of simulation that fits a head to the embeddings of a file in each round."""

    module = "dfal_cli.steps.simulate.head_rounds"
    whole_runs = True
    axes = 1
    hashed = "embeddings"

    def device(self, options: SimulateOptions) -> str:
        """Heads are fitted on the processor."""
        return "cpu"

    def available(self, options: SimulateOptions) -> Available:
        """The images in the embeddings file."""
        return available_embeddings(self._file(options))

    def completed(self, options: SimulateOptions, inputs: Inputs) -> SimulateOptions:
        """The options: no default depends on the images."""
        return options

    def contents(self, options: SimulateOptions, inputs: Inputs, stored: Path, reporter: Reporter) -> Contents:
        """Hashes of the embeddings."""
        return contents_of_embeddings(self._file(options), inputs.images, inputs.tested, stored, reporter)

    def made_with(self, options: SimulateOptions) -> dict[str, Any]:
        """The version of scikit-learn, which fits the heads."""
        return {"scikit-learn": importlib.metadata.version("scikit-learn")}

    def check(self, options: SimulateOptions, inputs: Inputs, machine: Machine) -> None:
        """Nothing remains to be checked."""

    def prepare(
        self, options: SimulateOptions, inputs: Inputs, machine: Machine, reporter: Reporter
    ) -> tuple[EmbeddedImages, InputShape]:
        """Write the embeddings of the images into one file that all processes map into memory."""
        oracle, test = (table.sort_values(IMAGE) for table in (inputs.oracle, inputs.test))
        images = [*oracle[IMAGE], *test[IMAGE]]
        file = options.out / ROUNDS / f"vectors-{fingerprint(images)[:16]}.npy"
        with reporter.busy("reading the embeddings"):
            found = read_embeddings(self._file(options), names=frozenset(images), warn=reporter.warn)
            row_of = {image: row for row, image in enumerate(found.images)}
            vectors = unit_length(found.vectors)[[row_of[image] for image in images]]
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_output(file) as temporary, temporary.open("wb") as handle:
                np.save(handle, vectors)
        targets = [
            pd.Categorical(table[LABEL], categories=inputs.classes).codes.astype(np.intp) for table in (oracle, test)
        ]
        return EmbeddedImages(file, oracle[IMAGE].tolist(), *targets), vectors.shape[1:]

    def describe(self, shape: InputShape) -> Described:
        """The embeddings."""
        return Described(
            chosen={},
            without_effect=OF_NETWORKS | OF_BACKBONES,
            facts={
                "input": f"embeddings of {shape[0]:,} numbers",
                "scikit-learn": importlib.metadata.version("scikit-learn"),
            },
            remedies=WHAT_TO_TRY,
        )

    def _file(self, options: SimulateOptions) -> Path:
        assert options.embeddings is not None  # guaranteed by `check`
        return options.embeddings


class FrozenHeads(Heads):
    """The same with the embeddings of images, which a pretrained network computes once."""

    hashed = "images"

    def available(self, options: SimulateOptions) -> Available:
        """The images under the image root."""
        return available_images(options)

    def contents(self, options: SimulateOptions, inputs: Inputs, stored: Path, reporter: Reporter) -> Contents:
        """Hashes of the image files."""
        assert options.images is not None  # guaranteed by `check`
        return contents_of_images(options.images, inputs.images, inputs.tested, options.workers, stored, reporter)

    def made_with(self, options: SimulateOptions) -> dict[str, Any]:
        """The versions of torch and scikit-learn, and what determines the pretrained network."""
        return {
            **super().made_with(options),
            "torch": importlib.metadata.version("torch"),
            "code": [code_sha256(options.arch)],
            "weights": options.weights and sha256_of(options.weights),
        }

    def prepare(
        self, options: SimulateOptions, inputs: Inputs, machine: Machine, reporter: Reporter
    ) -> tuple[EmbeddedImages, InputShape]:
        """Embed the images, unless they are embedded already."""
        from dfal_cli.steps.embed.command import embed
        from dfal_cli.steps.embed.options import EmbedOptions

        assert options.images is not None  # guaranteed by `check`
        settings = EmbedOptions(
            images=options.images, out=self._file(options), backbone=options.arch, weights=options.weights,
            pretrained=options.pretrained, image_size=options.image_size, resize=options.resize, white=options.white,
            device=options.device, workers=options.workers, follow_links=options.follow_links, max_unreadable=0,
        )  # fmt: skip
        try:
            embed(settings, reporter, _Listed(options.images, follow_links=options.follow_links, images=inputs.images))
        except UsageError as error:
            raise UsageError(str(error).replace("--backbone", "--arch")) from None
        return super().prepare(options, inputs, machine, reporter)

    def describe(self, shape: InputShape) -> Described:
        """The pretrained network and its embeddings."""
        described = super().describe(shape)
        return described._replace(without_effect=OF_NETWORKS | {"embeddings"}, chosen={"arch": "lite0"})

    def _file(self, options: SimulateOptions) -> Path:
        return options.out / ROUNDS / EMBEDDINGS


@dataclass(frozen=True, kw_only=True)
class _Listed(ImageFolder):
    """Some of the images of a folder."""

    images: list[str]

    def listing(self) -> Listing:
        """Return these images."""
        return Listing(self.images, [], Skipped())
