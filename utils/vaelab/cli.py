"""The command line: train a model into a run folder, then look at it; ``CLI.md`` beside this file introduces it.

Each command imports what it needs when it runs, so that ``vaelab --help`` answers at once.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import platform
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .schedules import ANNEALINGS, SCHEDULES

if TYPE_CHECKING:
    from types import ModuleType

    import torch
    from matplotlib.figure import Figure
    from torch import Tensor

    from .data import Images, Splits
    from .models import VAE
    from .training import History

__all__ = ["CommandError", "main"]

FORMAT = "vaelab run 1"
LARGEST = 2**63 - 1
LARGEST_MONTAGE = 10_000  # images
USED = 0.01  # a latent dimension is used if its mean KL (an autoencoder: the variance of its code) is above this
ACTIVATIONS = {"relu": "ReLU", "gelu": "GELU", "silu": "SiLU", "elu": "ELU", "tanh": "Tanh", "softplus": "Softplus"}
PLOTS = (
    "training_history",
    "reconstructions",
    "latent_space",
    "generated_samples",
    "interpolation",
    "traversals",
    "manifold",
)
# What a setting is where it is not given; a model that is not named lacks the setting.
BY_MODEL: dict[str, dict[str, Any]] = {
    "latent_dim": {"mlp": 20, "conv": 20, "batchnorm": 12},
    "likelihood": {"mlp": "bernoulli", "conv": "bernoulli", "batchnorm": "gaussian"},
    "hidden_dims": {"mlp": [400]},
    "activation": {"mlp": "relu"},
}


class CommandError(Exception):
    """A command cannot do what it was asked; the message names the thing and the remedy."""


@dataclass(frozen=True)
class Setting:
    """A flag of ``vaelab train`` that decides the outcome, and is therefore kept in ``config.json``.

    Attributes:
        group: "model", "training" or "data".
        name: The name in ``config.json``; the flag has dashes.
        kind: What it is: ``int``, ``float``, ``str``, ``bool`` (a flag without a value) or ``list`` (of widths).
        text: One line of help.
        default: Its value where it is not given, unless that depends on the model (:data:`BY_MODEL`).
        choices: The legal values of a ``str``.
        least: The smallest legal number.
        above: A number that a legal one exceeds.
    """

    group: str
    name: str
    kind: type
    text: str
    default: Any = None
    choices: tuple[str, ...] = ()
    least: float | None = None
    above: float | None = None

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    def problem(self, value: Any, model: str) -> str | None:
        """What is wrong with a value, as in "must be ..."; ``None`` if nothing is."""
        if self.name in BY_MODEL and model not in BY_MODEL[self.name]:
            return None if value is None else f"left out with --model {model}, which has none"
        if value is None and self.default is None and self.name not in BY_MODEL:
            return None
        if self.kind is bool:
            return None if isinstance(value, bool) else "true or false"
        if self.kind is str:
            return None if value in self.choices else "one of " + ", ".join(self.choices)
        if self.kind is list:
            widths = value if isinstance(value, list) else []
            fine = widths and all(type(width) is int and width >= 1 for width in widths)
            return None if fine else "whole numbers of at least 1, such as 512,256"
        if type(value) is not int and (self.kind is int or type(value) is not float):
            return "a whole number" if self.kind is int else "a number"
        if not math.isfinite(value):
            return "finite"
        if self.kind is int and value > LARGEST:
            return f"at most {LARGEST}"
        if self.least is not None and value < self.least:
            return f"at least {self.least:g}"
        if self.above is not None and value <= self.above:
            return f"above {self.above:g}"
        return None


SETTINGS = (
    Setting("model", "model", str, "networks: dense; convolutional; convolutional with batch normalization", "mlp",
            ("mlp", "conv", "batchnorm")),
    Setting("model", "latent_dim", int, "dimensions of the code z", least=1),
    Setting("model", "hidden_dims", list, "widths of the encoder's hidden layers, mirrored in the decoder"),
    Setting("model", "activation", str, "activation between dense layers", choices=tuple(ACTIVATIONS)),
    Setting("model", "likelihood", str, "pixels: bernoulli, or gaussian of variance 1/2, which is the squared error",
            choices=("bernoulli", "gaussian")),
    Setting("model", "xavier", bool, "Xavier-uniform initial weights and zero biases", False),
    Setting("model", "mean_image_bias", bool, "start the decoder from the mean training image", False),
    Setting("model", "autoencoder", bool, "a plain autoencoder of the same networks: no noise, no KL", False),
    Setting("training", "epochs", int, "passes over the training images", 10, least=1),
    Setting("training", "batch_size", int, "images per step", 128, least=1),
    Setting("training", "lr", float, "learning rate, the largest of its schedule", 1e-3, above=0),
    Setting("training", "optimizer", str, "the optimiser", "adam", ("adam", "adamw")),
    Setting("training", "weight_decay", float, "AdamW's weight decay", 0.01, least=0),
    Setting("training", "schedule", str, "learning rate: constant; halved every third of the run; warm-up and cosine",
            "constant", SCHEDULES),
    Setting("training", "beta", float, "weight of the KL", 1.0, least=0),
    Setting("training", "annealing", str, "rise of that weight: none; over the first half; in four cycles", "none",
            ANNEALINGS),
    Setting("training", "free_bits", float, "nats that each latent dimension carries at no cost", 0.0, least=0),
    Setting("training", "clip", float, "largest norm of the gradient", above=0),
    Setting("training", "binarize", str, "pixels as they are; drawn once; drawn in every epoch", "none",
            ("none", "fixed", "afresh")),
    Setting("training", "patience", int, "stop after so many epochs without a lower validation loss", least=1),
    Setting("training", "bfloat16", bool, "round products to bfloat16 where the processor has units for it", False),
    Setting("training", "seed", int, "seed of the first weights, the order and the noise", 0, least=0),
    Setting("data", "data", str, "MNIST; 1,797 digits that need no download; noise, to try the machinery", "mnist",
            ("mnist", "digits", "random")),
    Setting("data", "subset", int, "train on the first so many images only", least=1),
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0; 1 with one plain line on stderr where something cannot be done; 130 after Ctrl-C. A command
        line that cannot be read exits with 2.
    """
    # The sources write --batch_size; both spellings are understood.
    words = sys.argv[1:] if arguments is None else arguments
    given = [re.sub(r"^--[^=]+", lambda flag: flag[0].replace("_", "-"), word) for word in words]
    options = _parser().parse_args(given)
    options.command_line = shlex.join(["vaelab", *given])
    try:
        options.command(options)
    except KeyboardInterrupt:
        print(f"\nvaelab: interrupted{_how_to_continue(options)}", file=sys.stderr)
        return 130
    except OSError as error:
        _complain(f"{error.filename}: {error.strerror}: name another file or folder" if error.filename else str(error))
        return 1
    except (CommandError, RuntimeError, ValueError, ArithmeticError, MemoryError) as error:
        _complain(_in_words(error))
        return 1
    return 0


def _in_words(error: Exception) -> str:
    message = str(error) or type(error).__name__
    if re.search("allocate memory|out of memory|MemoryError", message):
        return "there is not enough memory for this: choose smaller networks or batches"
    return message


def _complain(message: str) -> None:
    print("vaelab: " + " ".join(message.split()), file=sys.stderr)


# The flags.


class _Parser(argparse.ArgumentParser):
    """Its errors are one line, as all others are."""

    def error(self, message: str) -> None:
        self.exit(2, f"vaelab: {message}; `{self.prog} --help` lists the flags\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="vaelab",
        description="Train a variational autoencoder into a run folder, then look at it.",
        epilog="example: vaelab train --data digits --epochs 5 --save-plots",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"vaelab {_version('vae-course')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run, text: str, example: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        sub.set_defaults(command=run)
        return sub

    train = command(
        "train",
        _train,
        "Train a model and keep everything in a run folder.",
        "vaelab train --latent-dim 2 --hidden-dims 512,256 --epochs 20 --save-plots --run plane",
    )
    for group in ("model", "training", "data"):
        section = train.add_argument_group(group)
        for setting in SETTINGS:
            if setting.group == group:
                _add(section, setting)
    run = train.add_argument_group("run")
    run.add_argument("--run", type=Path, default=Path("run"), metavar="FOLDER", help="where to keep it (default: run)")
    run.add_argument("--resume", action="store_true", help="continue the run, with the settings in its config.json")
    _device(run)
    run.add_argument("--save-plots", action="store_true", help="draw all plots at the end, as `vaelab plot` does")
    run.add_argument("--plot-dir", type=Path, metavar="FOLDER", help="where to draw them (default: plots in the run)")
    run.add_argument("--quiet", action="store_true", help="print errors only")

    sample = command(
        "sample", _sample, "Draw new images from the prior.", "vaelab sample --run run --n 10 --out image.png"
    )
    _reads(sample, "sample.png")
    sample.add_argument("--n", type=int, default=10, help="how many images (default: 10)")
    _seed(sample)

    evaluate = command(
        "evaluate",
        _evaluate,
        "Measure one run or several on the test images.",
        "vaelab evaluate --run first second --json",
    )
    _reads(evaluate, several=True)
    _device(evaluate)
    _seed(evaluate)
    evaluate.add_argument("--json", action="store_true", help="print one JSON object per run")

    reconstruct = command(
        "reconstruct",
        _reconstruct,
        "Draw test images above their reconstructions, by one run or several.",
        "vaelab reconstruct --run first second --n 8 --out compared.png",
    )
    _reads(reconstruct, "reconstruct.png", several=True)
    reconstruct.add_argument("--n", type=int, default=10, help="how many of the first test images (default: 10)")

    interpolate = command(
        "interpolate",
        _interpolate,
        "Draw a path between the codes of two test images.",
        "vaelab interpolate --run run --from 3 --to 18 --spherical --out path.png",
    )
    _reads(interpolate, "interpolate.png")
    interpolate.add_argument("--from", type=int, default=0, dest="start", help="index of a test image (default: 0)")
    interpolate.add_argument("--to", type=int, default=1, dest="end", help="index of another (default: 1)")
    interpolate.add_argument("--steps", type=int, default=10, help="images, both ends included (default: 10)")
    interpolate.add_argument("--spherical", action="store_true", help="turn from code to code, do not go straight")

    traverse = command(
        "traverse",
        _traverse,
        "Change one latent dimension at a time, the dimensions with the most KL first.",
        "vaelab traverse --run run --index 3 --span 2.5 --out dimensions.png",
    )
    _reads(traverse, "traverse.png")
    traverse.add_argument("--index", type=int, default=0, help="the test image to start from (default: 0)")
    traverse.add_argument("--steps", type=int, default=11, help="images per dimension (default: 11)")
    traverse.add_argument("--span", type=float, default=3.0, help="from -SPAN to SPAN prior deviations (default: 3)")
    traverse.add_argument("--rows", type=int, default=20, help="at most so many dimensions (default: 20)")

    plot = command("plot", _plot, "Draw every plot of a run.", "vaelab plot --run run --only training_history manifold")
    _reads(plot)
    plot.add_argument("--plot-dir", type=Path, metavar="FOLDER", help="where to draw (default: plots in the run)")
    plot.add_argument("--only", nargs="+", choices=PLOTS, metavar="PLOT", help="of: " + ", ".join(PLOTS))
    _seed(plot)
    return parser


def _add(section: argparse._ArgumentGroup, setting: Setting) -> None:
    # What is not given stays away from the namespace: a resumed run must know.
    if setting.kind is bool:
        section.add_argument(setting.flag, action="store_true", default=argparse.SUPPRESS, help=setting.text)
        return
    default = setting.default
    if setting.name in BY_MODEL:
        values: dict[str, list[str]] = {}
        for model, value in BY_MODEL[setting.name].items():
            values.setdefault(_text(value), []).append(model)
        default = "; ".join(f"{value} for {', '.join(models)}" for value, models in values.items())
    names = [setting.flag, "--learning-rate"] if setting.name == "lr" else [setting.flag]
    kind = {"type": str, "nargs": "+", "metavar": "WIDTH"} if setting.kind is list else {"type": setting.kind}
    section.add_argument(
        *names,
        **kind,
        **({"choices": setting.choices} if setting.choices else {}),
        **({"metavar": "N" if setting.kind is int else "NUMBER"} if setting.kind in (int, float) else {}),
        default=argparse.SUPPRESS,
        help=f"{setting.text} (default: {'none' if default is None else default})",
    )


def _reads(parser: argparse.ArgumentParser, out: str | None = None, several: bool = False) -> None:
    """The flags of a command that reads a run."""
    nargs = {"nargs": "+"} if several else {}
    default = [Path("run")] if several else Path("run")
    text = "the run folder, or several" if several else "the run folder"
    parser.add_argument("--run", type=Path, default=default, metavar="FOLDER", help=f"{text} (default: run)", **nargs)
    parser.add_argument("--best", action="store_true", help="the weights of the best epoch, not the last")
    if out is not None:
        text = f"the picture to write: png, svg or pdf (default: plots/{out} in the run)"
        parser.add_argument("--out", type=Path, metavar="FILE", help=text)
        parser.set_defaults(default_out=out)


def _device(parser: argparse._ActionsContainer) -> None:
    choices = ("auto", "cpu", "cuda", "mps")
    parser.add_argument("--device", choices=choices, default="auto", help="auto is the best present (default: auto)")


def _seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the noise (default: 0)")


# The commands.


def _train(options: argparse.Namespace) -> None:
    from .training import fit

    folder, checkpoint = options.run, options.run / "last.pt"
    if options.resume:
        config = _read_config(folder)
        settings, used = _resumed(options, config), config["data"]["used"]
    else:
        if checkpoint.exists():
            raise CommandError(
                f"{folder} holds a run: add --resume to continue it, or name another folder with --run, or delete it"
            )
        settings, used = _settings(options), None
    device = _find_device(options.device)
    say = _silence if options.quiet else print
    data = _data(settings["data"], used, quiet=options.quiet)
    train = data.train
    if settings["subset"] is not None:
        if settings["subset"] > len(train):
            raise CommandError(
                f"--subset {settings['subset']}: there are {len(train):,} training images; ask for at most so many"
            )
        train = train[: settings["subset"]]
    model = _new_model(settings, train)
    if checkpoint.exists():
        _load(checkpoint, model, settings)
    model.to(device)
    config = _config(options, settings, data, train, model, device)
    _write_json(folder / "config.json", config)
    say(_about_data(data, len(train)))
    say(_about_model(settings, config["parameters"], device))
    try:
        history = fit(
            model,
            train,
            **{setting.name: settings[setting.name] for setting in SETTINGS if setting.group == "training"},
            validation=_as_trained(data.validation, settings) if len(data.validation) else None,
            checkpoint=checkpoint,
            resume=options.resume,
            progress=not options.quiet and sys.stdout.isatty(),  # a file would keep every state of the bar
        )
    except FloatingPointError as error:
        if not checkpoint.exists():
            error = str(error).replace(
                "The last checkpoint, if there is one, is intact.", "No epoch was finished: nothing is lost."
            )
        raise CommandError(str(error)) from None
    finally:
        _write_history(folder)
    say(_about_end(history, settings, folder))
    if options.save_plots or options.plot_dir:
        run = Run(folder, settings, data.name, model.cpu(), history)
        run.data = data
        for path in _draw_plots(run, PLOTS, options.plot_dir or folder / "plots", 0, say):
            say(path)


def _sample(options: argparse.Namespace) -> None:
    run = Run.load(options.run, options.best)
    _between("n", options.n, 1, LARGEST_MONTAGE)
    _between("seed", options.seed, 0, LARGEST)
    with _drawing() as plotting:
        figure = _draw_samples(run, plotting, options.n, options.seed)
        print(_save(figure, _out(options, run)))
    if run.settings["autoencoder"]:
        print("an autoencoder has no prior: its codes were drawn from N(0, I) all the same")


def _evaluate(options: argparse.Namespace) -> None:
    from .evaluation import evaluate

    device = _find_device(options.device)
    _between("seed", options.seed, 0, LARGEST)
    lines = [f"{'run':16} {'-ELBO':>16} {'reconstruction':>15} {'KL':>7} {'used dimensions':>16}  test images"]
    gaussian = False
    for folder in options.run:
        run = Run.load(folder, options.best, quiet=options.json)
        images = _as_trained(run.data.test, run.settings)
        found = evaluate(run.model.to(device), images, seed=options.seed)
        used = int((_weights(run.model, images) > USED).sum())
        if options.json:
            absent = {"loss": None, "kl": None} if run.settings["autoencoder"] else {}
            record = {"run": str(folder), "data": run.used, "images": len(images), **found, "used_dimensions": used}
            print(json.dumps(record | absent))
            continue
        elbo, kl = f"{found['loss']:.2f} ± {found['standard_error']:.2f}", f"{found['kl']:.2f}"
        if run.settings["autoencoder"]:
            elbo = kl = "none"
        dimensions = f"{used} of {run.model.latent_dim}"
        which = f"{len(images):,} {run.used}" + (", binarized" if run.settings["binarize"] != "none" else "")
        lines.append(f"{folder!s:16} {elbo:>16} {found['reconstruction']:15.2f} {kl:>7} {dimensions:>16}  {which}")
        gaussian |= run.settings["likelihood"] == "gaussian"
    if options.json:
        return
    print(*lines, "nats per image, one code for each", sep="\n")
    if gaussian:
        print("Gaussian pixels: the reconstruction is the summed squared error, without the density's constant")


def _reconstruct(options: argparse.Namespace) -> None:
    runs = [Run.load(folder, options.best) for folder in options.run]
    if len({run.used for run in runs}) > 1:
        raise CommandError("these runs were trained on different data: compare runs that share it")
    with _drawing() as plotting:
        print(_save(_draw_reconstructions(runs, plotting, options.n), _out(options, runs[0])))


def _interpolate(options: argparse.Namespace) -> None:
    run = Run.load(options.run, options.best)
    _between("steps", options.steps, 2, 100)
    with _drawing() as plotting:
        ends = (("from", options.start), ("to", options.end))
        path = _path(run, ends, options.steps, options.spherical)
        title = f"test images {options.start} and {options.end}, and what lies between their codes"
        figure = plotting.rows([path], ["spherical" if options.spherical else "linear"], title)
        print(_save(figure, _out(options, run)))


def _traverse(options: argparse.Namespace) -> None:
    run = Run.load(options.run, options.best)
    _between("steps", options.steps, 2, 100)
    _between("rows", options.rows, 1, 200)
    if not 0 < options.span < math.inf:
        raise CommandError(f"--span must be above 0 and finite, got {options.span}")
    with _drawing() as plotting:
        figure = _draw_traversals(run, plotting, options.index, options.steps, options.span, options.rows)
        print(_save(figure, _out(options, run)))


def _plot(options: argparse.Namespace) -> None:
    run = Run.load(options.run, options.best)
    _between("seed", options.seed, 0, LARGEST)
    folder = options.plot_dir or options.run / "plots"
    for path in _draw_plots(run, options.only or PLOTS, folder, options.seed, print):
        print(path)


# A run folder.


@dataclass
class Run:
    """A trained model with what it was trained on.

    Attributes:
        folder: Its folder.
        settings: Every :data:`SETTINGS` by name.
        used: The data it was trained on: "MNIST", "digits" or "random".
        model: The model, on the processor.
        history: The training's history.
        quiet: Whether nothing may be printed while the data are loaded.
    """

    folder: Path
    settings: dict[str, Any]
    used: str
    model: VAE
    history: History
    quiet: bool = False

    @classmethod
    def load(cls, folder: Path, best: bool = False, quiet: bool = False) -> Run:
        """Rebuild the model that ``config.json`` describes and load its weights; nothing is trained.

        Raises:
            CommandError: If a file of the run is missing, damaged or foreign.
        """
        from .training import best_path

        config = _read_config(folder)
        settings = _flat(config)
        paths = [folder / "last.pt"] + ([best_path(folder / "last.pt")] if best else [])
        model = _new_model(settings)
        histories = []
        for path in paths:
            if not path.exists():
                raise CommandError(
                    f"{path} is missing: no epoch was finished; train with: vaelab train --run {folder} --resume"
                )
            histories.append(_load(path, model, settings))
        return cls(folder, settings, config["data"]["used"], model, histories[0], quiet)

    @cached_property
    def data(self) -> Splits:
        """The data it was trained on; never others in their place."""
        return _data(self.settings["data"], self.used, self.quiet)

    def image(self, flag: str, index: int) -> Tensor:
        """A test image, ``[784]``."""
        test = self.data.test
        if not 0 <= index < len(test):
            raise CommandError(f"--{flag} must be the index of a test image, 0 to {len(test) - 1}, got {index}")
        return test[index : index + 1].x[0]


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """What was asked for, completed by the defaults and checked."""
    given = _given(options)
    model = given.get("model", "mlp")
    settings = {
        setting.name: BY_MODEL[setting.name].get(model) if setting.name in BY_MODEL else setting.default
        for setting in SETTINGS
    } | given
    _check(settings)
    if "weight_decay" in given and settings["optimizer"] != "adamw":
        raise CommandError("--weight-decay is AdamW's: add --optimizer adamw, or leave it out")
    if settings["autoencoder"]:
        for name in ("beta", "annealing", "free_bits"):
            if name in given:
                flag = "--" + name.replace("_", "-")
                raise CommandError(f"{flag} weighs the KL, and an autoencoder has none: leave out {flag}")
    return settings


def _resumed(options: argparse.Namespace, config: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run, with more epochs if these were asked for."""
    settings = _flat(config)
    for name, value in _given(options).items():
        before, flag = settings[name], "--" + name.replace("_", "-")
        if value == before:
            continue
        if name != "epochs":
            text = "without it" if before in (None, False) else f"with {flag} {_text(before)}"
            raise CommandError(
                f"{options.run} was trained {text}, not {flag} {_text(value)}: leave {flag} out to continue it, or "
                "train another run with --run"
            )
        if value < before:
            raise CommandError(f"--epochs {value}: {options.run} is planned for {before}, which may grow, not shrink")
        if settings["schedule"] != "constant" or settings["annealing"] != "none":
            raise CommandError(
                f"--epochs must stay {before}: the course of this run's learning rate or KL weight depends on its "
                "length; train another run with --run"
            )
        settings["epochs"] = value
    _check(settings)
    return settings


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    return {setting.name: config[setting.group][setting.name] for setting in SETTINGS}


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings on the command line, and no others."""
    given = {setting.name: getattr(options, setting.name) for setting in SETTINGS if hasattr(options, setting.name)}
    if "hidden_dims" in given:
        words = [word for part in given["hidden_dims"] for word in re.split(r"[,\s]+", part) if word]
        given["hidden_dims"] = [int(word) if re.fullmatch(r"\d{1,9}", word) else word for word in words]
    return given


def _check(settings: dict[str, Any]) -> None:
    for setting in SETTINGS:
        problem = setting.problem(settings[setting.name], settings["model"])
        if problem:
            raise CommandError(f"{setting.flag} must be {problem}, got {_text(settings[setting.name])}")


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _config(
    options: argparse.Namespace,
    settings: dict[str, Any],
    data: Splits,
    train: Images,
    model: VAE,
    device: torch.device,
) -> dict[str, Any]:
    """What ``config.json`` holds."""
    groups: dict[str, dict[str, Any]] = {"model": {}, "training": {}, "data": {}}
    for setting in SETTINGS:
        groups[setting.group][setting.name] = settings[setting.name]
    groups["data"] |= {"used": data.name, "images": len(train), "validation": len(data.validation)}
    return {
        "format": FORMAT,
        "command": options.command_line,
        **groups,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "device": str(device),
        "versions": {
            "python": platform.python_version(),
            "torch": _version("torch"),
            "vaelab": _version("vae-course"),
            "system": platform.platform(),
        },
    }


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise CommandError(
            f"{path} is missing: train first with `vaelab train --run {folder}`, or name a run folder with --run"
        ) from None
    except ValueError:
        config = None
    foreign = CommandError(
        f"{path} is not a run of vaelab: it is truncated, damaged or another kind of file; "
        "restore it from a copy, or delete the folder and train again"
    )
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise foreign
    try:
        _check(_flat(config))
        if config["data"]["used"] not in ("MNIST", "digits", "random"):
            raise foreign
    except (KeyError, TypeError):
        raise foreign from None
    except CommandError as error:
        raise CommandError(f"{path}: {error}; put back what was there, or train again") from None
    return config


def _load(path: Path, model: VAE, settings: dict[str, Any]) -> History:
    """Load the weights of a checkpoint that was made with these settings; return its history.

    Raises:
        CommandError: If the file is damaged, foreign or of another training.
    """
    from .training import CheckpointError, load_checkpoint

    other = CommandError(
        f"{path} does not belong to the training that {path.parent / 'config.json'} describes: put back the files of "
        "one training, or delete the folder and train again"
    )
    try:
        state = load_checkpoint(path, model)
    except CheckpointError as error:
        # PyTorch's list of all weights that do not fit helps nobody here.
        raise other if "belongs to another model" in str(error) else error from None
    made_with = state["settings"]
    if any(made_with.get(name, settings[name]) != settings[name] for name in settings if name != "epochs"):
        raise other
    return state["history"]


def _write_history(folder: Path) -> None:
    """``history.json`` from the last checkpoint, which is always in step with the weights."""
    from .training import CheckpointError, load_checkpoint

    try:
        history = load_checkpoint(folder / "last.pt")["history"]
    except CheckpointError:  # no epoch was finished, or the error under way is about this file
        return
    _write_json(folder / "history.json", {"epochs": list(history), "steps": history.steps})


def _how_to_continue(options: argparse.Namespace) -> str:
    if options.command is not _train or not (options.run / "config.json").is_file():
        return ""
    return f"; continue with: vaelab train --run {shlex.quote(str(options.run))} --resume"


# Data, model and device.


def _data(name: str, used: str | None = None, quiet: bool = False) -> Splits:
    """The data called ``name``; where a run says which were ``used``, those and no others."""
    from . import data

    if name == "random":
        return _random()
    if name == "digits" or used == "digits":
        return data.digits()
    with redirect_stdout(io.StringIO() if quiet else sys.stdout):
        splits = data.mnist()
    if used == "MNIST" and splits.name != used:
        raise CommandError(
            "the run was trained on MNIST, which was not found: set VAELAB_DATA to the folder that holds MNIST/raw"
        )
    return splits


def _random() -> Splits:
    """Noise in the form of MNIST: every pixel and every label uniform, the same each time."""
    import torch

    from .data import Images, Splits

    generator = torch.Generator().manual_seed(0)
    sizes = (1_024, 128, 128)
    pixels = torch.randint(0, 256, (sum(sizes), 28, 28), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 10, (sum(sizes),), generator=generator)
    return Splits(*(Images(*part) for part in zip(pixels.split(sizes), labels.split(sizes), strict=True)), "random")


def _as_trained(images: Images, settings: dict[str, Any]) -> Images:
    """Unseen images as the model knows them: binarized, once, if it was trained on binarized ones."""
    import torch

    return images if settings["binarize"] == "none" else images.binarized(torch.Generator().manual_seed(0))


def _new_model(settings: dict[str, Any], train: Images | None = None) -> VAE:
    """The model that the settings describe, with the first weights that the seed decides.

    Arguments:
        settings: The settings.
        train: The training images, for the bias that starts from them; not needed where weights are loaded.
    """
    import torch

    from . import models
    from .networks import xavier_

    torch.manual_seed(settings["seed"])
    latent_dim = settings["latent_dim"]
    if settings["model"] == "mlp":
        activation = getattr(torch.nn, ACTIVATIONS[settings["activation"]])
        built = models.mlp_vae(hidden_dims=settings["hidden_dims"], latent_dim=latent_dim, activation=activation)
    else:
        built = {"conv": models.conv_vae, "batchnorm": models.batchnorm_vae}[settings["model"]](latent_dim)
    kind = models.Autoencoder if settings["autoencoder"] else models.VAE
    model = kind(built.encoder, built.decoder, settings["likelihood"])
    if settings["xavier"]:
        xavier_(model)
    if settings["mean_image_bias"] and train is not None:
        models.mean_image_bias_(model, train)
    return model


def _find_device(name: str) -> torch.device:
    import torch

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device in present if present[device])
    if not present[name]:
        raise CommandError(f"--device {name}: this computer has none that PyTorch can use; leave it out, or use cpu")
    return torch.device(name)


def _weights(model: VAE, images: Images) -> Tensor:
    """How much each latent dimension carries, ``[latent_dim]``: its mean KL, or for an autoencoder its variance."""
    import torch

    from .models import Autoencoder
    from .objectives import kl_per_dimension

    device = next(model.parameters()).device
    with model.evaluating():
        codes = [model.encode(x.to(device)) for x, _ in images.batches(1_000)]
    mu, logvar = (torch.cat(part) for part in zip(*codes, strict=True))
    return (mu.var(0) if isinstance(model, Autoencoder) else kl_per_dimension(mu, logvar).mean(0)).cpu()


# What is said.


def _silence(*_: object) -> None:
    """``print`` for --quiet."""


def _about_data(data: Splits, trained_on: int) -> str:
    number = f"{len(data.train):,}" if trained_on == len(data.train) else f"{trained_on:,} of {len(data.train):,}"
    if data.name == "random":
        return f"data: noise, {number} training images; there is nothing to learn but its mean"
    return f"data: {data.name}, {number} training and {len(data.validation):,} validation images"


def _about_model(settings: dict[str, Any], parameters: int, device: torch.device) -> str:
    kind = "autoencoder" if settings["autoencoder"] else "VAE"
    widths = [784, *(settings["hidden_dims"] or ["convolutions"]), settings["latent_dim"]]
    network = f"{settings['model']} {kind} {'-'.join(map(str, widths))}"
    return f"model: {network}, {settings['likelihood']}, {parameters:,} parameters, on {device}"


def _about_end(history: History, settings: dict[str, Any], folder: Path) -> str:
    done, last = len(history), history[-1]
    text = f"epoch {done} of {settings['epochs']}: loss {last['loss']:.2f} nats per image"
    if "validation" in last:
        best = min(range(done), key=lambda epoch: history[epoch]["validation"])
        text += f"; validation {last['validation']:.2f}, best in epoch {best + 1}: {history[best]['validation']:.2f}"
    if done < settings["epochs"]:
        text += f"; stopped early after {settings['patience']} epochs without a better one"
    return f"{text}\nrun: {folder}; measure it with: vaelab evaluate --run {shlex.quote(str(folder))}"


# The figures.


@contextmanager
def _drawing() -> Iterator[ModuleType]:
    """``vaelab.plotting`` in its style, without a window; what was set before is restored."""
    import matplotlib as mpl

    mpl.use("agg")
    from . import plotting

    with mpl.rc_context():
        plotting.style()
        yield plotting


def _draw_plots(run: Run, kinds: Sequence[str], folder: Path, seed: int, say: Any) -> Iterator[Path]:
    for kind in kinds:
        with _drawing() as plotting:
            if kind == "manifold" and run.model.latent_dim != 2:
                say(f"manifold: left out: it needs 2 latent dimensions, the model has {run.model.latent_dim}")
                continue
            if kind == "latent_space" and run.model.latent_dim < 2:
                say("latent_space: left out: it needs 2 latent dimensions, the model has 1")
                continue
            figure = {
                "training_history": lambda: plotting.training_history(run.history),
                "reconstructions": lambda: _draw_reconstructions([run], plotting, 10),
                "latent_space": lambda: _draw_latent_space(run, plotting),
                "generated_samples": lambda: _draw_samples(run, plotting, 100, seed),
                "interpolation": lambda: _draw_interpolations(run, plotting),
                "traversals": lambda: _draw_traversals(run, plotting, 0, 11, 3.0, 20),
                "manifold": lambda: plotting.manifold(run.model),
            }[kind]()
            path = _save(figure, folder / f"{kind}.png")
        yield path


def _draw_samples(run: Run, plotting: ModuleType, n: int, seed: int) -> Figure:
    import torch

    return plotting.grid(run.model.sample(n, torch.Generator().manual_seed(seed)), columns=min(n, 10))


def _draw_reconstructions(runs: Sequence[Run], plotting: ModuleType, n: int) -> Figure:
    test = runs[0].data.test
    x = _as_trained(test, runs[0].settings)[: _between("n", n, 1, min(100, len(test)))].x
    made = ["reconstruction"] if len(runs) == 1 else [run.folder.name for run in runs]
    return plotting.rows([x, *(run.model.reconstruct(x) for run in runs)], ["test image", *made])


def _draw_interpolations(run: Run, plotting: ModuleType) -> Figure:
    paths, labels = [], []
    for start in range(0, 8, 2):
        for spherical in (False, True):
            paths.append(_path(run, (("from", start), ("to", start + 1)), 10, spherical))
            labels.append("spherical" if spherical else "linear")
    return plotting.rows(paths, labels, "from one test image's code to another's")


def _path(run: Run, ends: Sequence[tuple[str, int]], steps: int, spherical: bool) -> Tensor:
    return run.model.interpolate(*(run.image(flag, index) for flag, index in ends), steps, spherical)


def _draw_traversals(run: Run, plotting: ModuleType, index: int, steps: int, span: float, rows: int) -> Figure:
    x = run.image("index", index)
    weights = _weights(run.model, run.data.test)
    order = weights.argsort(descending=True).tolist()
    used = [dimension for dimension in order if weights[dimension] > USED][:rows]
    dimensions = used or order[:1]
    images = [run.model.traverse(x, dimension, steps, span) for dimension in dimensions]
    unit = "variance" if run.settings["autoencoder"] else "nats"
    labels = [f"$z_{{{dimension + 1}}}$  {weights[dimension]:.2f} {unit}" for dimension in dimensions]
    what = f"{int((weights > USED).sum())} of {len(weights)} dimensions are used"
    return plotting.rows(images, labels, f"each from −{span:g} to {span:g}, the others fixed; {what}")


def _draw_latent_space(run: Run, plotting: ModuleType) -> Figure:
    test = run.data.test
    with run.model.evaluating():
        mu, _ = run.model.encode(test.x)
    first, second = sorted(_weights(run.model, test).topk(2).indices.tolist())
    figure = plotting.latent_scatter(mu[:, [first, second]], test.labels)
    what = "code variance" if run.settings["autoencoder"] else "KL"
    of = "" if run.model.latent_dim == 2 else f":\nthe 2 of {run.model.latent_dim} dimensions with the most {what}"
    ax = figure.axes[0]
    ax.set(title=f"codes of the test images{of}", xlabel=f"$z_{{{first + 1}}}$", ylabel=f"$z_{{{second + 1}}}$")
    if len(test) < 2_000:
        ax.collections[0].set_sizes([14])
    return figure


# Files.


def _out(options: argparse.Namespace, run: Run) -> Path:
    return options.out or run.folder / "plots" / options.default_out


def _save(figure: Figure, path: Path) -> Path:
    """Write a figure on white in one atomic step."""
    import matplotlib.pyplot as plt

    kind = path.suffix.lstrip(".").lower() or "png"
    if kind not in ("png", "svg", "pdf"):
        raise CommandError(f"{path} must end in .png, .svg or .pdf")
    with _atomically(path) as scratch:
        figure.savefig(
            scratch, format=kind, dpi=160, bbox_inches="tight", pad_inches=0.08, facecolor="white", transparent=False
        )
    plt.close(figure)
    return path


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with _atomically(path) as scratch:
        scratch.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


@contextmanager
def _atomically(path: Path) -> Iterator[Path]:
    """A scratch file that takes the place of ``path`` when it is complete."""
    if path.is_dir():
        raise CommandError(f"{path} is a folder: name a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.partial")
    try:
        yield scratch
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def _between(flag: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise CommandError(f"--{flag} must be between {least} and {most:,}, got {value}")
    return value


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
