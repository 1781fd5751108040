"""The pipeline for a few customers in compiled loops: what `decide` gives, to the bit, in a fraction of its time.

shelf.py         one catalogue and policy as the loops read them
sayings.py       what a text (a code, a set, a cell) says of offers and channels, worked out once
rows.py          what goes into the loops and comes out: what each column and bit is
reading.py       cases as rows
loops.py         the loop over customers, which calls those over rules, filters, weights and the drawing (*_loop.py)
telling.py       what came out as decisions
deciding.py      all of it, with filters that have no loop
"""
