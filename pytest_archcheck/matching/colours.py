"""Colours of vertices: two vertices that a mapping may pair have the same colour (Weisfeiler and Leman, 1968)."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property

from pytest_archcheck.matching.normal import NormalForm, Operand

ROUNDS = 6
"""How many calls down the stream a vertex is looked at, to choose between equals in unequal models."""


class Colours:
    """Colours of two normal forms, comparable between them.

    ``stable`` tells vertices apart by everything before and after them.
    """

    def __init__(self, *forms: NormalForm) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._forms = forms
        self._users = [_users(form) for form in forms]
        self.stable = self._refined(forms)

    @cached_property
    def nearby(self) -> list[list[tuple[int, ...]]]:
        """For each vertex its colours by the next few calls, one for each round."""
        return [self._descending(form, users) for form, users in zip(self._forms, self._users, strict=True)]

    def users(self, form: NormalForm, at: int) -> list[tuple[int, Operand]]:
        """Who takes a vertex, and as what; the model's outputs as -1."""
        return self._users[self._forms.index(form)][at]

    def _number(self, key: Hashable) -> int:
        return self._numbers.setdefault(key, len(self._numbers))

    def _refined(self, forms: tuple[NormalForm, ...]) -> list[list[int]]:
        colours = [
            [self._number((v.kind, v.function, tuple(sorted(v.settings.items())))) for v in form.vertices]
            for form in forms
        ]
        classes = 0
        while (found := len({number for colour in colours for number in colour})) > classes:
            classes = found
            for form, colour, users in zip(forms, colours, self._users, strict=True):
                self._forward(form, colour)
                self._backward(form, colour, users)
        return colours

    def _forward(self, form: NormalForm, colour: list[int]) -> None:
        for at, vertex in enumerate(form.vertices):
            operands = [
                (colour[o.source], o.index, o.layout, "" if vertex.commutative else o.role)
                for o in vertex.operands
            ]
            seen = tuple(sorted(operands) if vertex.commutative else operands)
            colour[at] = self._number((colour[at], "from", seen))

    def _backward(self, form: NormalForm, colour: list[int], users: list[list[tuple[int, Operand]]]) -> None:
        for at in range(len(form.vertices) - 1, -1, -1):
            seen = tuple(sorted(self._use(form, colour, user, operand) for user, operand in users[at]))
            colour[at] = self._number((colour[at], "to", seen))

    @staticmethod
    def _use(form: NormalForm, colour: list[int], user: int, operand: Operand) -> tuple[int, str, int, str]:
        if user < 0:
            return (-1, operand.role, operand.index, operand.layout)
        role = "" if form.vertices[user].commutative else operand.role
        return (colour[user], role, operand.index, operand.layout)

    def _descending(self, form: NormalForm, users: list[list[tuple[int, Operand]]]) -> list[tuple[int, ...]]:
        """For each vertex, its colour by what it does alone, with the next calls, and so on for ``ROUNDS``."""
        colour = [self._number((v.kind, v.function)) for v in form.vertices]
        rounds = [colour]
        for _ in range(ROUNDS):
            last = rounds[-1]
            rounds.append(
                [
                    self._number((last[at], tuple(sorted(self._use(form, last, u, o) for u, o in users[at]))))
                    for at in range(len(form.vertices))
                ]
            )
        return list(zip(*rounds, strict=True))


def _users(form: NormalForm) -> list[list[tuple[int, Operand]]]:
    """Who takes each vertex; the model's outputs as user -1."""
    found: list[list[tuple[int, Operand]]] = [[] for _ in form.vertices]
    for at, vertex in enumerate(form.vertices):
        for operand in vertex.operands:
            found[operand.source].append((at, operand))
    for output in form.outputs:
        found[output.source].append((-1, output))
    return found
