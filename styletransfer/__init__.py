"""Style transfer for symbolic music: arrange a melody for piano in the style of a composer or an era."""

__version__ = "0.1.0"
