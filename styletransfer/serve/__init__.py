"""The page and its API: a server for one's own machine, or behind a proxy.

Begin with :mod:`styletransfer.serve.app`. The server itself only listens, keeps and passes on;
songs are read and engraved, and arrangements made, in processes of their own
(:mod:`styletransfer.serve.child`), which are started again where they end.
"""
