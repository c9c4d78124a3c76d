"""What is public, as text: so that no name or argument changes by accident."""
