"""train: train a classifier on labelled images and their twins, or a head on their embeddings."""

from dfal_cli.images import ImageSource, open_images
from dfal_cli.steps.result import Result
from dfal_cli.steps.train.checks import check
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.files import locked
from dfal_cli.system.reporting import Reporter


def train(
    options: TrainOptions, reporter: Reporter, images: ImageSource | None = None, *, warn_if_not_learnt: bool = True
) -> Result:
    """Train a classifier and write it as a checkpoint: a network, or a head on embeddings, which needs no torch.

    All inputs are checked before the training begins. `images` replace the folder `options.images`, if given.
    warn_if_not_learnt: False in simulations, which report it at the end.
    Raises UsageError, DataError or TryAgainError, as documented for the command.
    """
    check(options)
    with locked(options.out, options.wait, reporter.note):  # taken before anything is read
        if options.embeddings:
            from dfal_cli.steps.train.head import train_on_embeddings

            return train_on_embeddings(options, options.embeddings, reporter, warn_if_not_learnt=warn_if_not_learnt)
        if options.freeze:
            from dfal_cli.steps.train.frozen import train_on_frozen_backbone as train_on_images
        else:
            from dfal_cli.steps.train.network import train_network as train_on_images
        assert options.images  # `check` refuses options without either
        with open_images(
            images, options.images, options.cache, options.cache_limit, reporter, follow_links=options.follow_links
        ) as source:
            return train_on_images(options, source, reporter, warn_if_not_learnt=warn_if_not_learnt)
