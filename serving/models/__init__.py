"""The models of a home: which are in use, who answers for them, how they fare, what takes their place."""
