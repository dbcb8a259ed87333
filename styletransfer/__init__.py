"""Arrange a melody for piano in the style of a composer or an era."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from styletransfer.api import StyleTransfer
    from styletransfer.outputs.render import render

__all__ = ["StyleTransfer", "__version__", "render"]
__version__ = "0.2.0"

# PyTorch's threads sleep while they wait. If they stayed awake, they would slow each other down
# wherever other programs run.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def __getattr__(name: str) -> Any:
    """Load an exported name when it is first used.

    Importing the package thus costs nothing.
    """
    if name == "StyleTransfer":
        from styletransfer.api import StyleTransfer

        return StyleTransfer
    if name == "render":
        from styletransfer.outputs.render import render

        return render
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
