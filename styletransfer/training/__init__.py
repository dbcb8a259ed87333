"""Training: the base, styles, baselines.

Begin with :mod:`styletransfer.training.trainer`. Uses everything below; recipes are in ``pretrain``
and ``finetune``.
"""
