"""What scores come to: what is judged of them, their metadata, and one sentence for a person."""

from collections import Counter
from dataclasses import asdict
from typing import Any

from dfal_cli import __version__
from dfal_cli.checkpoint import LoadedNetwork
from dfal_cli.images import flat_in_words
from dfal_cli.schemas import CROSSED, SKIPPED, UNCROSSED
from dfal_cli.scoring.nearest import Audit
from dfal_cli.scoring.rows import Rows
from dfal_cli.scoring.sanity import judge_scores, reasons_in_words
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.system.paths import relative_to_file
from dfal_cli.system.reporting import Reporter


def judged_outcomes(rows: Rows, network: LoadedNetwork, reporter: Reporter, *, may_be_skipped: bool) -> dict[str, int]:
    """The number of images for each outcome. Warns if the scores as a whole look unsound."""
    outcomes = {outcome: rows.of_outcome(outcome) for outcome in (CROSSED, UNCROSSED, SKIPPED)}
    judge_scores(rows.predicted(network.classes), network, outcomes, rows.uncrossed_because(), reporter)
    if rows.flat:
        reporter.warn(flat_in_words(rows.flat, len(rows)))
    return outcomes if may_be_skipped else {CROSSED: outcomes[CROSSED], UNCROSSED: outcomes[UNCROSSED]}


def summary_of(counts: dict[str, int], reasons: Counter[str], audit: Audit | None, nearest: int | None) -> str:
    """The counts, why images did not cross, and what the audit of a walk says."""
    because = {UNCROSSED: f" ({reasons_in_words(reasons)})"} if reasons else {}
    summary = ", ".join(f"{count} {name}{because.get(name, '')}" for name, count in counts.items())
    if audit is None or not audit.audited:
        return summary
    summary += f"; an audit of {audit.audited} skipped images found none of the {nearest} nearest"
    if audit.missed:
        summary += f" ({audit.missed} that earlier ones found are skipped no more)"
    if audit.missing_at_most < (nearest or 0):
        summary += f": at most {audit.missing_at_most} are missing (95 % confidence)"
    return summary


def metadata_of_scores(
    options: ScoreOptions, network: LoadedNetwork, told: dict[str, Any], audit: Audit | None, *, with_labelled: bool
) -> dict[str, Any]:
    """The metadata of the scores file; `told` says what the scores were made from."""
    return {
        "nearest": options.nearest,
        "audit": audit and asdict(audit),
        "labelled_embeddings": with_labelled,
        "image_root": relative_to_file(options.images, options.out),
        "follow_links": options.follow_links,
        "input_shape": network.input_shape,
        "white": network.input_format.white,
        "classes": network.classes,
        "checkpoint_sha256": network.sha256,
        "estimator": options.estimator,
        "norm": options.norm,
        "seed": options.seed,
        **told,
        "dfal": __version__,
    }
