"""The explorers: their mathematics, its twin in JavaScript, what a notebook shows."""

import base64
import html
import io
import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from torch.distributions import Normal, kl_divergence

from vaelab import widgets
from vaelab.widgets import estimator_numbers, gap_numbers, kl_numbers, normals, player

STATIC = Path(__file__).parents[1] / "book" / "_static"
SCRIPT = STATIC / "explorers.js"

# Some means and log-variances that the sliders can reach, and some beyond them.
POINTS = [
    (-3.0, -4.0),
    (-0.5, 0.0),
    (0.0, 0.0),
    (0.85, -1.35),
    (1.7, 2.0),
    (3.0, 0.35),
    (-6.0, -5.0),
]
MODELS = [(1.2, 0.6), (-0.7, 0.3), (0.0, 1.0), (2.5, 2.0)]


def gaussian(mu, logvar):
    mu, logvar = torch.tensor([mu, logvar], dtype=torch.float64)
    return Normal(mu, (logvar / 2).exp())


def integral(function, q):
    """The integral of a function that q's tails carry, by the trapezoid rule over 12 deviations.

    For a Gaussian times a polynomial this is exact to rounding: the error falls faster than any
    power of the step.
    """
    z = torch.linspace(-12, 12, 4001, dtype=torch.float64) * q.stddev + q.mean
    return torch.trapezoid(function(z), z).item()


# The mathematics, each number by another route than the one in the library.


@pytest.mark.parametrize(("x", "s"), MODELS)
@pytest.mark.parametrize(("mu", "logvar"), POINTS)
def test_elbo_and_gap_add_up_to_the_evidence(mu, logvar, x, s):
    n = gap_numbers(mu, logvar, x, s)
    assert n["gap"] >= 0
    assert n["elbo"] + n["gap"] == pytest.approx(n["evidence"], rel=1e-12, abs=1e-10)


@pytest.mark.parametrize(("x", "s"), MODELS)
@pytest.mark.parametrize(("mu", "logvar"), POINTS)
def test_gap_numbers_equal_integrals(mu, logvar, x, s):
    n = gap_numbers(mu, logvar, x, s)
    q, prior = gaussian(mu, logvar), gaussian(0.0, 0.0)
    observed = torch.tensor(x, dtype=torch.float64)

    def log_likelihood(z):
        return Normal(z, s).log_prob(observed)

    evidence = math.log(integral(lambda z: (log_likelihood(z) + prior.log_prob(z)).exp(), prior))
    reconstruction = integral(lambda z: q.log_prob(z).exp() * log_likelihood(z), q)

    def log_posterior(z):  # Bayes' rule
        return log_likelihood(z) + prior.log_prob(z) - evidence

    gap = integral(lambda z: q.log_prob(z).exp() * (q.log_prob(z) - log_posterior(z)), q)
    assert n["evidence"] == pytest.approx(evidence, abs=1e-9)
    assert n["reconstruction"] == pytest.approx(reconstruction, rel=1e-9)
    assert n["kl"] == pytest.approx(kl_divergence(q, prior).item(), abs=1e-12)
    assert n["elbo"] == n["reconstruction"] - n["kl"]
    assert n["gap"] == pytest.approx(gap, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("x", "s"), MODELS)
def test_gap_closes_at_the_posterior(x, s):
    best = gap_numbers(0.0, 0.0, x, s)
    at = gap_numbers(best["mu"], best["logvar"], x, s)
    assert at["gap"] == pytest.approx(0, abs=1e-12)
    assert at["elbo"] == pytest.approx(at["evidence"], abs=1e-12)
    for dmu, dlogvar in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01)):
        assert gap_numbers(best["mu"] + dmu, best["logvar"] + dlogvar, x, s)["gap"] > 0


@pytest.mark.parametrize("s", [0.0, -1.0, math.nan])
def test_gap_refuses_a_model_without_noise(s):
    with pytest.raises(ValueError, match="must be positive"):
        gap_numbers(0.0, 0.0, 1.2, s)


@pytest.mark.parametrize("q", POINTS)
@pytest.mark.parametrize("p", POINTS)
def test_kl_numbers_equal_integrals(q, p):
    n = kl_numbers(*q, *p)
    a, b = gaussian(*q), gaussian(*p)
    reverse = integral(lambda z: a.log_prob(z).exp() * (a.log_prob(z) - b.log_prob(z)), a)
    forward = integral(lambda z: b.log_prob(z).exp() * (b.log_prob(z) - a.log_prob(z)), b)
    assert n["reverse"] == pytest.approx(reverse, rel=1e-9, abs=1e-9)
    assert n["forward"] == pytest.approx(forward, rel=1e-9, abs=1e-9)
    swapped = kl_numbers(*p, *q)
    assert (swapped["forward"], swapped["reverse"]) == (n["reverse"], n["forward"])


def test_normals_are_reproducible_and_standard_normal():
    values = torch.from_numpy(normals(3, 100_000))
    assert torch.equal(values, torch.from_numpy(normals(3, 100_000)))
    assert not torch.equal(values[:100], torch.from_numpy(normals(4, 100)))
    assert len(normals(3, 7)) == 7
    assert np.array_equal(normals(3, 7), normals(3, 8)[:7])
    # The seed is fixed, so these cannot fail by chance; of all seeds one in 5e8 would fail, each.
    assert abs(values.mean()) < 6 / math.sqrt(len(values))
    assert abs((values**2).mean() - 1) < 6 * math.sqrt(2 / len(values))
    assert abs((values[1:] * values[:-1]).mean()) < 6 / math.sqrt(len(values))


@pytest.mark.parametrize("n", [1, 10, 100])
def test_estimates_are_what_autograd_says(n):
    e = estimator_numbers(n, seed=5, mu=0.7, sigma=1.3)
    mu = torch.full((200, 1), 0.7, dtype=torch.float64, requires_grad=True)
    noise = torch.from_numpy(normals(5, 200 * 100)).view(200, 100)[:, :n]
    z = mu + 1.3 * noise
    (pathwise,) = torch.autograd.grad((z**2).mean(1).sum(), mu)
    log_q = Normal(mu, 1.3).log_prob(z.detach())
    (score,) = torch.autograd.grad((z.detach() ** 2 * log_q).mean(1).sum(), mu)
    assert np.allclose(e["pathwise"], pathwise.squeeze(1), rtol=0, atol=1e-12)
    assert np.allclose(e["score"], score.squeeze(1), rtol=0, atol=1e-11)
    assert e["pathwise_sd"] == pytest.approx(pathwise.std().item())
    assert e["score_sd"] == pytest.approx(score.std().item())
    assert e["ratio"] == pytest.approx((score.var() / pathwise.var()).item())


@pytest.mark.parametrize(("mu", "sigma"), [(1.0, 1.0), (0.0, 1.0), (-2.0, 0.5)])
def test_exact_spreads_equal_integrals(mu, sigma):
    q = gaussian(mu, 2 * math.log(sigma))
    e = estimator_numbers(1, mu=mu, sigma=sigma)
    for estimate, spread in (
        (lambda z: z**2 * (z - mu) / sigma**2, e["exact_score_sd"]),
        (lambda z: 2 * z, e["exact_pathwise_sd"]),
    ):
        mean, square = (integral(lambda z, p=power, f=estimate: q.log_prob(z).exp() * f(z) ** p, q) for power in (1, 2))
        assert mean == pytest.approx(e["exact"], abs=1e-9)  # unbiased
        assert math.sqrt(square - mean**2) == pytest.approx(spread, rel=1e-9)
        assert estimator_numbers(25, mu=mu, sigma=sigma)["exact_score_sd"] == pytest.approx(e["exact_score_sd"] / 5)


@pytest.mark.parametrize("n", [0, 101])
def test_estimators_refuse_counts_that_the_strip_cannot_draw(n):
    with pytest.raises(ValueError, match="between 1 and 100"):
        estimator_numbers(n)


# The same in JavaScript.

CALLS = {
    "gap": [{"mu": m, "logvar": v, "x": x, "s": s} for m, v in POINTS for x, s in MODELS],
    "kl": [{"muQ": a, "logvarQ": b, "muP": c, "logvarP": d} for a, b in POINTS for c, d in POINTS],
    "estimators": [{"n": n, "seed": seed} for n in (1, 10, 100) for seed in (0, 1, 7, -3, 2**31)]
    + [{"n": 3, "seed": 1, "mu": -0.4, "sigma": 2.0}],
}
ANSWER = "JSON.stringify(Object.fromEntries(Object.entries(calls).map(([f, a]) => [f, a.map(math[f])])))"


def python_numbers(name, call):
    """What the library says, under the names that the script uses."""
    if name == "gap":
        n = gap_numbers(**call)
        return n | {"posteriorMu": n.pop("mu"), "posteriorLogvar": n.pop("logvar")}
    if name == "kl":
        return kl_numbers(call["muQ"], call["logvarQ"], call["muP"], call["logvarP"])
    n = estimator_numbers(**call)
    return {re.sub(r"_(\w)", lambda m: m[1].upper(), key): value for key, value in n.items()}


def javascript_numbers(tmp_path):
    """What the script says, from Node or else from Chromium; None where there is neither."""
    calls = f"const calls = {json.dumps(CALLS)};"
    if node := shutil.which("node"):
        code = f"const {{ math }} = require({json.dumps(str(SCRIPT))}); {calls} console.log({ANSWER})"
        run = subprocess.run([node, "-e", code], capture_output=True, text=True, timeout=60, check=True)
        return json.loads(run.stdout)
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    if browser := next(filter(None, map(shutil.which, names)), None):
        page = tmp_path / "page.html"
        page.write_text(
            f'<!doctype html><meta charset=utf-8><script src="{SCRIPT.as_uri()}"></script>'
            f"<pre></pre><script>const {{ math }} = window.explorers; {calls}"
            f"document.querySelector('pre').textContent = {ANSWER}</script>",
            "utf-8",
        )
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
        ]
        command = [browser, *options, "--dump-dom", page.as_uri()]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return json.loads(html.unescape(re.search(r"<pre>(.*)</pre>", run.stdout, re.S)[1]))
    return None


def test_javascript_agrees_with_python(tmp_path):
    expected = {name: [python_numbers(name, call) for call in calls] for name, calls in CALLS.items()}
    # This much holds on any machine: the numbers are finite, and those of the gap add up.
    for answers in expected.values():
        assert all(np.isfinite(np.asarray(v)).all() for answer in answers for v in answer.values())
    for answer in expected["gap"]:
        assert answer["elbo"] + answer["gap"] == pytest.approx(answer["evidence"], abs=1e-9)
    found = javascript_numbers(tmp_path)
    if found is None:
        pytest.skip("neither Node nor Chromium is installed: explorers.js was not compared with Python")
    for name, answers in expected.items():
        for call, want, got in zip(CALLS[name], answers, found[name], strict=True):
            assert got.keys() == want.keys()
            for key in want:
                assert np.allclose(got[key], want[key], rtol=1e-9, atol=1e-9), (name, call, key)


def test_the_script_stands_alone():
    """No other file, no network, nothing that a page served from a folder may not do."""
    text = SCRIPT.read_text("utf-8")
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
    for word in ("import", "fetch(", "XMLHttpRequest", "eval(", "localStorage", "http", "require("):
        assert word not in code, word
    for name in ("gap", "kl", "estimators"):
        assert re.search(rf"^    {name}\(", code, re.M), name
    assert len(text.encode()) < 32_000
    style = (STATIC / "explorers.css").read_text("utf-8")
    assert "@import" not in style
    assert "url(" not in style
    for name in sorted(set(re.findall(r"ex-[a-z]+(?:-[a-z]+)*", code))):
        assert f".{name}" in style or f".{name.rsplit('-', 1)[0]}" in style, f"explorers.css forgot {name}"


# What a notebook shows.


def parts(box):
    """The controls of an explorer by name, and what it shows: the picture's attributes and the text."""
    *controls, picture = box.children
    shown = Tags(picture.value)
    return {control.description: control for control in controls}, shown["img"], shown.text


@pytest.mark.parametrize(
    ("explorer", "name", "value", "says"),
    [
        (widgets.gap_explorer, "mean of q", 1.0, "ELBO -2.353 + gap 0.750 = log p(x) -1.602"),
        (widgets.gap_explorer, "log-variance of q", -4.0, "KL to the prior 1.634"),
        (widgets.kl_explorer, "mean of p", 0.5, "(0.368 + 0.000) / 1.649"),
        (widgets.estimator_explorer, "samples per estimate", 100, "exact 0.55"),
    ],
)
def test_explorers_answer_their_sliders(explorer, name, value, says):
    box = explorer()
    controls, picture, text = parts(box)
    assert picture["alt"]
    assert says not in text
    controls[name].value = value
    _, moved, text = parts(box)
    assert says in text
    assert moved["src"] != picture["src"]
    svg = base64.b64decode(moved["src"].removeprefix("data:image/svg+xml;base64,")).decode()
    assert "<svg" in svg


def test_a_button_closes_the_gap():
    box = widgets.gap_explorer(x=-0.7, s=0.3)
    controls, _, text = parts(box)
    assert "gap 0.000" not in text
    controls["set q to the posterior"].click()
    assert "gap 0.000" in parts(box)[2]


def test_a_button_redraws():
    box = widgets.estimator_explorer()
    controls, first, text = parts(box)
    controls["redraw"].click()
    _, second, new_text = parts(box)
    assert second["src"] != first["src"]
    assert new_text != text
    assert f"ratio of the variances {estimator_numbers(10, seed=2)['ratio']:.2f}" in new_text


def test_explorers_leave_the_style_of_the_notebook_alone():
    plt.close("all")  # what other tests left
    before = dict(plt.rcParams)
    widgets.kl_explorer()
    assert dict(plt.rcParams) == before
    assert plt.get_fignums() == []


class Tags(HTMLParser):
    """The tags of a piece of HTML, with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def __getitem__(self, name):
        (found,) = (attributes for tag, attributes in self.tags if tag == name)
        return found


def sprite(parsed):
    data = base64.b64decode(parsed["img"]["src"].removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)))


def test_player_holds_every_frame():
    frames = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    parsed = Tags(player(frames, ["a", "b", "c"], "three frames", "time").data)
    assert np.array_equal(sprite(parsed), frames.reshape(12, 5))
    assert parsed["img"]["alt"] == "three frames: a"
    assert parsed["img"]["class"] == "photo"
    assert (parsed["input"]["type"], parsed["input"]["min"], parsed["input"]["max"]) == (
        "range",
        "0",
        "2",
    )
    assert json.loads(parsed.tags[0][1]["data-labels"]) == ["a", "b", "c"]
    assert "time" in parsed.text
    colour = np.zeros((2, 4, 5, 3), dtype=np.int64) + 255
    assert np.array_equal(sprite(Tags(player(colour, "ab", "white").data)), np.full((8, 5, 3), 255))


def test_player_takes_tensors_in_the_unit_interval():
    frames = torch.tensor([[[0.0, 0.5]], [[1.0, 2.0]]], requires_grad=True)
    assert sprite(Tags(player(frames, ["a", "b"], "x").data)).tolist() == [[0, 128], [255, 255]]


def test_player_escapes_every_string():
    nasty = "\"><script>alert('1')</script>&|\\"
    parsed = Tags(player(np.zeros((2, 2, 2)), [nasty, "b"], nasty, nasty).data)
    assert [tag for tag, _ in parsed.tags] == ["div", "div", "img", "label", "input", "output"]
    assert parsed["img"]["alt"] == f"{nasty}: {nasty}"
    assert parsed.tags[0][1]["data-alt"] == nasty
    assert json.loads(parsed.tags[0][1]["data-labels"]) == [nasty, "b"]
    assert parsed["input"]["aria-valuetext"] == nasty
    assert parsed.text.count(nasty) == 2  # the slider's label and the output
    assert nasty not in parsed["input"]["oninput"]


@pytest.mark.parametrize(
    ("frames", "labels", "words"),
    [
        (np.zeros((2, 3)), ["a", "b"], r"must be \[k, h, w\]"),
        (np.zeros((0, 3, 3)), [], r"must be \[k, h, w\]"),
        (np.zeros((2, 3, 3, 4)), ["a", "b"], r"must be \[k, h, w\]"),
        (np.zeros((2, 3, 3)), ["a"], "as many labels"),
        (np.zeros((1, 3, 3), dtype=bool), ["a"], "integers or floats"),
        (np.full((1, 3, 3), 256), ["a"], "0 to 255"),
    ],
)
def test_player_refuses_what_it_cannot_show(frames, labels, words):
    with pytest.raises(ValueError, match=words):
        player(frames, labels, "x")
