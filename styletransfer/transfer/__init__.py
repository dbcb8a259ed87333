"""From a song and a style to an arrangement.

Begin with :mod:`styletransfer.transfer.pipeline`; what is asked for is a
:class:`styletransfer.transfer.request.Request`, what comes back a
:class:`styletransfer.transfer.result.Result`. It writes no files: :mod:`styletransfer.outputs`
does.
"""
