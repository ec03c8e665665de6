"""Measures: numbers per image that `score` computes with the network.

To add one: write a function (model, settings) -> function of images, in this package, and give it a line in MEASURES.
"""

from dfal_cli.measures.bald import bald
from dfal_cli.measures.egl import egl
from dfal_cli.measures.embedding import embedding
from dfal_cli.measures.measure import Compute, Measure, Settings
from dfal_cli.measures.measuring import Measuring
from dfal_cli.measures.probability import Probabilities, probabilities, softmax
from dfal_cli.schemas import EMBEDDING, PROBABILITIES

MEASURES = {
    "bald": Measure(bald, "what the label would tell of the weights, by dropout (arXiv:1112.5745, arXiv:1703.02910)"),
    "egl": Measure(egl, "expected length of the loss gradient (Settles and Craven 2008; arXiv:1612.03226)"),
    EMBEDDING: Measure(embedding, "what the last layer sees of the image", vector=True),
    PROBABILITIES: Measure(softmax, "the probability of each class", vector=True),
}
"""What `score --measure` can add to the measures that every scores file has."""

__all__ = ["MEASURES", "Compute", "Measure", "Measuring", "Probabilities", "Settings", "probabilities"]
