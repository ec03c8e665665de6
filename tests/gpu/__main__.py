"""Check dfal on a GPU and measure its speed, in under eight minutes and without a network.

    python -m tests.gpu [--out DIR] [--device cuda] [--only NAME ...] [--small]

Prints a line for each check, writes results.json and results.md to DIR, and exits with 1 if a check failed. `--device
cpu --small` shows only that the checks run.
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
from tests.gpu.speed import SPEED

CHECKS = {**PARITY, **MEMORY, **SPEED}
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
        for name in options.only or CHECKS:
            findings[name] = _checked(name, setting)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        _write(options.out, machine, findings)
    return 0 if all(finding.passed for finding in findings.values()) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for results.json and results.md")
    parser.add_argument("--device", default="cuda", help="the device to check; cuda by default")
    parser.add_argument("--only", nargs="+", choices=CHECKS, metavar="NAME", help=f"some of {', '.join(CHECKS)}")
    parser.add_argument("--small", action="store_true", help="a fraction of the images, to try the checks themselves")
    return parser.parse_args()


def _checked(name: str, setting: Setting) -> Finding:
    started = time.perf_counter()
    try:
        finding = CHECKS[name](setting)
    except Exception as error:  # the other checks go on
        traceback.print_exc()
        finding = Finding(passed=False, what=f"{type(error).__name__}: {error}")
    finding = finding._replace(seconds=time.perf_counter() - started)
    print(f"{'passed' if finding.passed else 'FAILED'} {name} ({finding.seconds:.0f} s): {finding.what}", flush=True)
    return finding


def _write(out: Path, machine: str, findings: dict[str, Finding]) -> None:
    document = {
        "torch": torch.__version__, "python": platform.python_version(), "machine": machine,
        "checks": {name: finding._asdict() for name, finding in findings.items()},
    }  # fmt: skip
    (out / "results.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    rows = [f"| {name} | {'yes' if each.passed else '**no**'} | {each.what} |" for name, each in findings.items()]
    heading = f"torch {torch.__version__}, {machine}\n\n| check | passed | found |\n| --- | --- | --- |\n"
    (out / "results.md").write_text(heading + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
