"""Which styles there are, and what is known of each.

Begin with :mod:`styletransfer.styles.card` (what a style is) and
:mod:`styletransfer.styles.find` (by its name, folder, Hub id or piece); ``blend`` parses several
with weights, ``example`` reads a piece as a style, ``touch`` has how pianists play one. As the
judges name a piece's composer, this room uses :mod:`styletransfer.evaluation`. No torch.
"""
