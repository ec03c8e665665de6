"""Margins, ours and other implementations', in one run: python tests/benchmarks/margin.py [--keep DIR] [--device cuda]

Prints the tables of tests/benchmarks/README.md, which says what their columns mean.
"""

import argparse
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from comparison.agreement import median_excess, overlap, spearman, verified_lengths
from comparison.class_gradients import WAYS
from comparison.methods import PEERS, Method, is_installed, our_methods
from comparison.reference import near_exact, strong_attacks
from comparison.subjects import SUBJECTS, Subject, Trained, kept, prepare
from comparison.timing import Cost, cost_of
from comparison.walk import Scored, score_in_memory
from torch import Tensor

NEAREST = (0.01, 0.1)

TIGHT = PEERS["foolbox DDN, 100 steps"]
"""The attack that the reference begins with."""

ESTIMATOR_COLUMNS = (
    "method", "images", "images/s", "fwd. eq.", "crossed", "median", "mean", "median excess", "Spearman", "top 1 %",
    "top 10 %",
)  # fmt: skip


def compare_estimators(subject: Subject, trained: Trained, keep: Path, device: torch.device, *, peers: bool) -> None:
    """Print a row for each method: its cost, and how near its margins are to the reference."""
    images = _floats(trained.pool[: subject.measured], device)
    parts = images.split(trained.batch)
    points: dict[str, list[Tensor]] = {}
    costs: dict[str, Cost] = {}
    absent: list[str] = []
    for name, method in our_methods(trained.model).items():
        costs[name], points[name] = _run(name, method, trained, parts)
    for name, peer in PEERS.items() if peers else ():
        if not is_installed(peer):
            absent.append(name)
            continue
        some = images[: subject.few if peer.slow else None].split(trained.batch)
        method = peer.make(trained.model, len(trained.classes))
        costs[name], points[name] = _run(name, method, trained, some)
    lengths = {name: verified_lengths(trained.model, parts, _filled(found, parts)) for name, found in points.items()}
    kind = "reference" if is_installed(TIGHT) else "weak-reference"
    stored = kept(
        keep / f"{trained.stem}-{subject.measured}-{kind}.pt", lambda: _reference(subject, trained, parts, points)
    ).numpy()
    reference = np.fmin.reduce([stored, *lengths.values()])
    print(f"Reference: median {np.median(reference):.4f}, mean {reference.mean():.4f}\n")
    _table(
        ESTIMATOR_COLUMNS,
        [_row(name, costs[name], lengths[name][: _count(points[name])], reference) for name in points]
        + [(name, "not installed", *[""] * 9) for name in absent],
    )


def compare_walks(trained: Trained, device: torch.device) -> None:
    """Print what `score --nearest` costs, and whether it finds what scoring everything finds."""
    parts = _floats(trained.pool, device).split(trained.batch)
    count = len(trained.pool)

    def measured(nearest: int, *, everything: bool = False) -> tuple[str, Scored]:
        scored: list[Scored] = []
        cost = cost_of(
            lambda: scored.append(score_in_memory(trained, nearest, device, everything=everything)),
            trained.model,
            parts,
        )
        _say(f"{'everything' if everything else f'nearest {nearest}'}: {cost.seconds:.1f} s")
        return f"{cost.forward_equivalents:.1f}", scored[-1]

    wanted = [round(share * count) for share in NEAREST]
    cost, every = measured(wanted[-1], everything=True)
    rows: list[tuple[object, ...]] = [("everything", count, cost, count, 0, "")]
    for nearest in wanted:
        cost, walked = measured(nearest)
        same = "yes" if walked.smallest(nearest) == every.smallest(nearest) else "NO"
        rows.append((f"nearest {nearest}", count, cost, walked.examined, walked.given_up, same))
    _table(("wanted", "pool", "fwd. eq.", "examined", "given up", "same set"), rows)


def compare_gradients(subject: Subject, trained: Trained, device: torch.device) -> None:
    """Print what each way to the class gradients costs, and that they agree."""
    parts = _floats(trained.pool[: subject.measured], device).split(trained.batch)
    with torch.no_grad():
        predicted = [trained.model(part).argmax(1) for part in parts]
    expected = WAYS["loop with retain_graph"](trained.model, parts[0], predicted[0])
    rows = []
    for name, way in WAYS.items():
        difference = (way(trained.model, parts[0], predicted[0]) - expected).abs().max() / expected.abs().max()

        def run(way: Callable[..., Tensor] = way) -> None:
            for part, classes in zip(parts, predicted, strict=True):
                way(trained.model, part, classes)

        rows.append((name, f"{cost_of(run, trained.model, parts).forward_equivalents:.1f}", f"{difference:.0e}"))
    _table((f"{len(trained.classes) - 1} gradients", "fwd. eq.", "largest difference"), rows)


def _run(name: str, method: Method, trained: Trained, parts: Sequence[Tensor]) -> tuple[Cost, list[Tensor]]:
    """The cost of a method, and the points it found."""
    found: list[Tensor] = []

    def run() -> None:
        found[:] = [method(part).detach() for part in parts]

    cost = cost_of(run, trained.model, parts)
    _say(f"{name}: {cost.seconds:.1f} s")
    return cost, found


def _reference(subject: Subject, trained: Trained, parts: Sequence[Tensor], points: dict[str, list[Tensor]]) -> Tensor:
    """The near-exact norms (N,), from the strong attacks and whatever has been found so far."""
    started = time.perf_counter()
    attacks = strong_attacks(trained.model, subject.targets, subject.steps) if is_installed(TIGHT) else []
    found = [_filled(part, parts) for part in points.values()]
    lengths = [
        near_exact(trained.model, part, [*(attack(part).detach() for attack in attacks), *(each[i] for each in found)])
        for i, part in enumerate(parts)
    ]
    _say(f"reference: {time.perf_counter() - started:.0f} s")
    return torch.cat(lengths).cpu()


def _filled(found: Sequence[Tensor], parts: Sequence[Tensor]) -> list[Tensor]:
    """A method's points as batches of all the images; where it was not run the images, which do not cross."""
    together = torch.cat(list(found))
    return list(torch.cat([together, torch.cat(list(parts))[len(together) :]]).split(len(parts[0])))


def _count(found: Sequence[Tensor]) -> int:
    return sum(len(part) for part in found)


def _row(name: str, cost: Cost, lengths: np.ndarray, reference: np.ndarray) -> tuple[object, ...]:
    reference = reference[: len(lengths)]
    return (
        name,
        len(lengths),
        f"{len(lengths) / cost.seconds:,.1f}",
        f"{cost.forward_equivalents:,.1f}",
        f"{np.isfinite(lengths).mean():.3f}",
        f"{np.nanmedian(lengths):.4f}",
        f"{np.nanmean(lengths):.4f}",
        f"{median_excess(lengths, reference):.2%}",
        f"{spearman(lengths, reference):.4f}",
        *(f"{overlap(lengths, reference, share):.2f}" for share in NEAREST),
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table."""
    for row in (columns, ["---"] * len(columns), *rows):
        print("|", " | ".join(map(str, row)), "|", flush=True)
    print()


def _say(text: str) -> None:
    """Tell how far the run has come; the tables alone go to stdout."""
    print(text, file=sys.stderr, flush=True)


def _floats(pixels: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(pixels).to(device).float() / 255


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep data, networks and reference for the next run")
    parser.add_argument("--device", default="cpu", type=torch.device, metavar="NAME", help="cpu or cuda (default: cpu)")
    parser.add_argument("--networks", nargs="+", choices=list(SUBJECTS), default=list(SUBJECTS))
    sections = ["estimators", "nearest", "gradients"]
    parser.add_argument("--sections", nargs="+", choices=sections, default=sections)
    parser.add_argument("--without-peers", action="store_true", help="measure only dfal's own estimators")
    return parser.parse_args()


def main() -> None:
    """Print the tables asked for."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    options = _arguments()
    device = options.device
    chip = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU, one thread"
    print(f"{chip}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}\n")
    with tempfile.TemporaryDirectory() as folder:
        keep = options.keep or Path(folder)
        keep.mkdir(parents=True, exist_ok=True)
        for name in options.networks:
            subject = SUBJECTS[name]
            trained = prepare(subject, keep, device)
            side = "x".join(map(str, subject.shape))
            print(f"## {name}, {trained.data}, {side}, accuracy {trained.accuracy:.3f}, batch {trained.batch}\n")
            if "estimators" in options.sections:
                compare_estimators(subject, trained, keep, device, peers=not options.without_peers)
            if "nearest" in options.sections:
                compare_walks(trained, device)
            if "gradients" in options.sections:
                compare_gradients(subject, trained, device)


if __name__ == "__main__":
    main()
