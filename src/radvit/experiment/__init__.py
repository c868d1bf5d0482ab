"""Claims on disk: recorded from measured runs, and run again to see whether they hold."""
