"""A GPU that is only pretended: some ordinary tensors count as being on `cuda`, and mixing them with others fails.

A tensor is on the GPU if its memory is in a list. What is computed from such tensors is there as well; a tensor of the
host may not be mixed with them, and Python and numpy see their values only by a copy to the host. Each such wait for
the GPU is counted, with the line of dfal that caused it.
"""

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GPU, HOST = torch.device("cuda", 0), torch.device("cpu")
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
"""Operators that accept indices on the host; to index by a mask, the host must know how many values it selects."""
LOOKS = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "bincount", "equal"}
"""Operators whose result the host must know before it goes on: a value, or the shape of the result."""
ON_HOST_ONLY = {"numpy", "__array__"}
"""Methods that give out the memory of a tensor."""
FROM_DATA = {"tensor", "as_tensor"}
"""Functions that make a tensor of values of the host."""
NAME_DEVICES = {"device", "_parse_to"}
"""Functions that only read the name of a device."""


class PretendedGpu(contextlib.ExitStack):
    """While it is entered, `cuda` may be named, and its tensors are told from those of the host."""

    def __init__(self) -> None:
        super().__init__()
        self._storages: dict[int, torch.UntypedStorage] = {}  # kept, so that no address is used twice
        self.waits: Counter[str] = Counter()
        """How often the host waited for the GPU, by the line of dfal."""
        self.copied: Counter[str] = Counter()
        """Number of bytes copied to the GPU, by the line of dfal."""
        self.free_memory = 2**30
        self._is_counting = True

    def __enter__(self) -> "PretendedGpu":
        super().__enter__()
        patch = self.enter_context(pytest.MonkeyPatch.context())
        replaced: dict[str, Callable[..., Any]] = {
            "is_available": lambda: True, "device_count": lambda: 1, "set_device": lambda device: None,
            "empty_cache": lambda: None,
            "get_device_name": lambda device=None: "pretended", "is_bf16_supported": lambda: False,
            "mem_get_info": lambda device=None: (self.free_memory, self.free_memory),
            "get_rng_state": lambda device=None: torch.get_rng_state(),
            "set_rng_state": lambda state, device=None: None,
        }  # fmt: skip
        for name, function in replaced.items():
            patch.setattr(torch.cuda, name, function)
        for name in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):  # by torch version
            patch.setattr(torch.optim.Optimizer, name, lambda optimiser: None, raising=False)
        self.enter_context(_Operators(self))
        self.enter_context(_Functions(self))
        return self

    def has(self, value: object) -> bool:
        """Whether a value is a tensor on the GPU."""
        return isinstance(value, Tensor) and value.untyped_storage()._cdata in self._storages

    def take(self, values: Any) -> Any:
        """Note that all tensors among the values are on the GPU."""
        for value in tree_leaves(values):
            if isinstance(value, Tensor):
                storage = value.untyped_storage()
                self._storages[storage._cdata] = storage
        return values

    def wait(self, what: str) -> None:
        """Count that the host waits for the GPU."""
        if self._is_counting:
            self.waits[f"{what} at {_line_of_dfal()}"] += 1

    def moved(self, tensor: Tensor, to_gpu: bool, *, waiting: bool = True) -> Tensor:
        """A copy of the tensor on the other device. waiting: whether the host waits for its end."""
        if waiting:
            self.wait("copy to the GPU" if to_gpu else "copy to the host")
        with self.not_counting():
            copy = tensor.clone()
        if to_gpu:
            self.copied[_line_of_dfal()] += copy.nbytes
            return self.take(copy)  # type: ignore[no-any-return]
        self._storages.pop(copy.untyped_storage()._cdata, None)
        return copy

    @contextlib.contextmanager
    def not_counting(self) -> Iterator[None]:
        """Count no waits in the block."""
        self._is_counting = False
        try:
            yield
        finally:
            self._is_counting = True


class _Functions(TorchFunctionMode):
    """Sees every call of Python: devices that are named, and copies between them."""

    def __init__(self, gpu: PretendedGpu) -> None:
        super().__init__()
        self._gpu = gpu
        self._special: dict[str, Callable[..., Any]] = {
            "__get__": self._attribute,
            **dict.fromkeys(ON_HOST_ONLY, self._on_host_only),
            **dict.fromkeys(FROM_DATA, self._from_data),
            "to": self._to,
            "__deepcopy__": self._deepcopy,
            "cpu": lambda func, tensor: self._moved(tensor, HOST),
            "cuda": lambda func, tensor: self._moved(tensor, GPU),
            "tolist": lambda func, tensor: func(self._moved(tensor, HOST)),
            "pin_memory": lambda func, tensor: tensor,
        }

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if special := self._special.get(func.__name__):
            return special(func, *args, **kwargs)
        if func.__name__ not in NAME_DEVICES and any(map(_is_gpu, (*args, *kwargs.values()))):
            on_host = [HOST if _is_gpu(value) else value for value in args]
            named = {key: HOST if _is_gpu(value) else value for key, value in kwargs.items()}
            return self._gpu.take(func(*on_host, **named))
        return func(*args, **kwargs)

    def _attribute(self, func: Callable[..., Any], tensor: Tensor, *args: Any) -> Any:
        places = {"device": GPU, "is_cuda": True} if self._gpu.has(tensor) else {}
        return places.get(func.__self__.__name__) or func(tensor, *args)  # type: ignore[attr-defined]

    def _on_host_only(self, func: Callable[..., Any], tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        if self._gpu.has(tensor):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy it first.")
        return func(tensor, *args, **kwargs)

    def _from_data(self, func: Callable[..., Any], data: Any, *, device: Any = None, **kwargs: Any) -> Tensor:
        return self._moved(func(data, **kwargs), None if device is None else torch.device(device))

    def _deepcopy(self, func: Callable[..., Any], tensor: Tensor, memo: Any) -> Tensor:
        with self._gpu.not_counting():  # it copies memory, below the operators
            copy: Tensor = func(tensor, memo)
        return self._gpu.take(copy) if self._gpu.has(tensor) else copy  # type: ignore[no-any-return]

    def _to(self, func: Callable[..., Any], tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if args and isinstance(args[0], Tensor):
            return self._moved(tensor.to(args[0].dtype), GPU if self._gpu.has(args[0]) else HOST)
        device, dtype, non_blocking, memory_format = torch._C._nn._parse_to(  # type: ignore[attr-defined]
            *args, **{key: value for key, value in kwargs.items() if key != "copy"}
        )
        if device is not None and device.type == "meta":  # has no values
            return func(tensor, *args, **kwargs)  # type: ignore[no-any-return]
        converted = func(tensor, dtype or tensor.dtype, copy=kwargs.get("copy", False))
        if memory_format is not None:
            converted = converted.contiguous(memory_format=memory_format)
        return self._moved(converted, device, waiting=not (non_blocking and device is not None and _is_gpu(device)))

    def _moved(self, tensor: Tensor, device: torch.device | None, *, waiting: bool = True) -> Tensor:
        is_there = self._gpu.has(tensor)
        if device is None or is_there == _is_gpu(device):
            return tensor
        return self._gpu.moved(tensor, to_gpu=not is_there, waiting=waiting)


class _Operators(TorchDispatchMode):
    """Sees every operator, those of backward passes too: where results are, and what may not be mixed."""

    def __init__(self, gpu: PretendedGpu) -> None:
        super().__init__()
        self._gpu = gpu

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        given = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        there = [value for value in given if self._gpu.has(value)]
        here = [value for value in given if value.dim() and not self._gpu.has(value)]
        if not there:
            return func(*args, **kwargs)
        if name == "copy_" and here:
            self._gpu.wait("copy to the GPU" if self._gpu.has(args[0]) else "copy to the host")
            return func(*args, **kwargs)
        indices = tree_leaves(args[1]) if name in INDEXING and self._gpu.has(args[0]) else []
        if any(all(value is not index for index in indices) for value in here):
            raise RuntimeError(f"Expected all tensors to be on the same device, cuda:0 and cpu: {func}")
        if kwargs.get("generator") is not None:
            raise RuntimeError(f"Expected a 'cuda' device type for generator but found 'cpu': {func}")
        if name in LOOKS or any(map(self._makes_wait, indices)):
            self._gpu.wait(name)
        result = func(*args, **kwargs)
        return result if name == "_local_scalar_dense" else self._gpu.take(result)

    def _makes_wait(self, index: Tensor | None) -> bool:
        """Whether an index is a mask, or is on the host, from where it is copied."""
        return index is not None and (index.dtype in (torch.bool, torch.uint8) or not self._gpu.has(index))


def _is_gpu(value: object) -> bool:
    return (isinstance(value, torch.device) and value.type == "cuda") or (
        isinstance(value, str) and value.startswith("cuda")
    )


def _line_of_dfal() -> str:
    frame = sys._getframe()
    while frame is not None and not _is_of_dfal(frame.f_code.co_filename):
        frame = frame.f_back  # type: ignore[assignment]
    if frame is None:
        return "a test"
    path = Path(frame.f_code.co_filename)
    return f"{path.parent.name}/{path.name}:{frame.f_lineno} {frame.f_code.co_name}"


def _is_of_dfal(file: str) -> bool:
    """Whether a line of the file is one that causes copies; device.py only makes them."""
    return "/dfal_cli/" in file and not file.endswith("/system/device.py")
