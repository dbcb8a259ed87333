"""Put a trained model among the weights that commands use.

    python -m pretrain.ship runs/small/final

In seconds, it writes a run's final model, or one of its checkpoints, with its manifest to the
package's ``assets/base``, or to ``base`` in ``$STYLETRANSFER_WEIGHTS``. The model card beside it is
written by hand, its table by ``python -m pretrain.report``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from styletransfer.configuration import recipe_parser
from styletransfer.folders import weights_folder


def main(argv: list[str] | None = None) -> int:
    """Write the model, and return the exit code."""
    parser = recipe_parser(__doc__)
    parser.add_argument(
        "source", type=Path, help="a run's final folder, or one of its checkpoint-N folders"
    )
    parser.add_argument("--out", type=Path, default=weights_folder() / "base")
    arguments = parser.parse_args(argv)

    from safetensors.torch import load_file

    from styletransfer.configuration import from_dict
    from styletransfer.model.base import build_model, load_package, save_package
    from styletransfer.model.weights import ModelConfig
    from styletransfer.tokens.codec import Codec

    if (arguments.source / "manifest.json").exists():
        model, vocabulary, manifest = load_package(arguments.source)
        manifest.pop("sha256")
    else:
        run = json.loads((arguments.source.parent / "run.json").read_text())
        state = json.loads((arguments.source / "trainer_state.json").read_text())

        codec = Codec()
        vocabulary = codec.vocabulary
        config = from_dict(ModelConfig, run["run"]["model"])
        model = build_model(config, codec.vocabulary)
        weights = load_file(arguments.source / "model.safetensors")
        model.load_state_dict(
            {name.removeprefix("_orig_mod."): value for name, value in weights.items()},
            strict=False,
        )
        model.tie_weights()

        before = run.get("start", {"steps": 0})
        manifest = run | {
            "model": run["run"]["model"],
            "steps": before["steps"] + state["global_step"],
        }
    save_package(model, arguments.out, vocabulary, manifest)
    size = sum(path.stat().st_size for path in arguments.out.glob("model-*.safetensors"))
    print(
        f"{arguments.out}: {model.num_parameters():,} parameters, {size / 1e6:.1f} MB,"
        f" {manifest.get('steps')} steps"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
