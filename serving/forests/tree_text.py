"""A LightGBM text as splits and leaves: what each split asks, and which leaves it rules out.

The leaves of a tree are numbered from left to right, and a set of leaves is one integer, bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass

from features.errors import TiercelError

MOST_LEAVES, MOST_TREES = 64, 1 << 15
_PROBABILITIES, _AMOUNTS = "binary sigmoid:1", "regression"
_OBJECTIVES = (_PROBABILITIES, _AMOUNTS)
_CATEGORICAL, _DEFAULT_LEFT = 1, 2  # bits of decision_type; bits 2 and 3 say how missing values are kept
_MISSING_NONE, _MISSING_NAN = 0, 2


@dataclass(frozen=True, slots=True)
class Split:
    """One split: where it looks, what goes left, and the leaves that it rules out when a row goes right."""

    tree: int
    feature: int
    threshold: float
    missing_left: bool
    codes: frozenset[int] | None  # of a categorical split: the codes that go left
    left_leaves: int

    def goes_left(self, value: float) -> bool:
        if value != value:
            return self.missing_left
        return value <= self.threshold if self.codes is None else int(value) in self.codes


@dataclass(frozen=True, slots=True)
class Tree:
    splits: tuple[Split, ...]
    leaves: tuple[float, ...]  # from left to right


class Unlike(TiercelError):
    """A text holds what is not read here: another objective, trees of more than 64 leaves, zeros as missing."""

    slug = "unlike-model"


def trees_of(text: str) -> list[Tree]:
    """The trees of a LightGBM text in their order; raises Unlike."""
    head, *blocks = text.split("\nTree=")
    settings = dict(line.partition("=")[::2] for line in head.splitlines())
    plain = settings.get("num_class") == "1" and settings.get("num_tree_per_iteration") == "1"
    fits = 0 < len(blocks) < MOST_TREES and "average_output" not in settings
    if not plain or settings.get("objective") not in _OBJECTIVES or not fits:
        raise Unlike("this model text is not laid out")
    return [_tree(number, block) for number, block in enumerate(blocks)]


def is_of_probabilities(text: str) -> bool:
    """Whether the sums of the leaves are log-odds; else they are what is said."""
    return f"\nobjective={_PROBABILITIES}\n" in text.partition("\nTree=")[0]


def _tree(number: int, block: str) -> Tree:
    fields = dict(line.partition("=")[::2] for line in block.partition("\n\n")[0].splitlines())
    leaves = [float(value) for value in fields["leaf_value"].split()]
    if len(leaves) > MOST_LEAVES or fields.get("is_linear", "0") != "0":
        raise Unlike("this model text is not laid out")
    if len(leaves) == 1:
        return Tree((), tuple(leaves))
    children = list(zip(_whole(fields, "left_child"), _whole(fields, "right_child"), strict=True))
    order: list[int] = []
    under: dict[int, int] = {}  # set of leaves under each node, leaves numbered from left to right
    stack = [(0, False)]
    while stack:  # depth first, without recursion: a chain of 64 splits is allowed
        node, is_done = stack.pop()
        if node < 0:
            under[node] = 1 << len(order)
            order.append(~node)
        elif is_done:
            under[node] = under[children[node][0]] | under[children[node][1]]
        else:
            stack += [(node, True), (children[node][1], False), (children[node][0], False)]
    splits = tuple(_split(number, node, fields, under[children[node][0]]) for node in range(len(children)))
    return Tree(splits, tuple(leaves[leaf] for leaf in order))


def _split(tree: int, node: int, fields: dict[str, str], left_leaves: int) -> Split:
    kind, threshold = _whole(fields, "decision_type")[node], float(fields["threshold"].split()[node])
    missing = kind >> 2 & 3
    feature = _whole(fields, "split_feature")[node]
    if kind & _CATEGORICAL:
        bounds, words = _whole(fields, "cat_boundaries"), _whole(fields, "cat_threshold")
        mine = words[bounds[int(threshold)] : bounds[int(threshold) + 1]]
        codes = frozenset(32 * at + bit for at, word in enumerate(mine) for bit in range(32) if word >> bit & 1)
        return Split(tree, feature, threshold, False, codes, left_leaves)
    if missing not in (_MISSING_NONE, _MISSING_NAN):
        raise Unlike("this model text is not laid out")
    missing_left = bool(kind & _DEFAULT_LEFT) if missing == _MISSING_NAN else threshold >= 0.0
    return Split(tree, feature, threshold, missing_left, None, left_leaves)


def _whole(fields: dict[str, str], name: str) -> list[int]:
    return [int(value) for value in fields[name].split()]
