"""train: a classifier from labelled images and their twins."""

from dfal_cli.steps.train.command import train
from dfal_cli.steps.train.options import TrainOptions

__all__ = ["TrainOptions", "train"]
