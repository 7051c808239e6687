"""`python -m gargalo`."""

from gargalo.cli import main

main()
