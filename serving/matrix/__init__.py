"""The matrix and the months behind it, gathered for commands, API and pages."""
