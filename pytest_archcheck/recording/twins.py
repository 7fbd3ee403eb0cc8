"""The counterpart of one tensor, where a recording takes place.

On a real device a parameter's counterpart shares its memory, until somebody writes to it; everything else is
copied. Without values (meta, fake) it has shape, strides and dtype and no memory.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_archcheck.errors import RecordingError
from pytest_archcheck.recording.placements import Placement

UNKNOWN_VERSION = -1


class NoValuesError(RecordingError):
    """The model has no values to run with, so only a placement without values can record it."""


def twin_of(tensor: torch.Tensor, place: Placement, share: bool) -> torch.Tensor:
    """The counterpart of a parameter, buffer or plain tensor: same class, shape, strides and dtype.

    Args:
        tensor: the user's.
        place: where its counterpart is to be.
        share: whether a parameter shares its memory where that is in the same place.

    Raises:
        NoValuesError: a meta tensor for a real device.
    """
    kind = type(tensor)
    if (
        place.device.type == "meta"
        and (kind is nn.Parameter or kind is torch.Tensor)
        and tensor.layout is torch.strided
        and not (tensor.is_quantized or tensor.is_nested)
    ):
        size, stride = tensor.size(), tensor.stride()
        plain = torch.empty_strided(size, stride, dtype=tensor.dtype, device=place.device)
        if kind is torch.Tensor:
            return plain.requires_grad_() if tensor.requires_grad else plain
        return torch.Tensor._make_subclass(kind, plain, tensor.requires_grad)
    twin = _twin_of(tensor, place, share)
    stored = _stored_bytes(tensor)
    if stored is not None:
        twin.__dict__["_archcheck_stored"] = stored
    return twin


def _twin_of(tensor: torch.Tensor, place: Placement, share: bool) -> torch.Tensor:
    cls: type[Any] = type(tensor)
    if nn.parameter.is_lazy(tensor):
        return cls(requires_grad=tensor.requires_grad, device=place.device, dtype=tensor.dtype)  # type: ignore[no-any-return]
    if not tensor.is_meta or not place.has_values:
        with torch.no_grad():
            plain = tensor.data.clone() if tensor.is_inference() else tensor.data
            if not place.has_values:
                twin = _without_values(plain, place)
            elif share and isinstance(tensor, nn.Parameter) and plain.device == place.device:
                twin = plain
            else:
                twin = _copied(plain, place)
    else:
        raise NoValuesError(
            f"its tensors are on meta and have no values to run with on {place.name}\n"
            "  do: record on meta or fake, or give a function that builds it with values",
            see="inputs",
        )
    if isinstance(tensor, nn.Parameter):
        made = nn.Parameter(twin, requires_grad=tensor.requires_grad)
        if nn.Parameter in cls.__mro__ and cls is not nn.Parameter:
            made.__class__ = cls
        return made
    return twin.requires_grad_() if tensor.requires_grad else twin


def scripted_twin(module: torch.jit.ScriptModule, place: Placement) -> torch.jit.ScriptModule:
    """A scripted module as a whole: what is inside of it is out of reach."""
    twin = copy.deepcopy(module)
    for own, copied in zip(module.parameters(), twin.parameters(), strict=True):
        copied.requires_grad = own.requires_grad  # a copy under no_grad loses it
    return twin.to(place.device)


def _stored_bytes(tensor: torch.Tensor) -> int | None:
    """Bytes of what a sparse tensor holds, which its counterpart without values does not know."""
    layout = tensor.layout
    if layout is torch.strided or nn.parameter.is_lazy(tensor):
        return None
    plain = tensor.detach()
    parts: tuple[torch.Tensor, ...]
    if layout is torch.sparse_coo:
        parts = (plain._indices(), plain._values())
    elif layout in (torch.sparse_csr, torch.sparse_bsr):
        parts = (plain.crow_indices(), plain.col_indices(), plain.values())
    elif layout in (torch.sparse_csc, torch.sparse_bsc):
        parts = (plain.ccol_indices(), plain.row_indices(), plain.values())
    else:
        return None
    return sum(part.nbytes for part in parts)


def _copied(plain: torch.Tensor, place: Placement) -> torch.Tensor:
    if (
        plain.layout is torch.strided and not plain.is_nested and 0 in plain.stride()
    ):  # an expanded one stays as small as it is
        kept = torch.empty(0, dtype=plain.dtype, device=plain.device).set_(
            _copied_memory(plain), plain.storage_offset(), plain.size(), plain.stride()
        )
        return kept.to(place.device)
    return plain.to(place.device, copy=True)


def _without_values(plain: torch.Tensor, place: Placement) -> torch.Tensor:
    is_plain = type(plain) is torch.Tensor and plain.layout is torch.strided
    with place.active():
        if is_plain and not (plain.is_quantized or plain.is_nested):
            return torch.empty_strided(plain.size(), plain.stride(), dtype=plain.dtype, device=place.device)
        if place.fake_mode is not None:
            return place.fake_mode.from_tensor(plain)  # type: ignore[no-any-return]
    return plain.to("meta")


class ParameterWrite(Exception):
    """A forward is about to write to a parameter that is the user's own memory."""


class ParameterGuard(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Stops a forward before it writes to memory that is shared with the user's parameters.

    Every kernel of torch declares which arguments it writes to, so this sees a ``max_norm`` of an embedding,
    ``out=`` and an optimizer's step as well as ``weight.data.clamp_()``. What is stopped is recorded anew, on copies.

    Args:
        shared: the clone's parameters that share memory with the user's.
    """

    supports_higher_order_operators = True

    def __init__(self, shared: list[torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tripped = False
        """Whether something was stopped, also where the forward caught the exception."""
        self._shared = {memory_of(tensor) for tensor in shared} - {None}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        schema = getattr(func, "_schema", None)  # a higher-order operator has none
        if schema is not None and schema.is_mutable:
            for index, argument in enumerate(schema.arguments):
                if argument.alias_info is not None and argument.alias_info.is_write:
                    self._check(args[index] if index < len(args) else kwargs.get(argument.name))
        with torch._C.DisableTorchFunction():  # a kernel's call, not the model's
            return func(*args, **kwargs)

    def _check(self, value: Any) -> None:
        for tensor in value if isinstance(value, list | tuple) else (value,):
            if isinstance(tensor, torch.Tensor) and memory_of(tensor) in self._shared:
                self.tripped = True
                raise ParameterWrite


def _copied_memory(tensor: torch.Tensor) -> torch.UntypedStorage:
    return tensor.untyped_storage().clone()  # type: ignore[no-untyped-call, no-any-return]


def memory_of(tensor: torch.Tensor) -> int | None:
    """What memory a tensor looks at; ``None`` where it has no one storage (sparse, nested, wrappers)."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):
        return None


def version_of(tensor: torch.Tensor) -> int:
    """How often a tensor was written to; an inference tensor does not know."""
    return UNKNOWN_VERSION if tensor.is_inference() else tensor._version
