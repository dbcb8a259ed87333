"""``python -m styletransfer``."""

from styletransfer.cli import main

main()
