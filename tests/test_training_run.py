"""Test whole runs of ``pretrain.train`` on a model of two layers.

They are killed and resumed, ended by the clock, continued, refused.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from finetune import matrix
from finetune import train as finetune_recipe
from pretrain import evaluate, scaling
from pretrain.train import main
from styletransfer.errors import InputError
from styletransfer.model.base import build_model, load_package, save_package
from styletransfer.model.weights import ModelConfig
from styletransfer.tokens.miditok_codec import MidiTokConfig
from styletransfer.training import trainer
from styletransfer.training.checkpoints import SEAL, last_checkpoint, remove_older, seal
from styletransfer.training.trainer import TrainConfig
from tests.tiny import codec

ROOT = Path(__file__).parents[1]
STEPS = 48
DECAY = 36  # the last quarter decays
CONFIG = """
model: {width: 32, layers: 2, heads: 2, hidden: 64, context: 96}
batch: 2
learning_rate: 0.01
warmup: 4
decay_share: 0.25
evaluate_every: 20
evaluate_pieces: 1
save_every: 4
log_every: 1
compile: false
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(CONFIG)
    return path


def arguments(config: Path, data: Path, out: Path, *more: str) -> list[str]:
    return ["--config", str(config), "--data", str(data), "--out", str(out), *more]


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def losses(rows: list[dict[str, Any]]) -> list[tuple[int, float, float, float]]:
    """Return (step, loss, gradient norm, learning rate) of every logged step."""
    return [
        (row["step"], row["loss"], row["grad_norm"], row["learning_rate"])
        for row in rows
        if "loss" in row
    ]


@pytest.fixture(scope="module")
def whole(config: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run to the end, without an interruption."""
    out = tmp_path_factory.mktemp("whole")
    assert main(arguments(config, tiny_data, out, "--steps", str(STEPS))) == 0
    return out


def test_a_run_warms_up_learns_decays_and_is_packed(whole: Path) -> None:
    rows = losses(log(whole))
    assert [step for step, *_ in rows] == list(range(1, STEPS + 1))
    rates = [rate for *_, rate in rows]
    assert rates[:4] == pytest.approx([0.0025, 0.005, 0.0075, 0.01])
    assert set(rates[3 : DECAY + 1]) == {0.01}
    assert rates[DECAY:] == pytest.approx(
        [0.01 * left / 12 for left in range(12, 0, -1)]
    )  # the next would be 0
    assert sum(loss for _, loss, *_ in rows[-5:]) < sum(loss for _, loss, *_ in rows[:5])
    evaluated = [row for row in log(whole) if "eval_bits_per_note_score" in row]
    assert [row["step"] for row in evaluated] == [20, 40, STEPS]
    assert all(row["eval_bits_per_note_performance"] > 0 for row in evaluated)
    _, vocabulary, manifest = load_package(whole / "final")
    assert vocabulary == codec().vocabulary
    assert (manifest["steps"], manifest["tokens"]) == (STEPS, STEPS * 2 * 96)
    assert manifest["tokenizer_hash"] == codec().hash


def test_a_killed_run_resumes_to_the_same_losses(
    whole: Path, config: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """SIGKILL comes after a checkpoint has appeared; then the same command is run again.

    Steps done twice are the same twice.
    """
    out = tmp_path / "killed"
    call = arguments(config, tiny_data, out, "--steps", str(STEPS))
    with subprocess.Popen(
        [sys.executable, "-m", "pretrain.train", *call],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and last_checkpoint(out) is None:
            time.sleep(0.01)
        process.kill()  # SIGKILL; an end of its own shows in the return code

    assert process.returncode == -signal.SIGKILL
    assert not (out / "final").exists()

    before = losses(log(out))
    resumed_from = last_checkpoint(out)
    assert resumed_from is not None
    assert main(call) == 0

    rows = losses(log(out))
    assert rows[len(before)][0] == int(resumed_from.name.split("-")[1]) + 1 > 1

    expected = {row[0]: row for row in losses(log(whole))}
    assert {row[0] for row in rows} == set(expected)

    for row in rows:
        assert row == pytest.approx(expected[row[0]], abs=1e-6)
    ours, theirs = (path / "final" / "manifest.json" for path in (out, whole))
    assert json.loads(ours.read_text())["sha256"] == json.loads(theirs.read_text())["sha256"]


def test_a_finished_run_continues_from_before_its_decay(
    whole: Path, config: Path, tiny_data: Path
) -> None:
    """It continues at the full learning rate.

    The checkpoint needed for this was deleted in a decay of more than two checkpoints; when it
    existed, the run decayed again and stopped.
    """
    kept = last_checkpoint(whole)
    assert kept is not None
    assert kept.name == f"checkpoint-{DECAY}"
    already = len(log(whole))
    assert main(arguments(config, tiny_data, whole, "--steps", str(STEPS + 24))) == 0
    rows = losses(log(whole)[already:])
    assert [step for step, *_ in rows] == list(range(DECAY + 1, STEPS + 25))
    assert {rate for step, *_, rate in rows if step <= 55} == {0.01}  # a quarter of 72 is left
    assert rows[-1][-1] == pytest.approx(0.01 / 18)


def test_weights_of_fewer_tokens_are_taken_over_by_name(
    config: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """The vocabulary has grown since: the first loss of the run that starts from them is the old
    model's.
    """
    old = tmp_path / "old"
    names = [name for name in codec().vocabulary if not name.startswith("KEY_")]
    vocabulary = {name: number for number, name in enumerate(names)}
    torch.manual_seed(5)
    sizes = ModelConfig(width=32, layers=2, heads=2, hidden=64, context=96)
    model = build_model(sizes, vocabulary)
    save_package(
        model,
        old,
        vocabulary,
        {"model": asdict(sizes), "tokenizer_hash": "old", "steps": 7, "tokens": 70},
    )
    call = arguments(config, tiny_data, tmp_path / "new", "--from", str(old), "--steps", "1")
    assert main(call) == 0

    _, found, manifest = load_package(tmp_path / "new" / "final")
    assert found == codec().vocabulary
    assert (manifest["steps"], manifest["tokens"]) == (8, 70 + 2 * 96)

    fresh = build_model(sizes, codec().vocabulary)
    run = TrainConfig(model=sizes)
    trainer._start_from(old, fresh, codec(), run)
    music = [name for name in names if name.startswith(("Pitch", "Duration", "TimeShift"))][:40]
    ids = [
        torch.tensor([[table[name] for name in ("BOS", "ERA_unknown", *music)]])
        for table in (vocabulary, found)
    ]
    with torch.inference_mode():
        before, after = model(input_ids=ids[0]).logits, fresh(input_ids=ids[1]).logits

    order = [found[name] for name in names]
    torch.testing.assert_close(
        after[..., order], before, atol=1e-3, rtol=1e-3
    )  # weights are kept in half precision
    with pytest.raises(InputError, match="tokens or its sizes"):
        trainer._start_from(
            tmp_path / "new" / "final", build_model(sizes, vocabulary), SmallCodec(vocabulary), run
        )  # type: ignore[arg-type]


class SmallCodec:
    """A tokenizer that lacks tokens which the weights have."""

    hash = "small"

    def __init__(self, vocabulary: dict[str, int]) -> None:
        self.vocabulary = vocabulary


def test_minutes_end_a_run_with_the_rate_at_zero(
    config: Path, tiny_data: Path, tmp_path: Path
) -> None:
    begin = time.monotonic()
    assert main(arguments(config, tiny_data, tmp_path, "--minutes", "0.05")) == 0
    rows = losses(log(tmp_path))
    assert time.monotonic() - begin < 60
    assert 4 < len(rows) < 100_000
    rates = [rate for *_, rate in rows]
    falling = sum(later < earlier for earlier, later in pairwise(rates))
    assert falling > 0
    assert rates[-1] == pytest.approx(
        max(rates) / (falling + 1)
    )  # one more step, and it would be 0
    load_package(tmp_path / "final")


@pytest.mark.parametrize(
    "change", ["batch: 3", "seed: 9", "model: {width: 16, heads: 2, context: 96}"]
)
def test_other_settings_in_the_same_folder_are_refused(
    whole: Path, change: str, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = change.split(":")[0]
    other = tmp_path / "other.yaml"
    lines = [line for line in CONFIG.splitlines() if not line.startswith(name)]
    other.write_text("\n".join([*lines, change]))
    before = (whole / "log.jsonl").read_bytes()
    assert main(arguments(other, tiny_data, whole)) == 2
    output = capsys.readouterr()
    assert len(output.err.splitlines()) == 1
    assert "holds a run with other settings" in output.err
    assert (whole / "log.jsonl").read_bytes() == before


def test_how_often_it_is_logged_is_no_other_run(
    whole: Path, tiny_data: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(CONFIG.replace("log_every: 1", "log_every: 7"))
    assert main(arguments(other, tiny_data, whole, "--steps", str(STEPS + 24))) == 0


def test_a_run_starts_from_weights_of_a_shorter_context(
    config: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Positions are rotations, so no weight depends on the context; other sizes are refused."""
    short, longer, wider = (tmp_path / f"{name}.yaml" for name in ("short", "longer", "wider"))
    short.write_text(CONFIG.replace("context: 96", "context: 48"))
    assert main(arguments(short, tiny_data, tmp_path / "short", "--steps", "4")) == 0
    final = str(tmp_path / "short" / "final")
    longer.write_text(CONFIG)
    call = arguments(longer, tiny_data, tmp_path / "longer", "--from", final, "--steps", "4")
    assert main(call) == 0
    _, _, manifest = load_package(tmp_path / "longer" / "final")
    assert manifest["model"]["context"] == 96
    assert manifest["tokens"] == 4 * 2 * (48 + 96)

    wider.write_text(CONFIG.replace("hidden: 64", "hidden: 96"))
    call = arguments(wider, tiny_data, tmp_path / "wider", "--from", final, "--steps", "4")
    assert main(call) == 2
    assert "its sizes are not those of this run" in capsys.readouterr().err


def test_what_learnt_from_all_pieces_is_not_measured_on_them(
    config: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(config, tiny_data, tmp_path, "--steps", "8", "--all-pieces")) == 0
    assert not [row for row in log(tmp_path) if any("bits_per_note" in key for key in row)]
    final = tmp_path / "final"
    assert json.loads((final / "manifest.json").read_text())["all_pieces"] is True
    call = ["--data", str(tiny_data), "--out", str(tmp_path / "report.json")]
    onward = tmp_path / "onward"
    assert main(arguments(config, tiny_data, onward, "--steps", "8", "--from", str(final))) == 0
    assert json.loads((onward / "run.json").read_text())["all_pieces"] is True
    refusing = (
        (evaluate.main, "--model"),
        (matrix.main, "--base"),
        (finetune_recipe.main, "--base"),
    )
    for (refuses, option), folder in product(refusing, (final, onward / "final")):
        capsys.readouterr()
        assert refuses([*call, option, str(folder)]) == 2
        assert "has learnt from validation and test pieces" in capsys.readouterr().err
    assert not (tmp_path / "report.json").exists()


def test_sizes_learn_for_the_same_compute(
    config: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies = {
        "sizes": {"narrow": {"model.width": 16}, "wide": {"model.width": 48}},
        "context": {"short": {"model.context": 48, "batch": 4}, "long": {}},
        "tokens": {
            "bars": {"mixture.melody_share": 0.0},
            "merged": {"tokens": MidiTokConfig(bpe_vocabulary=450)},
        },
    }
    monkeypatch.setattr(scaling, "STUDIES", studies)
    out, plot = tmp_path / "scaling.json", tmp_path / "scaling.png"
    call = [
        "--config",
        str(config),
        "--data",
        str(tiny_data),
        "--work",
        str(tmp_path / "work"),
        "--flops",
        "3e9",
    ]
    call += ["--out", str(out), "--plot", str(plot)]
    assert scaling.main(call) == 0

    report = json.loads(out.read_text())
    narrow, wide = report["studies"]["sizes"]
    short, long = report["studies"]["context"]
    bars, merged = report["studies"]["tokens"]
    assert (
        len(json.loads((tmp_path / "work/tokens/merged/final/vocabulary.json").read_text())),
        merged["name"],
    ) == (
        450,
        "merged",
    )
    assert narrow["parameters"] < wide["parameters"]
    assert (short["sizes"]["context"], long["sizes"]["context"]) == (48, 96)
    assert short["curve"][-1]["tokens"] == long["curve"][-1]["tokens"]
    assert narrow["curve"][-1]["flops"] == pytest.approx(wide["curve"][-1]["flops"], rel=0.1)
    assert all(
        len(row["curve"]) >= scaling.VALIDATIONS
        for row in (narrow, wide, short, long, bars, merged)
    )

    every = [one for rows in report["studies"].values() for row in rows for one in row["curve"]]
    assert all(one["score"] > 0 and one["performance"] > 0 for one in every)
    assert scaling.tables(report).count("\n") == 13

    times = [path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("log.jsonl")]
    assert scaling.main(call) == 0
    assert times == [path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("log.jsonl")]
    assert plot.stat().st_size > 1000

    out.write_text(json.dumps(report | {"studies": {"sizes": report["studies"]["sizes"]}}))
    assert scaling.main([*call, "--only", "context"]) == 0
    assert list(json.loads(out.read_text())["studies"]) == ["sizes", "context"]

    out.unlink()
    assert scaling.main([*call, "--only", "context"]) == 0  # there is nothing to draw


@pytest.mark.parametrize("missing", ["--config", "--data"])
def test_what_is_missing_is_reported(
    missing: str, config: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = arguments(config, tiny_data, tmp_path / "run")
    call[call.index(missing) + 1] = str(tmp_path / "nowhere")
    assert main(call) == 2
    output = capsys.readouterr()
    assert len(output.err.splitlines()) == 1
    assert "nowhere" in output.err
    assert not (tmp_path / "run").exists()


def checkpoint(out: Path, step: int, *, sealed: bool) -> Path:
    """Write a small checkpoint with the files of a whole one."""
    folder = out / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    save_file({"weight": torch.ones(50)}, folder / "model.safetensors")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        torch.save({"state": torch.arange(50)}, folder / name)
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    if sealed:
        seal(folder)
    return folder


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize(
    "file",
    ["model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"],
)
def test_a_checkpoint_cut_short_is_no_checkpoint(tmp_path: Path, file: str, sealed: bool) -> None:
    """A file that is short, empty or away, as after a loss of power; checkpoints without a seal
    are those of older versions.
    """
    whole = checkpoint(tmp_path, 5, sealed=sealed)
    broken = checkpoint(tmp_path, 10, sealed=sealed)
    assert last_checkpoint(tmp_path) == broken
    for left in (-1, 0, None):
        if left is None:
            (broken / file).unlink()
        else:
            (broken / file).write_bytes((broken / file).read_bytes()[:left])
        assert last_checkpoint(tmp_path) == whole, left


def test_a_checkpoint_without_its_seal_is_not_preferred(tmp_path: Path) -> None:
    """Where the power goes before the seal is written, the weights may be zeros of full length."""
    whole = checkpoint(tmp_path, 5, sealed=True)
    checkpoint(tmp_path, 10, sealed=False)
    for content in (b"", b"{", b"[" * 5000, b"{}"):
        checkpoint(tmp_path, 15 + len(content), sealed=False)
        (tmp_path / f"checkpoint-{15 + len(content)}" / SEAL).write_bytes(content)
    assert last_checkpoint(tmp_path) == whole


def test_older_checkpoints_go_when_the_new_one_is_whole(tmp_path: Path) -> None:
    """The last two whole ones stay, or the last and the best."""
    for step in (5, 10, 100):
        checkpoint(tmp_path, step, sealed=True)
    checkpoint(tmp_path, 50, sealed=False)
    remove_older(tmp_path, None)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-10", "checkpoint-100"}

    checkpoint(tmp_path, 150, sealed=True)
    remove_older(tmp_path, str(tmp_path / "checkpoint-10"))
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-10", "checkpoint-150"}


def test_a_run_keeps_its_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The faster type used to be measured again whenever a run was resumed: on a busy machine, a
    resumed run chose the other type and arrived at other losses.
    """
    for answer, word in ((True, "bfloat16"), (False, "float32")):
        folder = tmp_path / word
        folder.mkdir()
        monkeypatch.setattr(trainer, "_bf16_pays", lambda: answer)  # noqa: B023
        assert trainer._precision_of(folder) == word
        monkeypatch.setattr(trainer, "_bf16_pays", lambda: pytest.fail("measured again"))
        assert trainer._precision_of(folder) == word
        assert [path.name for path in folder.iterdir()] == ["precision"]


def _agree(rank: int, folder: str) -> None:
    """Write what a process of two gets for its number; see the test below."""
    from torch import distributed
    from transformers import TrainingArguments

    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    made = TrainingArguments(output_dir=folder, use_cpu=True, report_to=[])
    found = trainer._of_first_process(100.0 + rank, made)
    (Path(folder) / f"{rank}.txt").write_text(str(found))
    distributed.barrier()
    distributed.destroy_process_group()


def test_processes_agree_on_the_time_that_is_left(tmp_path: Path) -> None:
    """Each went by its own clock: the one that ended first left the other waiting."""
    torch.multiprocessing.spawn(_agree, (str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in (0, 1)] == ["100.0", "100.0"]


def test_two_processes_train_to_the_losses_of_one(
    config: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """A window each, where the one process has two. (``--multi_gpu`` starts processes; without a
    GPU they talk by gloo.)

    In float32: Muon makes much of what bfloat16 rounds, and a tiny model at this rate goes another
    way after twenty steps.
    """
    halved, out, single = tmp_path / "halved.yaml", tmp_path / "run", tmp_path / "single"
    for folder in (out, single):
        folder.mkdir()
        (folder / "precision").write_text("float32")

    assert main(arguments(config, tiny_data, single, "--steps", str(STEPS))) == 0
    halved.write_text(CONFIG.replace("batch: 2", "batch: 1"))
    launch = "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1"
    launch += " --mixed_precision no"
    own = ["-m", "pretrain.train", *arguments(halved, tiny_data, out, "--steps", str(STEPS))]
    subprocess.run(
        [sys.executable, *launch.split(), *own],
        check=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    one, two = ([loss for _, loss, *_ in losses(log(path))] for path in (single, out))
    assert len(one) == len(two) == STEPS
    assert two == pytest.approx(one, rel=1e-5)
    assert [row["tokens"] for row in log(out) if "loss" in row] == [
        192 * step for step in range(1, STEPS + 1)
    ]
