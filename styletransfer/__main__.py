"""``python -m styletransfer``."""

from styletransfer.cli.app import main

main()
