"""The pipeline for a few customers in compiled loops: what `decide` gives, to the bit, in a tenth of its time.

shelf.py     one catalogue and policy as the loops read them
sayings.py   what a text (a code, a set, a cell) says of offers and channels, worked out once
reading.py   cases as rows of numbers
loops.py     rules, filters and weights, customer by customer
deciding.py  all of it, with the lists drawn, and what is told of them
"""
