"""Tables for the README and dfal_cli/docs, made from the program itself (both call these functions through cog)."""

import re
from itertools import groupby
from pathlib import Path

from dfal_cli.cli import with_options
from dfal_cli.images.formats import EXTRA, FORMATS
from dfal_cli.steps.option import HEADINGS
from dfal_cli.strategies import STRATEGIES

DOCS = Path(__file__).parents[1] / "dfal_cli" / "docs"
DIFFS = Path(__file__).parent / "data" / "extending"


def topic_table() -> str:
    """A Markdown table of the pages of dfal_cli/docs: a link, and the summary that stands below the page's heading."""
    rows = ["| topic | contents |", "|---|---|"]
    for page in sorted(DOCS.glob("*.md")):
        _, summary, _ = page.read_text(encoding="utf-8").split("\n\n", 2)
        rows.append(f"| [{page.stem}](dfal_cli/docs/{page.name}) | {summary} |")
    return "\n".join(rows)


def diff_block(name: str) -> str:
    """A Markdown code block with a change of tests/data/extending."""
    return f"```diff\n{(DIFFS / f'{name}.diff').read_text(encoding='utf-8').rstrip()}\n```"


def option_table(name: str) -> str:
    """A Markdown table of a command's options by heading: spelling, what it does, default."""
    command = with_options(name)
    rows = [command.help, "", "| option | what it does | default |", "|---|---|---|"]
    options = [parameter for parameter in command.params if parameter.name != "help"]
    for heading, parameters in groupby(sorted(options, key=_place), key=lambda option: option.rich_help_panel):
        rows.append(f"| **{heading}** |  |  |")
        rows += [f"| {_spelling(each)} | {_as_code(each.help)} | {_as_code(_default(each))} |" for each in parameters]
    return "\n".join(rows)


def format_table() -> str:
    """A Markdown table of the image formats: the suffixes by which they are found, and what reading them requires."""
    rows = ["| format | suffixes (in any case) | requires |", "|---|---|---|"]
    for name, each in FORMATS.items():
        needs = f"`{EXTRA}`" if each.package else f"Pillow with `{each.feature}`" if each.feature else ""
        rows.append(f"| {name} | {' '.join(f'`{suffix}`' for suffix in each.suffixes)} | {needs} |")
    return "\n".join(rows)


def strategy_table() -> str:
    """A Markdown table of the strategies: what they ask about, and the options that `score` needs for them."""
    rows = ["| `--strategy` | asks about | options of `score` |", "|---|---|---|"]
    rows += [f"| `{name}` | {strategy.help} | {_needs(strategy)} |" for name, strategy in STRATEGIES.items()]
    return "\n".join(rows)


def _needs(strategy) -> str:
    needs = [f"`--measure {measure}`" for measure in strategy.needs]
    if strategy.nearest:
        each = "" if strategy.nearest == 1 else f"{strategy.nearest} times "
        needs.append(f"no `--nearest`, or at least {each}the count")
    return ", ".join(needs)


def _spelling(parameter) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar}`"
    spelt = ", ".join(f"`{spelling}`" for spelling in (*parameter.opts, *parameter.secondary_opts))
    if parameter.is_flag or parameter.secondary_opts:
        return spelt
    return f"{spelt} {parameter.metavar or 'N'}"


def _place(parameter) -> tuple[int, bool]:
    return HEADINGS.index(parameter.rich_help_panel), not parameter.required


def _as_code(text: str) -> str:
    """The text with each `<out>.suffix` as code: a browser would take it for a tag."""
    return re.sub(r"<\w+>[\w.]*", r"`\g<0>`", text)


def _default(parameter) -> str:
    if parameter.required:
        return "**required**"
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    if parameter.secondary_opts:
        return {True: parameter.opts[0], False: parameter.secondary_opts[0], None: ""}[parameter.default]
    if parameter.default in (None, list) or parameter.default is False or parameter.default == []:
        return ""
    return f"{parameter.default:g}" if isinstance(parameter.default, float) else str(parameter.default)
