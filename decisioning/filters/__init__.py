"""Filters: one file a filter, one signature, applied in this order; a filter's id is its file's name.

A new filter is one new file with a function of the same name, and one word in ORDER. Requests of a few customers ask
the filters as compiled loops, which stand in `decisioning/few/filters_loop.py`; a filter that has none there is asked
in arrays of one row, slower by a millisecond or so and equal to the bit.
"""

ORDER = ("exclusion", "consent", "eligibility", "applicability", "suitability", "contact_policy")
