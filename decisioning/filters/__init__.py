"""Filters: one file a filter, one signature, applied in this order; a filter's id is its file's name.

A new filter is one new file with a function of the same name, and one word in ORDER. A request's single customer is
decided without arrays: a function called `<name>_alone` in the same file says the same in sets of offers. Where there
is none the filter itself is asked in arrays of one row, which is slower by a millisecond or so and equal to the bit.
"""

ORDER = ("exclusion", "consent", "eligibility", "applicability", "suitability", "contact_policy")
