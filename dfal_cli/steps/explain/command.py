"""explain: say why an image was asked about, or why it was not."""

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dfal_cli.errors import plural
from dfal_cli.steps.explain.checks import check
from dfal_cli.steps.explain.facts import Facts, facts_about
from dfal_cli.steps.explain.options import ExplainOptions
from dfal_cli.steps.explain.sources import Sources, read_sources
from dfal_cli.steps.explain.words import lines, verdict
from dfal_cli.steps.result import Result
from dfal_cli.system.files import locked
from dfal_cli.system.reporting import Reporter


def explain(options: ExplainOptions, reporter: Reporter) -> Result:
    """Say why an image was asked about, or why it was not: in words, as JSON, and on a page if asked for.

    Raises UsageError, DataError or TryAgainError, as documented for the command.
    """
    check(options)
    with contextlib.ExitStack() as locks:
        if options.page is not None:
            locks.enter_context(locked(options.page, options.wait, reporter.note))
        sources = read_sources(options, reporter)
        facts = facts_about(options, sources)
        if options.page is not None:
            _write_page(options, options.page, facts, sources, reporter)
    outputs = [options.page] if options.page is not None else []
    return Result(outputs, "", {}, _for_json(facts, verdict(facts, options)), report=lines(facts, options))


def _write_page(options: ExplainOptions, page: Path, facts: Facts, sources: Sources, reporter: Reporter) -> None:
    from dfal_cli.steps.explain.page import write_page_of

    unread = write_page_of(page, options, facts, sources)
    if unread:
        reporter.warn(f"{page}: {unread} {plural(unread, 'image')} cannot be shown; if they have moved, use --images")


def _for_json(facts: Facts, said: str) -> dict[str, Any]:
    named = asdict(facts)
    named["nearest_labelled"] = [near._asdict() for near in facts.nearest_labelled]
    for name in ("nearest_query", "share"):
        value = getattr(facts, name)
        named[name] = None if value is None else value._asdict()
    return {"asked": facts.query is not None, "verdict": said, **named}
