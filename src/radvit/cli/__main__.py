"""`python -m radvit.cli`."""

from radvit.cli import main

main()
