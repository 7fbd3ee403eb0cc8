"""What a clone consists of: the records of its modules, parameters and buffers."""

from __future__ import annotations

from torch import nn

from pytest_archcheck.recording.config import config_of, is_atomic, type_name
from pytest_archcheck.recording.values import spec_of
from pytest_archcheck.records import Module, Ref, StateTensor


class Owner:
    """What the record says of one module of the clone."""

    __slots__ = ("atomic", "calls", "module", "state")

    def __init__(self, record: Module, atomic: bool, state: tuple[StateTensor, ...]) -> None:
        self.module = record
        self.atomic = atomic
        self.state = state
        self.calls = 0


def state_of(clone: nn.Module) -> tuple[tuple[StateTensor, ...], dict[int, Ref]]:
    """Every parameter and buffer in the order of the state dict, and a reference for each object."""
    state: list[StateTensor] = []
    refs: dict[int, Ref] = {}
    first: dict[int, str] = {}
    for prefix, module in clone.named_modules(remove_duplicate=False):
        unsaved = module._non_persistent_buffers_set
        for kind, tensors in (("param", module._parameters), ("buffer", module._buffers)):
            for key, tensor in tensors.items():
                if tensor is None:
                    continue
                name = f"{prefix}.{key}" if prefix else key
                tied_to = first.get(id(tensor))
                first.setdefault(id(tensor), name)
                refs.setdefault(id(tensor), Ref(f"{kind}:{name}"))
                trainable = kind == "param" and tensor.requires_grad
                saved = kind == "param" or key not in unsaved
                state.append(StateTensor(name, kind, spec_of(tensor), trainable, tied_to, saved))
    return tuple(state), refs


def owners_of(
    clone: nn.Module, state: tuple[StateTensor, ...]
) -> tuple[tuple[Module, ...], dict[nn.Module, Owner]]:
    """The records of all modules, one for each name, and what is needed to record a call of each."""
    own: dict[str, list[StateTensor]] = {}
    for tensor in state:
        own.setdefault(tensor.name.rpartition(".")[0], []).append(tensor)
    records: list[Module] = []
    owners: dict[nn.Module, Owner] = {}
    for name, module in clone.named_modules(remove_duplicate=False):
        known = owners.get(module)
        if known is not None:
            records.append(Module(name, known.module.type, {}, same_as=known.module.name))
            continue
        config = config_of(module)
        if module.training != clone.training:  # a frozen batch norm, a dropout that stays on
            config["training"] = module.training
        record = Module(name, type_name(type(module)), config)
        records.append(record)
        owners[module] = Owner(record, is_atomic(module), tuple(own.get(name, ())))
    return tuple(records), owners
