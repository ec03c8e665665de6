"""Embeddings of the images that are labelled already: strategies that spread their picks keep away from those too."""

from collections.abc import Sequence
from pathlib import Path

from dfal_cli.errors import shown
from dfal_cli.measures import MeasureRunner
from dfal_cli.schemas import EMBEDDING
from dfal_cli.scoring.parts import Section, joined
from dfal_cli.scoring.scored import score_all
from dfal_cli.scoring.scorer import Scorer
from dfal_cli.tables import labelled_path
from dfal_cli.tables.vectors import Values


def embed_labelled(
    scorer: Scorer, images: Sequence[str], section: Section, embedding: MeasureRunner
) -> tuple[Sequence[str], Values]:
    """The images with their embeddings, (n, d); what is finished is kept in the section.

    An image that cannot be read is left out, with a counted warning.
    """
    rows, unreadable = score_all(
        scorer, images, section, with_margins=False, extra_measures=embedding, what="embedding labelled images"
    )
    if unreadable:
        image, reason = unreadable[0]
        first = f"the first: {shown(image)}: {reason}"
        scorer.reporter.warn(f"{len(unreadable)} labelled images cannot be read and have no embedding ({first})")
    found = joined(list(section.blocks())) if len(rows) else embedding.empty()
    return rows.images, found[EMBEDDING]


def remove_labelled(scores: Path) -> None:
    """Remove what earlier scores left there."""
    labelled_path(scores).unlink(missing_ok=True)
