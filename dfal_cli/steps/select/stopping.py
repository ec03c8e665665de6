"""select --stop-when: whether stopping rules hold, so that no further list is written."""

from dfal_cli.errors import StopError
from dfal_cli.schemas import IMAGE, LABEL
from dfal_cli.statistics.stopping import RULES
from dfal_cli.steps.control_slices import control_of, curve_of, key_of
from dfal_cli.steps.rounds import history_of, read_rounds
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.tables import read_labels_files


def check_stopping(options: SelectOptions) -> None:
    """Raise StopError if all rules of --stop-when hold. A list that exists already stays as it is: people answer it.

    Raises the errors of reading scores and lists.
    """
    if not options.stop_when or options.out.exists():
        return
    rounds = read_rounds(options.rounds, options.scores)
    table = read_labels_files(options.labels)
    labels = {key_of(image): label for image, label in zip(table[IMAGE], table[LABEL], strict=True)}
    history = history_of(rounds, curve_of(rounds, control_of(rounds, labels)))
    verdicts = {name: RULES[name].judge(history) for name in options.stop_when}
    if all(verdict.holds for verdict in verdicts.values()):
        reasons = "; ".join(f"{name}: {verdict.reason}" for name, verdict in verdicts.items())
        raise StopError(
            f"more labels are hardly worth it, so no list is written (--stop-when): {reasons}",
            {name: verdict._asdict() for name, verdict in verdicts.items()},
        )
