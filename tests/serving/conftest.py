"""One home is written for the whole session; a test that changes it works on a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.serving.homes import write_home


@pytest.fixture(scope="session")
def written_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that tests only read."""
    home = tmp_path_factory.mktemp("bank") / "home"
    write_home(home)
    return home


@pytest.fixture
def home(written_home: Path, tmp_path: Path) -> Path:
    """A home of the test's own."""
    own = tmp_path / "home"
    shutil.copytree(written_home, own)
    return own
