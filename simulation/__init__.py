"""A bank whose truth is known: customers, money and campaigns drawn month by month, for demonstrations and judges."""

from simulation.experiments import HookTest, standing_tests
from simulation.truth import Truth
from simulation.world import Summary, simulate

__all__ = ["HookTest", "Summary", "Truth", "simulate", "standing_tests"]
