"""Filters: one file a filter, one signature, applied in this order; a filter's id is its file's name.

A new filter is one new file with a function of the same name, and one word in ORDER.
"""

ORDER = ("exclusion", "consent", "eligibility", "applicability", "suitability", "contact_policy")
