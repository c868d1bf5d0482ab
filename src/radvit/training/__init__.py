"""Lightning module, optimiser and callbacks."""
