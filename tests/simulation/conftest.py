"""One simulated bank for all tests that only read it."""

from __future__ import annotations

import pytest

from tests.simulation.banks import Simulated, simulated


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return simulated(tmp_path_factory.mktemp("simulated"))
