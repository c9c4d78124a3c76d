"""Wheel and sdist, built as they are published and tried where nothing else is installed."""
