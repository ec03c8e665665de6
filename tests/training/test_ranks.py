"""A team of ranks: what it refuses. tests/reliability trains with real ranks."""

import pytest
import torch
from torch import distributed

from dfal_cli.errors import UsageError
from dfal_cli.training.ranks import TeamOfRanks


def test_ranks_with_and_without_a_gpu_do_not_train_together(monkeypatch: pytest.MonkeyPatch) -> None:
    def gather(kinds: list[str | None], own: str) -> None:
        kinds[:] = [own, "cuda"]

    monkeypatch.setattr(distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_gather_object", gather)
    with pytest.raises(UsageError, match="use --device cpu"):
        TeamOfRanks(torch.device("cpu"), sync_batch_norm=False)
