"""The module tree, walked without recursion and in time linear in its size."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn


def named_modules(root: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Every module under each of its names, a module before its children; what is shared comes again.

    As ``root.named_modules(remove_duplicate=False)``; a module that holds itself is not entered again.
    """
    yield prefix, root
    entered = {id(root)}
    stack = [(prefix, root, iter(root._modules.items()))]
    while stack:
        name, module, children = stack[-1]
        for key, child in children:
            if child is None or id(child) in entered:
                continue
            child_name = f"{name}.{key}" if name else key
            yield child_name, child
            if child._modules:
                entered.add(id(child))
                stack.append((child_name, child, iter(child._modules.items())))
                break
        else:
            stack.pop()
            entered.discard(id(module))


def nesting(root: nn.Module) -> int:
    """How many modules lie inside one another at most."""
    levels: dict[int, int] = {}
    entered = {id(root)}
    stack = [(root, iter(root._modules.values()))]
    while stack:
        module, children = stack[-1]
        for child in children:
            if child is not None and id(child) not in levels and id(child) not in entered:
                entered.add(id(child))
                stack.append((child, iter(child._modules.values())))
                break
        else:
            stack.pop()
            entered.discard(id(module))
            inside = [levels.get(id(child), 0) for child in module._modules.values() if child is not None]
            levels[id(module)] = 1 + max(inside, default=0)
    return levels[id(root)]


def distinct_modules(root: nn.Module) -> list[nn.Module]:
    """Every module once, in the order of ``root.modules()``."""
    seen: set[int] = set()
    found: list[nn.Module] = []
    stack = [root]
    while stack:
        module = stack.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        found.append(module)
        if module._modules:
            stack.extend(child for child in reversed(list(module._modules.values())) if child is not None)
    return found
