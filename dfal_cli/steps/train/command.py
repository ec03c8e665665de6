"""train: train a classifier on labelled images and their twins, or a head on their embeddings."""

from dfal_cli.images import ImageSource, open_images
from dfal_cli.steps.result import Result
from dfal_cli.steps.train.checks import check
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.crew import ALONE, Crew
from dfal_cli.system.files import locked
from dfal_cli.system.reporting import Reporter


def train(
    options: TrainOptions,
    reporter: Reporter,
    images: ImageSource | None = None,
    crew: Crew = ALONE,
    *,
    warn_if_not_learnt: bool = True,
) -> Result:
    """Train a classifier and write it as a checkpoint: a network, or a head on embeddings, which needs no torch.

    All inputs are checked before the training begins. `images` replace the folder `options.images`, if given.
    crew: the processes that train a network together. warn_if_not_learnt: False in simulations, which report it at the
    end.
    Raises UsageError, DataError or TryAgainError, as documented for the command.
    """
    check(options)
    with locked(options.out, options.wait, reporter.note):  # taken before anything is read
        if crew is not ALONE and (options.embeddings or options.freeze):
            reporter.note("a head is trained by one rank; the others have nothing to do")
        if options.embeddings:
            from dfal_cli.steps.train.head import train_on_embeddings

            return train_on_embeddings(options, options.embeddings, reporter, warn_if_not_learnt=warn_if_not_learnt)
        assert options.images  # `check` refuses options without either
        with open_images(
            images, options.images, options.cache, options.cache_limit, reporter, follow_links=options.follow_links
        ) as source:
            if options.freeze:
                from dfal_cli.steps.train.frozen import train_on_frozen_backbone

                return train_on_frozen_backbone(options, source, reporter, warn_if_not_learnt=warn_if_not_learnt)
            from dfal_cli.steps.train.network import train_network

            return train_network(options, source, crew, reporter, warn_if_not_learnt=warn_if_not_learnt)
