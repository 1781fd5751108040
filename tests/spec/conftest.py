"""The small bank of the feature tests, for the plain sentences too."""

from tests.features.conftest import bank_of

__all__ = ["bank_of"]
