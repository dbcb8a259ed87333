"""Which styles there are, and what is known of each: cards, touch, blends, pieces as examples.

Begin with :mod:`styletransfer.styles.find`. A piece may be a style, whose composer the judges name:
so this room stands above :mod:`styletransfer.evaluation`. No torch.
"""
