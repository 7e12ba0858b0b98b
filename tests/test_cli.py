"""Tests of the command line: what CLI.md prints works, what is wrong gets one line, and a run is what it says."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

from vaelab import cli, data, plotting, training
from vaelab.cli import SETTINGS, main
from vaelab.data import digits
from vaelab.evaluation import evaluate
from vaelab.models import Autoencoder
from vaelab.training import load_checkpoint

README = Path(cli.__file__).with_name("CLI.md").read_text(encoding="utf-8")
TINY = ["--data", "digits", "--subset", "256", "--hidden-dims", "32", "--latent-dim", "2", "--quiet"]
COMMANDS = ("train", "sample", "evaluate", "reconstruct", "interpolate", "traverse", "plot")
PARSER = cli._parser()
SUBPARSERS = next(action for action in PARSER._actions if action.choices).choices


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A folder with a small run, ``run``."""
    folder = tmp_path_factory.mktemp("runs")
    assert main(["train", *TINY, "--epochs", "3", "--lr", "0.01", "--run", str(folder / "run")]) == 0
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: object) -> int:
    return main([str(word) for word in words])


def complaint(capsys, *words: object, status: int = 1) -> str:
    """Run a command that must fail with one plain line."""
    try:
        found = run(*words)
    except SystemExit as stop:  # argparse's
        found = stop.code
    assert found == status
    error = capsys.readouterr().err.strip("\n")
    assert error.startswith("vaelab: ")
    assert "\n" not in error
    assert "Traceback" not in error
    return error


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(path)["model"]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# CLI.md


def printed(text: str) -> list[str]:
    """The commands in the fenced blocks."""
    return [line for block in re.findall(r"```bash\n(.*?)```", text, re.S) for line in block.strip().splitlines()]


def shortened(line: str) -> list[str]:
    """A command as it is printed, and behind it what makes it quick."""
    program, *words = shlex.split(line)
    assert program == "vaelab"
    if words[0] == "train" and "--resume" not in words:
        words += ["--epochs", "1", "--subset", "256"] + ([] if "random" in words else ["--data", "digits"])
    return words


@pytest.mark.slow
def test_printed_commands_run(here, capsys):
    for line in printed(README):
        assert run(*shortened(line)) == 0, f"{line}: {capsys.readouterr().err}"
    assert len(json.loads((here / "first/history.json").read_text())["epochs"]) == 12
    for name in ("image", "beta", "straight", "spherical", "latent"):
        assert (here / f"{name}.png").is_file()
    assert {path.stem for path in (here / "basic/plots").iterdir()} == set(cli.PLOTS)


@pytest.mark.slow
def test_translated_commands_run(here, capsys):
    section = README.split("## From other scripts")[1].split("\n## ")[0]
    lines = [code for row in section.splitlines() for code in re.findall(r"`(vaelab [^`]+)`", row)]
    assert len(lines) >= 15
    for line in lines:
        assert run(*shortened(line)) == 0, f"{line}: {capsys.readouterr().err}"
    assert (here / "assets/vae_sample.png").is_file()
    assert (here / "plots/training_history.png").is_file()
    assert (here / "results/manifold.png").is_file()
    config = json.loads((here / "sixteen/config.json").read_text())
    assert (config["model"]["latent_dim"], config["training"]["lr"]) == (16, 0.0005)
    assert config["model"]["likelihood"] == "gaussian"


def test_printed_commands_parse():
    """The quick half of the two tests above."""
    for line in printed(README) + re.findall(r"`(vaelab \w+ [^`]*)`", README):
        if "--help" in line:
            continue
        PARSER.parse_args([word.replace("_", "-") if word[:2] == "--" else word for word in shlex.split(line)[1:]])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_is_in_the_tables(command):
    train, others = README.split("The commands that read a run:")
    table = train.split("## Flags")[1] if command == "train" else others.split("## From")[0]
    for action in SUBPARSERS[command]._actions:
        for flag in set(action.option_strings) - {"-h", "--help"}:
            row = next((row for row in table.splitlines() if row.startswith("| `") and f"`{flag}`" in row), None)
            assert row, f"{flag} of {command} is missing from CLI.md"
            if command != "train":
                assert re.search(rf"\b(all|{command})\b", row.split("|")[3]), f"{flag} is of {command} too"


def test_defaults_in_the_table_are_the_parsers():
    for action in SUBPARSERS["train"]._actions:
        if action.help and "(default: " in action.help:
            default = re.search(r"\(default: (.*)\)", action.help)[1]
            assert re.search(rf"^\| `{action.option_strings[0]}`.*? \| {re.escape(default)} \|", README, re.M), action


# Help


def test_help_answers_without_torch():
    code = "import sys; from vaelab.cli import main; sys.argv = ['vaelab', '--help']\ntry: main()\n"
    code += "except SystemExit: print(sorted({'torch', 'matplotlib', 'numpy'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert answer.splitlines()[-1] == "[]"
    assert all(command in answer for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_that_parses(command, capsys):
    with pytest.raises(SystemExit) as stop:
        run(command, "--help")
    text = capsys.readouterr().out
    assert stop.value.code == 0
    assert "default: run" in text
    example = text.split("example:\n")[1].strip()
    assert example.startswith(f"vaelab {command} ")
    PARSER.parse_args(shlex.split(example)[1:])


# A run


def test_run_folder(runs):
    folder = runs / "run"
    config = json.loads((folder / "config.json").read_text())
    assert set(config["model"]) | set(config["training"]) | set(config["data"]) >= {s.name for s in SETTINGS}
    assert config["model"]["hidden_dims"] == [32]
    assert config["data"]["used"] == "digits"
    assert config["data"]["images"] == 256
    assert config["versions"]["torch"] == torch.__version__.split("+")[0]
    assert config["command"].startswith("vaelab train --data digits")
    history = json.loads((folder / "history.json").read_text())
    assert len(history["epochs"]) == 3
    assert len(history["steps"]["kl"]) == 3 * 2
    assert all(isinstance(record["validation"], float) for record in history["epochs"])
    assert (folder / "last.best.pt").is_file()


def test_defaults_are_the_classic_ones(here, monkeypatch):
    seen = {}
    monkeypatch.setattr(training, "fit", lambda model, train, **settings: seen.update(settings, model=model) or [{}])
    monkeypatch.setattr(cli, "_about_end", lambda *_: "")
    assert run("train", "--data", "digits") == 0
    names = ("epochs", "batch_size", "lr", "beta", "optimizer")
    assert [seen[name] for name in names] == [10, 128, 1e-3, 1.0, "adam"]
    assert [layer.in_features for layer in seen["model"].encoder.net[::2]] == [784, 400]
    for model, latent_dim, family in (("conv", 20, "bernoulli"), ("batchnorm", 12, "gaussian")):
        assert run("train", "--data", "digits", "--model", model, "--run", model) == 0
        assert (seen["model"].latent_dim, seen["model"].family) == (latent_dim, family)


def test_reading_commands_do_not_train(runs, here, monkeypatch, capsys):
    def trains(*_, **__):
        raise AssertionError("it trains")

    monkeypatch.setattr(training, "fit", trains)
    folder = runs / "run"
    before = (folder / "last.pt").read_bytes()
    for command in COMMANDS[1:]:
        if command != "plot":
            assert run(command, "--run", folder) == 0
    assert run("plot", "--run", folder, "--plot-dir", "drawn", "--only", "manifold", "training_history") == 0
    assert (folder / "last.pt").read_bytes() == before
    assert {path.name for path in (here / "drawn").iterdir()} == {"manifold.png", "training_history.png"}
    assert capsys.readouterr().err == ""


def test_evaluate_measures_the_weights_that_were_saved(runs, capsys):
    folder = runs / "run"
    assert run("evaluate", "--run", folder, folder, "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    found = json.loads(lines[0])
    model = cli.Run.load(folder).model
    assert same(model.state_dict(), weights(folder / "last.pt"))
    expected = evaluate(model, digits().test)
    assert {name: found[name] for name in expected} == expected
    assert (found["images"], found["used_dimensions"] <= 2) == (360, True)
    assert run("evaluate", "--run", folder) == 0
    assert f"{expected['loss']:.2f} ± {expected['standard_error']:.2f}" in capsys.readouterr().out


def test_best_weights(here):
    """A learning rate that ruins the model: its best epoch is not its last, and --best reads it."""
    assert run("train", *TINY, "--lr", 0.003, "--epochs", 8) == 0
    history = load_checkpoint(Path("run/last.pt"))["history"]
    state = torch.load("run/last.best.pt", weights_only=True)
    state["history"], state["steps"] = state["history"][:2], {}
    state["model"]["encoder.net.0.bias"] += 1
    torch.save(state, "run/last.best.pt")
    best = cli.Run.load(Path("run"), best=True)
    assert same(best.model.state_dict(), weights(Path("run/last.best.pt")))
    assert best.history == history


def test_sample_draws_what_the_model_samples(runs, here):
    folder = runs / "run"
    drawn = []

    def picture(*flags: object) -> bytes:
        assert run("sample", "--run", folder, "--out", "new/folder/image.png", *flags) == 0
        drawn.append(Path("new/folder/image.png").read_bytes())
        return drawn[-1]

    first = picture("--n", 10)
    assert picture("--n", 10) == first
    assert picture("--n", 10, "--seed", 1) != first
    assert not list(Path("new/folder").glob(".*")), "no scratch file is left"
    expected = cli.Run.load(folder).model.sample(10, torch.Generator().manual_seed(0))
    with cli._drawing():
        cli._save(plotting.grid(expected), Path("expected.png"))
    assert Path("expected.png").read_bytes() == first


def test_pictures_are_on_white(runs, here):
    for command in ("sample", "traverse", "interpolate", "reconstruct"):
        assert run(command, "--run", runs / "run", "--out", f"{command}.png") == 0
    assert run("plot", "--run", runs / "run", "--plot-dir", "plots") == 0
    pictures = [*here.glob("*.png"), *here.glob("plots/*.png")]
    assert len(pictures) == 4 + len(cli.PLOTS)
    for path in pictures:
        corner = plt.imread(path)[0, 0]
        assert corner.min() == 1, path


def test_style_of_the_caller_is_left_alone(runs, here):
    plt.close("all")  # what other tests left
    before = plt.rcParams["savefig.transparent"]
    assert run("sample", "--run", runs / "run", "--out", "a.svg") == 0
    assert plt.rcParams["savefig.transparent"] == before
    assert not plt.get_fignums()
    assert "<svg" in Path("a.svg").read_text()


def test_traversal_has_the_used_dimensions_by_their_kl(here):
    assert run("train", *TINY, "--latent-dim", 6, "--epochs", 6, "--lr", 0.01) == 0
    trained = cli.Run.load(Path("run"))
    weight = cli._weights(trained.model, trained.data.test)
    with cli._drawing():
        ax = cli._draw_traversals(trained, plotting, 0, 5, 2.0, 20).axes[0]
        labels = [label.get_text() for label in ax.get_yticklabels()]
        (picture,) = ax.images
    shown = [int(re.search(r"\d+", label)[0]) - 1 for label in labels]
    assert shown == [d for d in weight.argsort(descending=True).tolist() if weight[d] > cli.USED]
    expected = trained.model.traverse(trained.data.test.x[0], shown[0], 5, 2.0)[4].view(28, 28)
    torch.testing.assert_close(torch.as_tensor(picture.get_array()[:28, -28:]), expected)


def test_latent_space_of_many_dimensions_says_which_are_drawn(here, capsys):
    assert run("train", *TINY, "--latent-dim", 5, "--epochs", 1) == 0
    with cli._drawing():
        title = cli._draw_latent_space(cli.Run.load(Path("run")), plotting).axes[0].get_title()
    assert "2 of 5 dimensions with the most KL" in title
    assert run("plot", "--only", "manifold", "latent_space") == 0
    assert "manifold: left out: it needs 2 latent dimensions, the model has 5" in capsys.readouterr().out


def test_several_runs_in_one_picture(runs, here, capsys):
    assert run("reconstruct", "--run", runs / "run", runs / "run", "--n", 4, "--out", "a.png") == 0
    assert run("train", "--data", "random", "--hidden-dims", 8, "--epochs", 1, "--quiet") == 0
    assert "different data" in complaint(capsys, "reconstruct", "--run", runs / "run", "run")


def test_autoencoder_and_gaussian(here, capsys):
    assert run("train", *TINY, "--epochs", 1, "--autoencoder", "--likelihood", "gaussian", "--run", "ae") == 0
    trained = cli.Run.load(Path("ae"))
    assert isinstance(trained.model, Autoencoder)
    assert trained.model.family == "gaussian"
    assert run("evaluate", "--run", "ae") == 0
    out = capsys.readouterr().out
    assert re.search(r"ae +none +\d+\.\d\d +none", out)
    assert "squared error" in out
    assert run("evaluate", "--run", "ae", "--json") == 0
    assert json.loads(capsys.readouterr().out)["loss"] is None
    assert run("sample", "--run", "ae") == 0
    assert "no prior" in capsys.readouterr().out


def test_every_flag_of_the_model_reaches_it(here):
    flags = ["--activation", "tanh", "--xavier", "--mean-image-bias", "--clip", "5", "--binarize", "afresh"]
    settings = cli._settings(PARSER.parse_args(["train", *TINY, *flags, "--hidden-dims", "16", "8"]))
    images = digits().train
    model = cli._new_model(settings, images)
    assert [layer.out_features for layer in model.encoder.net[::2]] == [16, 8, 4]
    assert isinstance(model.encoder.net[1], torch.nn.Tanh)
    assert (model.encoder.net[0].bias == 0).all()
    torch.testing.assert_close(model.decoder.net[-1].bias.sigmoid(), images.x.mean(0).clamp(1e-3, 1 - 1e-3))
    assert run("train", *TINY, *flags, "--epochs", 1) == 0
    assert "gradient_norm" in load_checkpoint("run/last.pt")["history"].steps


def test_binarized_runs_are_measured_on_binarized_images(here, capsys):
    assert run("train", *TINY, "--binarize", "fixed", "--epochs", 1) == 0
    test = digits().test.binarized(torch.Generator().manual_seed(0))
    assert run("evaluate", "--json") == 0
    assert json.loads(capsys.readouterr().out)["loss"] == evaluate(cli.Run.load(Path("run")).model, test)["loss"]


def test_random_data_need_no_files(here, monkeypatch, capsys):
    monkeypatch.setenv("VAELAB_DATA", str(here / "nowhere"))
    assert run("train", "--data", "random", "--epochs", 1, "--hidden-dims", 16) == 0
    assert "noise" in capsys.readouterr().out
    assert run("sample", "--n", 1) == 0


def test_stand_in_data_are_named_and_kept(here, monkeypatch, capsys):
    monkeypatch.setattr(data, "mnist", lambda: print(digits().note) or digits())
    assert run("train", "--subset", 256, "--hidden-dims", 8, "--epochs", 1) == 0
    assert "not MNIST" in capsys.readouterr().out
    config = json.loads(Path("run/config.json").read_text())
    assert (config["data"]["data"], config["data"]["used"]) == ("mnist", "digits")
    config["data"]["used"] = "MNIST"
    Path("run/config.json").write_text(json.dumps(config))
    assert "was trained on MNIST, which was not found" in complaint(capsys, "evaluate")


def test_underscores_are_understood(here):
    assert run("train", "--data=digits", "--hidden_dims", "8", "--batch_size=64", "--epochs", 1, "--quiet") == 0
    assert json.loads(Path("run/config.json").read_text())["training"]["batch_size"] == 64


def test_quiet_is_silent_and_the_rest_goes_to_stdout(here, capsys):
    assert run("train", *TINY, "--epochs", 1, "--save-plots", "--plot-dir", "p") == 0
    assert capsys.readouterr() == ("", "")
    assert run("train", *TINY[:-1], "--epochs", 1, "--run", "b") == 0
    out, err = capsys.readouterr()
    assert "256 of 1,257 training" in out
    assert "epoch 1 of 1" in out
    assert err == ""


def test_patience_stops_and_says_so(here, capsys):
    flags = ["--lr", 0.02, "--patience", 1, "--epochs", 99, "--subset", 64, "--run", "p"]
    assert run("train", *TINY[:-1], *flags) == 0
    assert "stopped early after 1 epochs without a better one" in capsys.readouterr().out
    assert len(load_checkpoint("p/last.pt")["history"]) < 99


# Resuming


def test_resumed_run_has_the_same_bits(here, capsys):
    assert run("train", *TINY, "--epochs", 4, "--run", "straight") == 0
    assert run("train", *TINY, "--epochs", 2) == 0
    assert run("train", "--resume", "--quiet", "--epochs", 4, "--hidden-dims", 32) == 0
    assert same(weights("run/last.pt"), weights("straight/last.pt"))
    assert json.loads(Path("run/config.json").read_text())["training"]["epochs"] == 4
    assert len(json.loads(Path("run/history.json").read_text())["epochs"]) == 4
    assert "not --beta 2.0: leave --beta out" in complaint(capsys, "train", "--resume", "--beta", 2)
    assert "without it, not --xavier" in complaint(capsys, "train", "--resume", "--xavier")
    assert "may grow" in complaint(capsys, "train", "--resume", "--epochs", 1)


def test_length_of_a_scheduled_run_is_fixed(here, capsys):
    assert run("train", *TINY, "--epochs", 1, "--schedule", "cosine") == 0
    config = Path("run/config.json").read_text()
    assert "must stay 1" in complaint(capsys, "train", "--resume", "--epochs", 2)
    assert Path("run/config.json").read_text() == config


def test_interrupted(here, monkeypatch, capsys):
    epoch = training._Run.epoch

    def interrupted(self, bar):
        if len(self.history) == 2:
            raise KeyboardInterrupt
        return epoch(self, bar)

    monkeypatch.setattr(training._Run, "epoch", interrupted)
    assert run("train", *TINY, "--epochs", 4, "--run", "my run") == 130
    error = capsys.readouterr().err.strip()
    assert error == "vaelab: interrupted; continue with: vaelab train --run 'my run' --resume"
    assert len(json.loads(Path("my run/history.json").read_text())["epochs"]) == 2
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert main([*shlex.split(error.split("continue with: vaelab ")[1]), "--quiet"]) == 0
    assert run("train", *TINY, "--epochs", 4, "--run", "straight") == 0
    assert same(weights("my run/last.pt"), weights("straight/last.pt"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
def test_killed_and_interrupted_for_real(here):
    """kill -9, then Ctrl-C, then to the end: the same bits as a run that nothing happened to."""
    flags = [*TINY, "--epochs", "500", "--batch-size", "32"]
    env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    for how, status, more in ((signal.SIGKILL, -9, flags), (signal.SIGINT, 130, ["--resume", "--quiet"])):
        command = [sys.executable, "-m", "vaelab", "train", *more, "--run", "run"]
        process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
        path = Path("run/last.pt")
        before = path.stat().st_mtime_ns if path.exists() else 0
        while not path.exists() or path.stat().st_mtime_ns == before:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.002)
        process.send_signal(how)
        error = process.communicate()[1]
        assert process.returncode == status
        assert "Traceback" not in error
    assert len(load_checkpoint("run/last.pt")["history"]) < 500
    assert run("train", "--resume", "--quiet") == 0
    assert run("train", *flags, "--run", "straight") == 0
    assert same(weights("run/last.pt"), weights("straight/last.pt"))


# Errors


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--beta", "-1"], "--beta must be at least 0, got -1"),
        (["--lr", "0"], "--lr must be above 0"),
        (["--lr", "nan"], "--lr must be finite"),
        (["--hidden-dims", "a"], "--hidden-dims must be whole numbers of at least 1, such as 512,256, got a"),
        (["--hidden-dims", "64,0"], "got 64,0"),
        (["--latent-dim", "0"], "--latent-dim must be at least 1"),
        (["--latent-dim", "1000000000000"], "not enough memory"),
        (["--epochs", "0"], "--epochs must be at least 1"),
        (["--seed", "9" * 30], "--seed must be at most"),
        (["--patience", "0"], "--patience must be at least 1"),
        (["--model", "conv", "--hidden-dims", "300"], "--hidden-dims must be left out with --model conv"),
        (["--model", "batchnorm", "--activation", "relu"], "--activation must be left out"),
        (["--subset", "70000"], "--subset 70000: there are 1,257 training images"),
        (["--weight-decay", "0.1"], "add --optimizer adamw"),
        (["--autoencoder", "--beta", "2"], "leave out --beta"),
        (["--resume"], "run/config.json is missing: train first"),
    ],
)
def test_impossible_flags(here, capsys, flags, words):
    assert words in complaint(capsys, "train", "--data", "digits", *flags)
    assert not Path("run").exists()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["fly"],
        ["train", "--beta", "b"],
        ["train", "--devise", "cpu"],
        ["train", "--device", "tpu"],
        ["train", "--epoch", "3"],
        ["sample", "--n"],
    ],
)
def test_unreadable_command_lines(capsys, words):
    assert "--help" in complaint(capsys, *words, status=2)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["sample", "--n", "0"], "--n must be between 1 and"),
        (["sample", "--seed", "-1"], "--seed must be between 0"),
        (["sample", "--out", "x.doc"], "must end in .png"),
        (["sample", "--out", "."], "is a folder: name a file"),
        (["reconstruct", "--n", "1000"], "--n must be between 1 and 100"),
        (["interpolate", "--to", "360"], "--to must be the index of a test image, 0 to 359, got 360"),
        (["interpolate", "--steps", "1"], "--steps must be between 2"),
        (["traverse", "--index", "-1"], "--index must be"),
        (["traverse", "--span", "nan"], "--span must be above 0"),
    ],
)
def test_impossible_pictures(runs, here, capsys, words, text):
    assert text in complaint(capsys, *words, "--run", runs / "run")
    assert not list(here.iterdir())


def test_absent_device(here, capsys):
    for device, present in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())):
        if not present:
            assert "this computer has none" in complaint(capsys, "train", "--data", "digits", "--device", device)
    assert not Path("run").exists()


def test_existing_run_is_not_overwritten(runs, here, capsys):
    before = (runs / "run" / "last.pt").read_bytes()
    assert "holds a run: add --resume" in complaint(capsys, "train", *TINY, "--run", runs / "run")
    assert (runs / "run" / "last.pt").read_bytes() == before
    Path("file").touch()
    assert "name another" in complaint(capsys, "train", *TINY, "--run", "file")


def damaged_runs(folder: Path) -> dict[str, tuple[str, bytes | None, str]]:
    """A file of the run, what stands there instead, and what is said about it."""
    checkpoint, config = (folder / "last.pt").read_bytes(), (folder / "config.json").read_text()
    torch.save({"weights": torch.zeros(3)}, folder.parent / "foreign.pt")
    torch.save({"format": training.FORMAT}, folder.parent / "hollow.pt")
    other = ["train", "--data", "digits", "--hidden-dims", "8", "--epochs", "1", "--quiet", "--run"]
    assert main([*other, str(folder.parent / "other")]) == 0
    return {
        "no checkpoint": ("last.pt", None, "last.pt is missing: no epoch was finished"),
        "truncated": ("last.pt", checkpoint[:-100], "last.pt cannot be read as a checkpoint"),
        "text": ("last.pt", b"text", "last.pt cannot be read as a checkpoint"),
        "foreign": ("last.pt", (folder.parent / "foreign.pt").read_bytes(), "not a checkpoint of vaelab"),
        "hollow": ("last.pt", (folder.parent / "hollow.pt").read_bytes(), "lacks a part of a checkpoint"),
        "another run's": ("last.pt", (folder.parent / "other/last.pt").read_bytes(), "does not belong to the training"),
        "no config": ("config.json", None, "config.json is missing: train first"),
        "truncated config": ("config.json", config[:50].encode(), "config.json is not a run of vaelab"),
        "binary config": ("config.json", checkpoint[:999], "config.json is not a run of vaelab"),
        "foreign config": ("config.json", b"{}", "config.json is not a run of vaelab"),
        "half a config": ("config.json", json.dumps({"format": cli.FORMAT}).encode(), "is not a run of vaelab"),
        "impossible config": (
            "config.json",
            config.replace('"beta": 1.0', '"beta": -3').encode(),
            "config.json: --beta must be at least 0",
        ),
        "other settings": (
            "config.json",
            config.replace('"beta": 1.0', '"beta": 2.0').encode(),
            "does not belong to the training",
        ),
    }


def test_damaged_runs(runs, here, capsys):
    """Nothing is read from a damaged run, and nothing is trained over it."""
    original = runs / "run"
    for case, (name, content, text) in damaged_runs(original).items():
        folder = here / case.replace(" ", "-").replace("'", "")
        folder.mkdir()
        for file in ("config.json", "last.pt"):
            (folder / file).write_bytes((original / file).read_bytes())
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)
        assert text in complaint(capsys, "sample", "--run", folder), case
        if case != "no checkpoint":
            before = {path.name: path.read_bytes() for path in folder.iterdir()}
            assert text in complaint(capsys, "train", "--resume", "--quiet", "--run", folder), case
            assert {path.name: path.read_bytes() for path in folder.iterdir()} == before, case


def test_weights_cannot_run_code(runs, here, capsys):
    class Payload:
        def __reduce__(self):
            return (open, (str(here / "ran"), "w"))

    Path("run").mkdir()
    Path("run/config.json").write_bytes((runs / "run/config.json").read_bytes())
    torch.save({"format": training.FORMAT, "model": Payload()}, "run/last.pt")
    complaint(capsys, "sample")
    assert not (here / "ran").exists()


def test_not_finite(here, capsys):
    error = complaint(capsys, "train", *TINY, "--lr", "1e30")
    assert re.search(r"epoch 1, step \d+: the .* is not finite\. Lower the learning rate", error)
    assert "nothing is lost" in error
    # A folder without a finished epoch holds nothing to protect: the corrected command runs.
    assert run("train", *TINY, "--epochs", 1) == 0


def test_write_that_dies_keeps_the_old_picture(runs, here, monkeypatch, capsys):
    assert run("sample", "--run", runs / "run", "--out", "a.png") == 0
    before = Path("a.png").read_bytes()

    def dies(self, file, **_):
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device", str(file))

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", dies)
    assert "No space left" in complaint(capsys, "sample", "--run", runs / "run", "--out", "a.png", "--seed", 3)
    assert Path("a.png").read_bytes() == before
    assert [path.name for path in here.iterdir()] == ["a.png"]


@pytest.mark.slow
def test_python_of_the_readme_runs_as_printed(monkeypatch, here):
    """The sources' Python, in this library's names."""
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        names: dict[str, object] = {}
        exec(compile(block, "CLI.md", "exec"), names)
        assert names["samples"].shape == (16, 784)
        assert torch.isfinite(names["samples"]).all()
