"""The month-end, from build to report."""
