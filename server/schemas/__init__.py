"""Shapes of all that comes in and goes out. They judge shape only: no queries, no users."""
