"""The page of an explanation, from the facts."""

from pathlib import Path

from dfal_cli.images import STRETCH
from dfal_cli.images.resize import resize_of
from dfal_cli.pages.explanation import Explanation, write_explanation
from dfal_cli.pages.preview_pictures import Images, TwinPictures, limit_of
from dfal_cli.schemas import PIXEL_SPACE, TWIN
from dfal_cli.steps.explain.facts import Facts
from dfal_cli.steps.explain.options import ExplainOptions
from dfal_cli.steps.explain.sources import Sources
from dfal_cli.steps.explain.words import origin, reasons, verdict
from dfal_cli.system.image_roots import is_image_root
from dfal_cli.system.paths import folder_of


def write_page_of(page: Path, options: ExplainOptions, facts: Facts, sources: Sources) -> int:
    """Write the page, and return the number of images that could not be read."""
    near = [(each.image, each.label, f"distance {each.distance:.3f}") for each in facts.nearest_labelled]
    if facts.nearest_query is not None:
        query = facts.nearest_query
        near.insert(0, (query.image, "nearest image of the list", f"distance {query.distance:.3f}"))
    images = _images(sources, [facts.image, *(image for image, _, _ in near)])
    words = Explanation(facts.image, verdict(facts, options), reasons(facts), origin(facts))
    return write_explanation(page, words, near, images, _twin(facts, sources, images))


def _images(sources: Sources, names: list[str]) -> Images | None:
    if sources.root is None or not is_image_root(sources.root):
        return None
    metadata = sources.scored_with
    resize = resize_of(metadata.get("resize")) or STRETCH
    images = Images(sources.root, sources.follow_links, metadata.get("white"), resize, limit_of(len(names)))
    return images.with_whites_of(names)


def _twin(facts: Facts, sources: Sources, images: Images | None) -> TwinPictures:
    """The pictures of the twin, if there is one and it is an image."""
    twin, shape = facts.scores.get(TWIN), sources.scored_with.get("input_shape")
    if images is None or not twin or not shape or facts.space != PIXEL_SPACE or sources.scores_file is None:
        return TwinPictures()
    return images.twin_pictures(facts.image, folder_of(sources.scores_file) / twin, shape)
