"""What every test may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.settings import read_settings


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets; a test that needs it is skipped where the setting names none."""
    folder = read_settings().shared_data
    if folder is None:
        pytest.skip("no public data sets here: set TIERCEL_SHARED_DATA to their folder")
    return folder.resolve()
