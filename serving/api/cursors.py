"""Opaque cursors of lists: where the next page begins."""

from __future__ import annotations

import base64
import binascii

from serving.errors import BadCursor


def cursor_after(last_id: str) -> str:
    """The cursor of the page that begins after `last_id`.

    >>> after(cursor_after("O12"))
    'O12'
    """
    return base64.urlsafe_b64encode(last_id.encode()).decode("ascii").rstrip("=")


def after(cursor: str) -> str:
    """The id that a cursor stands for; raises BadCursor for text we never gave out."""
    try:
        last_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError) as error:
        raise BadCursor("the cursor was not given out here", todo="take next_cursor of the page before") from error
    if cursor_after(last_id) != cursor:
        raise BadCursor("the cursor was not given out here", todo="take next_cursor of the page before")
    return last_id
