"""Networks in the user's own code, `package.module:function`; messages about them name the line that failed."""

import contextlib
import importlib
import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from dfal_cli.errors import DfalError, TryAgainError, UsageError
from dfal_cli.models.normalised import Network, Normalisation, Shape, size_of
from dfal_cli.system.device import is_out_of_memory


class UserNetwork(Network):
    """A network in the user's own code, whose output is checked on every call."""

    def __init__(self, body: nn.Module, outputs: int | None, named: str, what: str = "logits") -> None:
        """outputs: number of values per image; None: as many as in the first batch. what: their name, for messages."""
        super().__init__(body, Normalisation())
        self._outputs = outputs
        self._named = named
        self._what = what

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [0, 1] to values (B, K). Raises UsageError if the network does not do that."""
        process = os.getpid()
        try:
            values = super().forward(images)
        except DfalError:
            raise
        except (Exception, SystemExit) as error:
            if is_out_of_memory(error) or is_termination(error):
                raise
            size = size_of((images.shape[-3], images.shape[-2], images.shape[-1]))
            raise UsageError(f"{self._named}: fails on {size} images: {_what_happened(error)}") from error
        finally:
            if os.getpid() != process:  # the network has forked: a second dfal must not continue
                os._exit(1)
        self._check(values, images)
        self._outputs = self._outputs or values.shape[1]
        return values

    def _check(self, values: object, images: Tensor) -> None:
        expected = f"{self._what} of shape ({len(images)}, {self._outputs or 'd'})"
        if not isinstance(values, Tensor):
            problem = type(values).__name__
        elif values.dim() != 2 or len(values) != len(images) or values.shape[1] != (self._outputs or values.shape[1]):
            problem = str(tuple(values.shape))
        elif not values.is_floating_point():
            problem = str(values.dtype)
        elif values.device != images.device:
            problem, expected = f"a tensor on {values.device}", f"a tensor on {images.device}"
        else:
            return
        raise UsageError(f"{self._named}: returned {problem} instead of {expected}")


def check_module_exists(architecture: str, named: str) -> None:
    """Raise UsageError if the package or module does not exist, as far as that is known without running its code."""
    package = architecture.partition(":")[0].partition(".")[0]
    try:
        with _working_directory_importable():
            found = importlib.util.find_spec(package)
    except ValueError:  # an empty name, or a module without a spec: the error is reported when the network is built
        return
    if found is None:
        raise UsageError(f"{named}: {_no_module(package)}")


def build_user_network(architecture: str, num_classes: int, input_shape: Shape, named: str) -> Network:
    """Build a network by calling `package.module:function`, and try it.

    named: option and name, for messages. Raises UsageError if any of that fails.
    """
    body = call_user_function(architecture, named, num_classes=num_classes, input_shape=input_shape)
    network = UserNetwork(body, num_classes, named)
    _try_out(network, named, input_shape)
    return network


def build_user_backbone(name: str, body: nn.Module, input_shape: Shape, named: str) -> Network:
    """Return a backbone that `package.module:function` has built, after trying it; likewise."""
    network = UserNetwork(body, None, named, "embeddings")
    _try_out(network, named, input_shape)
    return network


def call_user_function(architecture: str, named: str, **arguments: object) -> nn.Module:
    """Import `package.module:function` with the working directory on the path, call it, and return the module it makes.

    Raises UsageError if any of that fails.
    """
    module_name, _, function_name = architecture.partition(":")
    try:
        with _working_directory_importable():
            function = getattr(importlib.import_module(module_name), function_name)
            body = function(**arguments)
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        if is_termination(error):
            raise
        raise UsageError(f"{named}: {_why_not_built(error, module_name, function_name)}") from error
    if not isinstance(body, nn.Module):
        raise UsageError(f"{named}: returned {type(body).__name__}, not a torch.nn.Module")
    return body


def is_termination(error: BaseException) -> bool:
    """Return whether the error is the exit that a SIGTERM requests, which is not a fault of the network."""
    return isinstance(error, SystemExit) and error.code == 128 + signal.SIGTERM


@contextlib.contextmanager
def _working_directory_importable() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _try_out(network: Network, named: str, input_shape: Shape) -> None:
    modes = [(module, module.training) for module in network.modules()]
    kind, threads = torch.get_default_dtype(), torch.get_num_threads()
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(2, *input_shape))
    except RuntimeError as error:  # out of memory: `forward` converts all other errors to UsageError
        raise TryAgainError(f"{named}: out of memory on two {size_of(input_shape)} images") from error
    finally:
        for module, training in modes:
            module.training = training
        torch.set_default_dtype(kind)  # the network may have changed global settings; `probe_network` warns of that
        torch.set_num_threads(threads)
    others = [name for name, value in network.body.state_dict().items() if not isinstance(value, Tensor)]
    if others:
        raise UsageError(f"{named}: its state_dict holds a value that is not a tensor: {others[0]}; remove it")


def _why_not_built(error: BaseException, module: str, function: str) -> str:
    """Return why the network was not imported or built, with plain messages for the two most frequent mistakes."""
    match error:
        case ModuleNotFoundError(name=str(missing)) if module == missing or module.startswith(f"{missing}."):
            return _no_module(missing)
        case AttributeError(name=missing, obj=ModuleType(__name__=owner)) if (missing, owner) == (function, module):
            return f"the module {module!r} has no function {function!r}"
    return _what_happened(error)


def _no_module(name: str) -> str:
    return f"there is no module {name!r}, neither in the working directory ({Path.cwd()}) nor installed"


def _what_happened(error: BaseException) -> str:
    """Return the error in one line, with file and line of the user's code."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    location = "" if trace is None else f" ({trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno})"
    message = " ".join(str(error).split())[:500]
    return f"{type(error).__name__}: {message}{location}"
