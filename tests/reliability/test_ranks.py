"""score, embed and predict over several ranks: the files of one process, whoever computed what, and whoever dies."""

import os
import platform
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dfal_cli.checkpoint import save_checkpoint
from dfal_cli.models import build_network
from tests.conftest import MEANS, write
from tests.reliability.commands import run
from tests.reliability.ranks import ranks, run_ranks
from tests.reliability.slow_scoring import NETWORK, command, make_project

HOST = platform.node()

SCORE = command("scores.csv")
NEAREST = command("scores.parquet", "--nearest", 8, "--twins", 8, "--measure", "embedding", "--measure", "bald")
PREDICT = (
    "predict", "--images", "images", "--checkpoint", "net.safetensors", "--arch", "slow_net:network", "--device", "cpu",
    "--batch-size", 4, "--max-unreadable", 0.2, "--probabilities", "--out", "predictions.csv",
)  # fmt: skip
EMBED = (
    "embed", "--images", "images", "--out", "embeddings.parquet", "--backbone", "means:backbone", "--image-size", 16,
    "--device", "cpu", "--batch-size", 4, "--max-unreadable", 0.2,
)  # fmt: skip

SLOW = {"SECONDS_A_FORWARD": "0.06"}

COUNTING = f"""{NETWORK}
class Counting(Slow):
    def forward(self, images):
        if "BROKEN" in os.environ: 1 / 0
        with open(f"forwards.{{os.environ['RANK']}}", "a") as handle: handle.write("x")
        return super().forward(images)
def network(num_classes, input_shape): return Counting(num_classes)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with images, labels, a network that can be slowed down, and a backbone."""
    folder = tmp_path / "work"
    folder.mkdir()
    make_project_in(folder)
    return folder


def make_project_in(folder: Path) -> None:
    before = sys.path.copy()
    sys.path.insert(0, str(folder))
    try:
        make_project(folder)
    finally:
        sys.path[:] = before
        sys.modules.pop("slow_net", None)
    write(folder / "means.py", MEANS)


def outputs(folder: Path) -> dict[str, bytes]:
    """The contents of all files that a command has written, hidden ones too; locks may stay."""
    made = ("images", "labels.csv", "oracle.csv", "net.safetensors", "slow_net.py", "means.py", "__pycache__")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in made and path.suffix not in (".lock", ".pyc")
    }


def of_one_process(folder: Path, arguments: tuple[object, ...]) -> dict[str, bytes]:
    """The outputs of one process, which are removed."""
    run(folder, arguments)
    found = outputs(folder)
    for name in found:
        (folder / name).unlink()
    return found


@pytest.mark.parametrize(
    ("arguments", "count"),
    [(SCORE, 2), (NEAREST, 2), (NEAREST, 3), (PREDICT, 3), (EMBED, 2)],
    ids=["score", "nearest", "nearest by three", "predict on three machines", "embed"],
)
def test_several_ranks_write_the_bytes_of_one_process_and_only_rank_0_speaks(project, arguments, count):
    expected = of_one_process(project, arguments)
    said = run_ranks(project, arguments, count, own_machines=arguments is PREDICT)
    assert outputs(project) == expected
    assert said[0] and not any(said[1:])


@pytest.mark.parametrize("kills", [4, pytest.param(30, marks=pytest.mark.long)])
def test_a_rank_killed_at_any_moment_costs_only_its_unfinished_work(project, kills):
    expected = of_one_process(project, NEAREST)
    generator = random.Random(0)
    hit = 0
    for attempt in range(kills):
        with ranks(project, NEAREST, 2 + attempt % 2, first=SLOW, **SLOW) as running:
            if attempt % 5:  # else it may be killed before they have met
                running.wait_until(lambda: "scoring" in running.said()[0])
            time.sleep(generator.uniform(0, 1))
            victim = generator.randrange(len(running.processes))
            running.processes[victim].kill()
            codes, said = running.ended(), running.said()
        if codes[victim] == -signal.SIGKILL and any(codes[:victim] + codes[victim + 1 :]):
            hit += 1
            speaker = 0 if victim else 1
            assert codes[speaker] in (75, 143), said
            told = f"rank {victim} on {HOST} has ended" in said[speaker] or "have not found each other" in said[speaker]
            assert told == (codes[speaker] == 75), said
        assert all("Traceback" not in each for each in said), said
        assert all(content == expected[name] for name, content in outputs(project).items() if name in expected)
    run_ranks(project, NEAREST, 3)
    assert outputs(project) == expected
    assert hit > kills / 4, "most of the kills came too late to hit anything"


def test_a_slow_rank_holds_up_nobody(project):
    write(project / "slow_net.py", COUNTING)
    run_ranks(project, command("scores.csv", batch_size=1), 2, SECONDS_A_FORWARD="0.3")
    forwards = [(project / f"forwards.{number}").stat().st_size for number in range(2)]
    assert forwards[1] < forwards[0] / 2, forwards


def test_a_rank_that_runs_out_of_memory_halves_its_batches_and_rank_0_tells(project):
    expected = of_one_process(project, SCORE)
    said = run_ranks(project, SCORE, 2, MOST="2")
    assert f"rank 1 on {HOST}: out of memory: batch size is now 2" in said[0]
    assert list(outputs(project)) == list(expected)


def test_a_problem_of_another_rank_is_told_by_rank_0(project):
    write(project / "slow_net.py", COUNTING)
    with ranks(project, SCORE, 2, {"SECONDS_A_FORWARD": "0.1"}, BROKEN="1") as running:
        codes, said = running.ended(), running.said()
    assert codes[0] == 2, said
    assert "slow_net:network: fails on 16x16 grey images: ZeroDivisionError" in said[0]
    assert not said[1]


def test_a_signal_to_all_ranks_is_an_interruption_which_the_next_run_resumes(project):
    expected = of_one_process(project, SCORE)
    with ranks(project, SCORE, 2, SECONDS_A_FORWARD="0.05") as running:
        running.wait_until((project / ".scores.csv.parts").is_dir)
        running.terminate()
        codes, said = running.ended(), running.said()
    assert codes[0] == 143
    assert "run the same command again to resume" in said[0] and "has ended" not in said[0]
    assert not said[1]
    assert "resuming after" in run_ranks(project, SCORE, 3)[0]
    assert outputs(project) == expected


def test_a_mistake_is_told_once(project):
    with ranks(project, (*SCORE, "--norm", "l7"), 3) as running:
        codes, said = running.ended(), running.said()
    assert codes[0] == 2
    assert "--norm l7" in said[0] and not any(said[1:])


def test_a_rank_with_the_same_mistake_waits_until_rank_0_has_told_it(project):
    with ranks(project, (*SCORE, "--nearst", 8), 2) as running:
        late, other = running.processes
        os.kill(late.pid, signal.SIGSTOP)
        other.join(1.5)
        assert other.is_alive()  # torchrun would end rank 0 now
        os.kill(late.pid, signal.SIGCONT)
        codes, said = running.ended(), running.said()
    assert codes[0] == 2 and "No such option: --nearst" in said[0]


def test_a_machine_that_does_not_meet_the_others_says_so(project):
    with ranks(project, SCORE, 2, own_machines=True, GLOO_SOCKET_IFNAME="none") as running:
        said = (running.ended(), running.said())[1]
    assert f"rank 1 on {HOST}: the ranks have not found each other" in said[1]


def test_a_command_of_one_process_refuses_to_be_started_several_times(project):
    with ranks(project, ("merge", "--queries", "labels.csv", "--labels", "new.csv"), 2) as running:
        codes, said = running.ended(), running.said()
    assert codes[0] == 2 and "runs in one process; start it without torchrun" in said[0]
    assert not said[1] and not (project / "new.csv").exists()


def test_torchrun_starts_it(project):
    expected = of_one_process(project, SCORE)
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "dfal_cli",
            *map(str, SCORE), "--quiet",
        ],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["scores.csv", "scores.csv.unreadable.csv"]
    assert outputs(project) == expected


def test_one_process_imports_nothing_of_ranks_nor_of_the_compiler_of_torch(project):
    model = build_network("lenet5", 2, (1, 16, 16))
    save_checkpoint(
        project / "lenet5.safetensors", model, architecture="lenet5", classes=("a", "b"), input_shape=(1, 16, 16),
        extra_metadata={},
    )  # fmt: skip
    code = (
        "import sys; sys.argv = ['dfal', *sys.argv[1:]]\n"
        "from dfal_cli.cli import main\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code\n"
        "names = ('system.leading', 'system.helping', 'system.meeting', 'cli.ranks', 'torch._dynamo', 'sympy')\n"
        "print([name for name in sys.modules if name.removeprefix('dfal_cli.') in names])"
    )
    arguments = (
        "score",
        "--images",
        "images",
        "--checkpoint",
        "lenet5.safetensors",
        "--out",
        "s.csv",
        "--device",
        "cpu",
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--max-unreadable", "0.2"],
        cwd=project, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"
