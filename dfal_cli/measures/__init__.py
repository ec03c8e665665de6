"""Measures: numbers per image that `score` computes with the network."""

from dfal_cli.measures.probability import Probabilities, probabilities

__all__ = ["Probabilities", "probabilities"]
