"""The table of measures."""

from dfal_cli.measures.bald import bald
from dfal_cli.measures.egl import egl
from dfal_cli.measures.embedding import embedding
from dfal_cli.measures.measure import Compute, Measure, MeasureRunner, Settings
from dfal_cli.measures.probability import Probabilities, probabilities, softmax
from dfal_cli.schemas import EMBEDDING, PROBABILITIES

MEASURES = {
    "bald": Measure(
        bald, "mutual information of label and weights, by Monte Carlo dropout (arXiv:1112.5745, arXiv:1703.02910)"
    ),
    "egl": Measure(egl, "expected length of the loss gradient (Settles and Craven 2008; arXiv:1612.03226)"),
    EMBEDDING: Measure(embedding, "penultimate features: the input of the last layer", vector=True),
    PROBABILITIES: Measure(softmax, "the probability of each class", vector=True),
}
"""Measures that `score --measure` adds to the standard ones."""

__all__ = ["MEASURES", "Compute", "Measure", "MeasureRunner", "Probabilities", "Settings", "probabilities"]
