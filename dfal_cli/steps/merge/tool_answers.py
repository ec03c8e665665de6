"""Reads the answers of labelling tools: in place of a query list, or for the images of one (--answers)."""

from collections.abc import Sequence
from pathlib import Path
from unicodedata import normalize

import pandas as pd

from dfal_cli.errors import DataError, UsageError, listed, plural, shown
from dfal_cli.schemas import IMAGE, LABEL, SKIP, TWIN
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.steps.merge.problems import Location
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import (
    ImageNames,
    NameMatcher,
    ToolAnswers,
    answers_of_tool,
    is_blank,
    location_of,
    read_queries,
    read_tool_answers,
)
from dfal_cli.tables.csv_files import invalid_image
from dfal_cli.tables.csv_rows import rows_of
from dfal_cli.tables.tools.reading import known_forms
from dfal_cli.tables.tools.settling import PLACE, TIME, settled


def read_tool_list(
    options: MergeOptions, found: ToolAnswers, names: ImageNames | None, reporter: Reporter
) -> tuple[pd.DataFrame, Location]:
    """Return the answers of a tool as a query list, by row, and the function that locates a row.

    names: the images under the image root; None if it is not known. Unanswered images have an empty label.
    Raises DataError if answers differ and --on-conflict does not settle it, if an image is ambiguous, or if images are
    named by URLs and the image root is not known.
    """
    table = _without_unknown_skips(
        found, answers_of_tool(found, NameMatcher(names, tell=reporter.note, doubt=reporter.warn)), names, reporter
    )
    if names is None and (wrong := invalid_image(table[IMAGE].reset_index(drop=True))):
        raise DataError(
            f"{found.path}: {wrong[1]}; name the image root with --images, or give the query list as --queries and "
            "this file as --answers"
        )
    counting = _settled(table, options, reporter)
    rows = [row for row, each in enumerate(found.answers) if not each.label.strip()]
    blank = pd.DataFrame({IMAGE: NameMatcher(names).of_tool(found, rows), LABEL: ""}, rows, dtype=str)
    blank = blank[~blank[IMAGE].isin(counting[IMAGE])].drop_duplicates(IMAGE)
    both = pd.concat([counting[[IMAGE, LABEL]], blank]).assign(**{TWIN: ""})
    return both, lambda row: location_of(found.path, row)


def _without_unknown_skips(
    found: ToolAnswers, table: pd.DataFrame, names: ImageNames | None, reporter: Reporter
) -> pd.DataFrame:
    """Return the answers without __skip__ of images that do not exist: a tool's name for them is none of ours."""
    if names is None:
        return table
    is_unknown = (table[LABEL] == SKIP) & ~table[IMAGE].map(names.is_there).astype(bool)
    if is_unknown.any():
        count = int(is_unknown.sum())
        reporter.warn(
            f"{found.path}: {count} skipped {plural(count, 'image is', 'images are')} not {names.place}, the first: "
            f"{shown(table.loc[is_unknown, IMAGE].iloc[0])}; {plural(count, 'it is', 'they are')} left out"
        )
    return table[~is_unknown]


def fill_in(
    options: MergeOptions, queries: pd.DataFrame, location: Location, names: ImageNames, reporter: Reporter
) -> tuple[pd.DataFrame, Location]:
    """Return the query list with the answers of --answers, and the function that locates the answer of a row.

    names: the images under the image root, or, if it is not known, those of the labels file.
    Raises DataError as `read_tool_list`, and if the list itself holds another answer.
    """
    images = list(queries[IMAGE])
    own = queries.loc[~is_blank(queries[LABEL]), [IMAGE, LABEL]]
    own = own.assign(**{PLACE: [location(row) for row in own.index], TIME: ""})
    matching = NameMatcher(_with_list(images, names), tell=reporter.note, doubt=reporter.warn)
    tables = [_answers_in(path, matching) for path in options.answers]
    answers = pd.concat([own, *tables], ignore_index=True)
    others = answers[~answers[IMAGE].isin(images)]
    if len(others):
        reporter.warn(
            f"{len(others)} {plural(len(others), 'answer is', 'answers are')} not about an image in {options.queries}, "
            f"the first about {shown(others[IMAGE].iloc[0])}; {plural(len(others), 'it is', 'they are')} left out"
        )
    counting = _settled(answers[answers[IMAGE].isin(images)], options, reporter).set_index(IMAGE)
    labels, places = counting[LABEL].to_dict(), counting[PLACE].to_dict()
    filled = queries.assign(**{LABEL: [labels.get(image, "") for image in images]})
    return filled, lambda row: str(places.get(filled[IMAGE][row]) or location(row))


def _with_list(images: Sequence[str], others: ImageNames) -> ImageNames:
    """The names of the list, and of other images: an answer by name alone may be about one of them.

    An image that the list spells in another Unicode normal form has only the name in the list.
    """
    listed = set(images)
    spelled = {normalize("NFC", image) for image in images}

    def is_other(image: str) -> bool:
        return normalize("NFC", image) not in spelled

    return ImageNames(
        others.root,
        lambda image: image in listed or (is_other(image) and others.is_there(image)),
        lambda: [*images, *filter(is_other, others.all())],
    )


def _settled(answers: pd.DataFrame, options: MergeOptions, reporter: Reporter) -> pd.DataFrame:
    counting, several = settled(answers, options.among_answers)
    if several:
        reporter.warn(
            f"{several} {plural(several, 'image has', 'images have')} different answers; the "
            f"{options.among_answers} counts (--on-conflict)"
        )
    return counting


def _answers_in(path: Path, matching: NameMatcher) -> pd.DataFrame:
    """Return the answers of a tool, or of another copy of the query list, as `answers_of_tool` does.

    Raises UsageError if the file is neither.
    """
    found = read_tool_answers(path)
    if found is not None:
        return answers_of_tool(found, matching)
    if path.is_dir() or not {IMAGE, LABEL} <= set(next(rows_of(path), (0, []))[1]):
        raise UsageError(
            f"{path}: neither a query list nor answers of a labelling tool (--answers); known are "
            f"{listed(known_forms(), 20)}"
        )
    table = read_queries(path)
    table = table[~is_blank(table[LABEL])]
    matching.tell(f"{path}: a query list, {len(table)} {plural(len(table), 'answer')}")
    places = [location_of(path, row) for row in table.index]
    return pd.DataFrame({IMAGE: matching(path, table[IMAGE]), LABEL: table[LABEL], PLACE: places, TIME: ""}, dtype=str)
