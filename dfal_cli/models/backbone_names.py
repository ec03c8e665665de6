"""What to say about a name that no backbone has: the most similar names, and how to list them all."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from heapq import nlargest

from dfal_cli.errors import UsageError
from dfal_cli.models import packaged_backbones, timm_backbones, torchvision_networks
from dfal_cli.models.network import is_known, runs_code

MOST_SHOWN = 4
SMALLEST_LIKENESS = 0.6
"""Of names that share no word with the unknown one, as a ratio of difflib."""


def must_be_no_backbone(name: str, option: str) -> None:
    """Raise UsageError if this is no network that can be trained, but a backbone."""
    packaged, timm = packaged_backbones.PACKAGES, timm_backbones
    if runs_code(name) or is_known(name):
        return
    if name in packaged or name.startswith(timm.PREFIX) or (timm.is_installed() and timm.has(name)):
        raise UsageError(f"{option} {name}: is a backbone; add --freeze to train a head on its embeddings")


def no_such_backbone(name: str) -> UsageError:
    """Return the error that there is no backbone of this name."""
    bare = name.removeprefix(timm_backbones.PREFIX)
    known = timm_backbones.names()
    if bare == name:
        known = {*packaged_backbones.PACKAGES, *torchvision_networks.names(), *known}
    near = [f"{name.removesuffix(bare)}{other}" for other in similar_names(bare, sorted(known))]
    hint = f"did you mean {' or '.join(near)}?" if near else "use a torchvision network or package.module:function"
    return UsageError(f"--backbone {name}: no such backbone; {hint} {timm_backbones.how_to_list(_words(bare))}")


def similar_names(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that share the most words with a name and are the most similar; [] if none is similar."""
    words = _words(name)

    def likeness(other: str) -> tuple[int, float]:
        return sum(word in other for word in words), SequenceMatcher(None, name.lower(), other).ratio()

    near = nlargest(MOST_SHOWN, ((*likeness(other), other) for other in known))
    return [other for shared, ratio, other in near if shared or ratio >= SMALLEST_LIKENESS]


def _words(name: str) -> list[str]:
    """Return the parts of a name that say something: `dinov2_vits14` is dinov2 and vits14."""
    return [word for word in re.split(r"[^a-z0-9]+", name.lower()) if len(word) > 2]
