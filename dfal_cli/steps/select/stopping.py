"""select --stop-when: whether stopping rules hold, so that no further list is written."""

from dfal_cli.errors import StopError
from dfal_cli.statistics.stopping import RULES
from dfal_cli.steps.control_slices import control_of, curve_of
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
    control = control_of(rounds, read_labels_files(options.labels))
    history = history_of(rounds, curve_of(rounds, control))
    verdicts = {name: RULES[name].judge(history) for name in options.stop_when}
    if all(verdict.holds for verdict in verdicts.values()):
        reasons = "; ".join(f"{name}: {verdict.reason}" for name, verdict in verdicts.items())
        raise StopError(
            f"more labels are hardly worth it, so no list is written (--stop-when): {reasons}",
            {name: verdict._asdict() for name, verdict in verdicts.items()},
        )
