"""Figures of a soak run, printed at its end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

FIGURES: list[str] = []


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[object], None]:
    """Takes what a test counted; printed beside its name when all have run."""
    return lambda counted: FIGURES.append(f"{request.node.name}\n    {counted}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES:
        terminalreporter.section("figures")
        for line in FIGURES:
            terminalreporter.write_line(line)
