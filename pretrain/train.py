"""Train the base model.

    python -m pretrain.train --config configs/pretrain/small.yaml --out runs/small --minutes 180

Writes ``final`` in the folder ``--out``, from the training pieces of a prepared data set. It takes
the minutes that are given (9.2 hours of two cores made the measured base). The same command resumes
a run that was stopped, and continues a finished one from before its decay; ``python -m
pretrain.ship`` puts the result among the weights that commands use.
"""

from __future__ import annotations

import sys
from pathlib import Path

from styletransfer.configuration import recipe_parser


def main(argv: list[str] | None = None) -> int:
    """Train, and return the exit code."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument("--config", type=Path, default=Path("configs/pretrain/small.yaml"))
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/small"),
        help="the folder of checkpoints; an earlier run there is resumed",
    )
    parser.add_argument(
        "--minutes", type=float, help="end after so many minutes, with the learning rate at zero"
    )
    parser.add_argument(
        "--steps",
        type=int,
        help="the most steps, counted from the run's start",
    )
    parser.add_argument(
        "--from", dest="start", type=Path, help="begin with the weights of this model's folder"
    )
    parser.add_argument(
        "--all-pieces", action="store_true", help="learn from all splits: nothing is held out"
    )
    arguments = parser.parse_args(argv)

    import dataclasses

    from torch import distributed

    from styletransfer.configuration import load_config
    from styletransfer.data.library import Library
    from styletransfer.errors import InputError
    from styletransfer.training.tokenizer import tokenizer_of_run
    from styletransfer.training.trainer import TrainConfig, train

    try:
        run = load_config(TrainConfig, arguments.config)
        if arguments.steps:
            run = dataclasses.replace(run, steps=arguments.steps)
        library = Library.load(arguments.data)
        if arguments.all_pieces:
            library = library.without_held_out()
        codec = tokenizer_of_run(run.tokenizer, library, run.mixture, arguments.out)
        final = train(library, codec, run, arguments.out, arguments.minutes, arguments.start)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"finished: {final}")
    if distributed.is_initialized():  # else its threads may abort the process as it ends
        distributed.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main())
