"""Everything of a model, its inputs and the process that a recording could disturb, to the bit."""

import functools
import gc
import random
import types
import weakref

import numpy
import torch
from torch import nn


def fingerprint(model, *others):
    """A comparable picture: identity, class and content of all that can be reached, tensors by their bytes."""
    picture = {}
    _look(model, "model", picture, set())
    for index, other in enumerate(others):
        _look(other, f"other{index}", picture, set())
    picture["process"] = (
        torch.get_rng_state().numpy().tobytes(),
        random.getstate(),
        numpy.random.get_state()[1].tobytes(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.backends.mha.get_fastpath_enabled(),
        torch.empty(0).device.type,
        torch.get_default_dtype(),
        torch.overrides._len_torch_function_stack()
        if hasattr(torch.overrides, "_len_torch_function_stack")
        else 0,
        gc.isenabled(),
    )
    return picture


def assert_same(before, after):
    """Fail with the places that differ."""
    differing = [place for place in {**before, **after} if before.get(place) != after.get(place)]
    assert not differing, f"changed: {differing}"


def _look(thing, place, picture, seen):
    if isinstance(thing, bool | int | float | complex | str | bytes | type(None) | type):
        picture[place] = thing
        return
    picture[place] = (type(thing), id(thing))
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, torch.Tensor):
        picture[place] += _tensor(thing)
        _look(thing.grad if thing.is_leaf else None, f"{place}.grad", picture, seen)
    elif isinstance(thing, dict):
        picture[f"{place} keys"] = [str(key) for key in thing]
        for key, item in thing.items():
            _look(item, f"{place}[{key!r}]", picture, seen)
    elif isinstance(thing, list | tuple):
        for index, item in enumerate(thing):
            _look(item, f"{place}[{index}]", picture, seen)
    elif isinstance(thing, numpy.ndarray):
        picture[place] += (thing.tobytes(),)
    elif isinstance(thing, torch.Generator):
        picture[place] += (thing.get_state().numpy().tobytes(),)
    elif isinstance(thing, random.Random):
        picture[place] += (thing.getstate(),)
    elif isinstance(thing, weakref.ref):
        picture[place] += (id(thing()),)
    elif isinstance(thing, types.FunctionType):
        for index, cell in enumerate(thing.__closure__ or ()):
            _look(cell.cell_contents, f"{place} cell {index}", picture, seen)
    elif isinstance(thing, types.MethodType):
        picture[place] = (type(thing), id(thing.__self__), thing.__func__)
    elif isinstance(thing, functools.partial):
        for name in ("func", "args", "keywords"):
            _look(getattr(thing, name), f"{place}.{name}", picture, seen)
    elif isinstance(thing, functools._lru_cache_wrapper):
        picture[place] += (thing.cache_info(),)
    else:
        _attributes(thing, place, picture, seen)


def _attributes(thing, place, picture, seen):
    if type(thing).__module__.startswith(("torch.fx", "torch._")):
        return
    names = [*getattr(thing, "__dict__", {})]
    for cls in type(thing).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            own = f"_{cls.__name__}{name}" if name.startswith("__") and not name.endswith("__") else name
            if own not in ("__dict__", "__weakref__"):
                names.append(own)
    picture[f"{place} attributes"] = names
    for name in names:
        try:
            item = object.__getattribute__(thing, name)
        except AttributeError:
            item = None
        _look(item, f"{place}.{name}", picture, seen)
    if isinstance(thing, nn.Module):
        picture[f"{place} mode"] = thing.training


def _tensor(tensor):
    facts = (tensor.requires_grad, str(tensor.device), tensor.dtype, sorted(tensor.__dict__))
    if nn.parameter.is_lazy(tensor):
        return (*facts, "lazy")
    facts += (tensor._version,)
    if tensor.is_sparse:
        return (*facts, *_tensor(tensor.indices()), *_tensor(tensor.values()))
    if tensor.is_nested:
        return (*facts, *(_tensor(part) for part in tensor.unbind()))
    plain = tensor.detach().as_subclass(torch.Tensor)
    where = (tuple(plain.shape), plain.stride(), plain.data_ptr())
    memory = torch.empty(0, dtype=torch.uint8).set_(plain.untyped_storage())
    return (*facts, *where, memory.numpy().tobytes())
