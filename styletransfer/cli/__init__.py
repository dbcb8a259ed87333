"""The command line: one module for each family of commands.

Begin with :mod:`styletransfer.cli.app`. It may use every room, and nothing uses it.
"""
