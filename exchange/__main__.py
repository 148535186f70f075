"""`python -m exchange` is `exchange`."""

from exchange.cli import main

main()
