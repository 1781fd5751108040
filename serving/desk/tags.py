"""Tags at the moment of reading: what the rows say of a customer, less what he deleted (R32)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from features.packing import Plain


def without(tags: Plain, deleted: Collection[str]) -> str | None:
    """A set of tags, written |A|B|, without the deleted ones; None where none are known.

    >>> without("|near_up|payroll|", {"payroll"}), without("|payroll|", {"payroll"})
    ('|near_up|', '|')
    """
    if not isinstance(tags, str):
        return None
    kept = [tag for tag in tags.split("|") if tag and tag not in deleted]
    return f"|{'|'.join(kept)}|" if kept else "|"


def kept_tags(customer_ids: Sequence[str], known: NDArray[Any], deleted: Mapping[str, Collection[str]]) -> NDArray[Any]:
    """The column `tags` of n customers, object (n,), without what each of them deleted.

    >>> import numpy as np
    >>> kept_tags(["a", "b"], np.array(["|x|", "|x|y|"], dtype=object), {"b": {"x"}}).tolist()
    ['|x|', '|y|']
    """
    if not deleted:
        return known
    found = known.copy()
    for place, customer_id in enumerate(customer_ids):
        if customer_id in deleted:
            found[place] = without(known[place], deleted[customer_id])
    return found
