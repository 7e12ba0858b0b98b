"""The latent explorer: what is exported of a model, and the browser's arithmetic beside PyTorch's."""

import base64
import gzip
import json
import math
import shutil

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageDraw
from torch import nn

from browsertools import HTML, Visit, rendered
from coursekit.project import ROOT
from vaelab.data import digits
from vaelab.export import MIME, PICTURE, SCRIPT, PageFiles, explorer_files, parse_script, rounded
from vaelab.models import batchnorm_vae, mlp_vae
from vaelab.objectives import bernoulli_nll, kl_standard_normal
from vaelab.training import fit

STATIC = ROOT / "book" / "_static"
PAGES = ("index", "latent-space")
LIMIT = 1_000_000  # bytes, gzipped, of all that the explorer adds to a page


def flat():
    """A model of the size that the page mnist-vae trains."""
    return mlp_vae(hidden_dims=(256, 256), latent_dim=2, activation=nn.GELU)


@pytest.fixture(scope="module")
def trained():
    """A model that has learnt something of the stand-in digits, and these."""
    torch.manual_seed(0)
    model, data = flat(), digits(validation=False)
    fit(model, data.train, epochs=25, lr=2e-3, progress=False)
    return model.requires_grad_(False), data


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory):
    """A page of its own with the explorer, to be opened as a file."""
    path = tmp_path_factory.mktemp("explorer")
    for file in ("latent-explorer.js", "latent-explorer.css", "explorers.css"):
        shutil.copy(STATIC / file, path)
    for name, data in explorer_files(*trained).files.items():
        (path / name).write_bytes(data.encode() if isinstance(data, str) else data)
    (path / "page.html").write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Explorer</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="explorers.css"><link rel="stylesheet" href="latent-explorer.css"></head>'
        '<body><main><h1>Explorer</h1><div class="explorer latent-explorer" data-encoder="open" '
        f'data-model="{SCRIPT}"><img src="{PICTURE}" width="420" height="420" alt="Digits."><p>Words.</p></div></main>'
        '<script src="latent-explorer.js" defer></script></body></html>'
    )
    return path


# What is exported.


def test_what_is_exported_reads_back(trained):
    model, data = trained
    files = explorer_files(model, data).files
    twin = flat()
    contents = parse_script(files[SCRIPT], twin)
    for ours, theirs in zip(twin.parameters(), rounded(model).parameters(), strict=True):
        assert torch.equal(ours, theirs)
    places = contents["images"]["places"]
    assert torch.equal(contents["pixels"], data.test.pixels[places])
    assert contents["images"]["digits"] == "".join(str(k) for k in range(10) for _ in range(3))
    assert [int(k) for k in contents["digits"]] == data.test.labels.tolist()
    torch.testing.assert_close(contents["codes"], model.encode(data.test.x)[0], rtol=1e-3, atol=1e-3)
    assert files[PICTURE][8:12] == b"WEBP"


def test_the_typical_elbo_is_that_of_the_test_images(trained):
    model, data = trained
    typical = parse_script(explorer_files(model, data, seed=5).files[SCRIPT], flat())["typical"]
    x, noise = data.test.x, torch.randn(len(data.test), 2, generator=torch.Generator().manual_seed(5))
    mu, logvar = model.encode(x)
    loss = bernoulli_nll(model.decode(mu + (logvar / 2).exp() * noise), x) + kl_standard_normal(mu, logvar)
    assert typical["count"] == len(x)
    assert np.allclose(typical["loss"], np.percentile(loss, range(101)), rtol=0, atol=0.02)


def test_rounding_is_to_float16_and_keeps_the_model(trained):
    model, _ = trained
    before = [weight.clone() for weight in model.parameters()]
    for weight, light in zip(model.parameters(), rounded(model).parameters(), strict=True):
        assert torch.equal(light, weight.half().float())
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    loud = flat()
    nn.init.constant_(next(loud.parameters()), 1e6)
    with pytest.raises(ValueError, match="too large"):
        rounded(loud)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (mlp_vae(activation=nn.GELU), "2 latent dimensions"),
        (mlp_vae(latent_dim=2), "GELU"),
        (mlp_vae(latent_dim=2, activation=lambda: nn.GELU(approximate="tanh")), "GELU"),
        (batchnorm_vae(latent_dim=2), "Bernoulli"),
    ],
)
def test_other_models_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        explorer_files(model, digits())


def test_weights_of_another_shape_are_refused(trained):
    script = explorer_files(*trained).files[SCRIPT]
    with pytest.raises(ValueError, match="widths"):
        parse_script(script, mlp_vae(hidden_dims=(8, 8), latent_dim=2, activation=nn.GELU))


def test_files_are_a_cells_output():
    output = PageFiles({"a.js": "x = 'é';", "b.bin": b"\xff\0"})._repr_mimebundle_()
    packed = json.loads(json.dumps(output[MIME]))
    assert packed["a.js"] == {"text": "x = 'é';"}
    assert base64.b64decode(packed["b.bin"]["base64"]) == b"\xff\0"
    assert output["text/plain"].splitlines() == ["a.js: 0 kB", "b.bin: 0 kB"]


# The browser's arithmetic.


def visit(browser, folder, **options):
    return Visit(browser, (folder / "page.html").as_uri(), **options)


def start(page):
    page.locator(".lx-start").click()
    page.locator(".lx-live").wait_for()


def calculate(page, expression, **arguments):
    """Evaluate a JavaScript expression with the explorer's maths, the unpacked model and some arguments."""
    return page.evaluate(
        "async (a) => { const m = window.latentExplorer.math, model = await m.unpack(window.latentModel);"
        f"return ({expression}); }}",
        {k: v.tolist() if isinstance(v, torch.Tensor) else v for k, v in arguments.items()},
    )


@pytest.mark.slow
def test_decoded_pixels_are_pytorchs(browser, folder, trained):
    model, _ = trained
    z = 1.5 * torch.randn(200, 2)
    with visit(browser, folder) as seen:
        start(seen.page)
        logits = torch.tensor(calculate(seen.page, "a.z.map((z) => [...m.decode(model.decoder, z)])", z=z))
    assert (logits.sigmoid() - model.decode(z).sigmoid()).abs().max() < 0.005
    torch.testing.assert_close(logits, rounded(model).decode(z), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_both_terms_are_pytorchs_for_the_same_noise(browser, folder, trained):
    model, data = trained
    x, eps = data.test.x[:40], torch.randn(40, 2)
    with visit(browser, folder) as seen:
        start(seen.page)
        found = calculate(
            seen.page,
            "a.x.map((x, i) => { const q = m.encode(model.encoder, x), z = m.sample(q, a.eps[i]);"
            "const [first, second] = m.kl(q), logits = m.decode(model.decoder, z);"
            "return [...q.mu, ...q.logvar, m.reconstruction(logits, x), first + second]; })",
            x=x,
            eps=eps,
        )
    found = torch.tensor(found)
    mu, logvar = model.encode(x)
    torch.testing.assert_close(found[:, :2], mu, rtol=0, atol=0.003)
    torch.testing.assert_close(found[:, 2:4], logvar, rtol=0, atol=0.01)
    kl = kl_standard_normal(mu, logvar)
    reconstruction = bernoulli_nll(model.decode(mu + (logvar / 2).exp() * eps), x)
    torch.testing.assert_close(found[:, 5], kl, rtol=0, atol=0.02)
    torch.testing.assert_close(found[:, 4], reconstruction, rtol=0.002, atol=0.1)


@pytest.mark.slow
def test_gelu_is_the_exact_one(browser, folder):
    x = torch.linspace(-8, 8, 1601, dtype=torch.float64)
    with visit(browser, folder) as seen:
        found = torch.tensor(seen.page.evaluate("(x) => x.map(window.latentExplorer.math.gelu)", x.tolist()))
    assert (found - nn.functional.gelu(x)).abs().max() < 1e-6
    assert (found - nn.functional.gelu(x, approximate="tanh")).abs().max() > 1e-4


def drawings():
    """Ink as a reader might draw it: a slanted line, a small ring near a corner, a wide stroke, a dot, nothing."""
    for shape in ("line", "ring", "wide", "dot", "nothing"):
        image = Image.new("L", (280, 280))
        pen = ImageDraw.Draw(image)
        if shape == "line":
            pen.line((170, 30, 110, 250), fill=255, width=24)
        elif shape == "ring":
            pen.ellipse((190, 180, 270, 275), outline=255, width=12)
        elif shape == "wide":
            pen.line((20, 150, 260, 130, 250, 170), fill=200, width=20)
        elif shape == "dot":
            pen.rectangle((100, 50, 102, 52), fill=255)
        yield shape, image


def as_mnist(image, centre):
    """What prepare does, by another route: Pillow's box filter and a shift."""
    field = np.zeros((28, 28), np.float32)
    box = image.point(lambda value: 255 if value >= 13 else 0).getbbox()
    if not box:
        return field
    width, height = box[2] - box[0], box[3] - box[1]
    size = [max(1, math.floor(20 * side / max(width, height) + 0.5)) for side in (width, height)]
    ink = np.asarray(image.crop(box).convert("F")) / 255
    # Enlarged first by whole factors, so that the box filter averages over areas without a remainder.
    large = ink.repeat(size[1], 0).repeat(size[0], 1)
    small = large.reshape(size[1], height, size[0], width).mean((1, 3))
    row, column = (np.arange(n) for n in small.shape)
    left = round(centre[0] - float(small.sum(0) @ column) / small.sum())
    top = round(centre[1] - float(small.sum(1) @ row) / small.sum())
    left, top = min(28 - size[0], max(0, left)), min(28 - size[1], max(0, top))
    field[top : top + size[1], left : left + size[0]] = small
    return field


@pytest.mark.slow
def test_drawings_are_prepared_as_mnist_was(browser, folder):
    with visit(browser, folder) as seen:
        for name, image in drawings():
            ink = (np.asarray(image) / 255).ravel().tolist()
            for centre in ([14.1, 14.1], [13.4, 13.6]):  # off the middle, where rounding has no ties
                found = seen.page.evaluate(
                    "([ink, c]) => [...window.latentExplorer.math.prepare(ink, 280, 280, c)]", [ink, centre]
                )
                found = np.array(found).reshape(28, 28)
                assert np.allclose(found, as_mnist(image, centre), atol=1e-5), name
                if name not in ("nothing", "dot"):
                    rows, columns = np.nonzero(found)
                    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
                    middle = (np.arange(28) @ found.sum(0) / found.sum(), found.sum(1) @ np.arange(28) / found.sum())
                    assert np.allclose(middle, centre, atol=0.51)


# The page.


def picture(page):
    """Pixels and words of all that may change."""
    return page.evaluate(
        """() => [...document.querySelectorAll(".lx-live canvas")].map((c) => c.toDataURL()).concat(
        [".lx-marks", ".lx-lens"].map((s) => document.querySelector(s).innerHTML),
        document.querySelector("[id$=-where]").textContent, document.querySelector(".ex-readout").textContent)"""
    )


PARTS = ("digit", "strip", "pad", "x", "back", "marks", "lens", "where", "readout")


def changes(page, act):
    """Which parts of the picture an act changes, once two frames have passed."""
    before = picture(page)
    act()
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return {part for part, old, new in zip(PARTS, before, picture(page), strict=True) if old != new}


def drag(page, selector, *places):
    """Press at the first place, in shares of the element's box, and move through the others."""
    page.locator(selector).scroll_into_view_if_needed()
    box = page.locator(selector).bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=4)
    page.mouse.up()


@pytest.mark.slow
def test_every_control_changes_what_it_should(browser, folder):
    moved = {"digit", "back", "marks", "lens", "where", "readout"}
    encoded = {"pad", "x", "readout", "digit"}
    with visit(browser, folder) as seen:
        page = seen.page
        start(page)
        tried = set()

        def press(name):
            tried.add(name)
            return lambda: page.locator(f"[data-do={name}]").click()

        def slide(key):
            tried.add(key)
            return lambda: page.locator(f"input[data-key={key}]").press("ArrowRight")

        assert changes(page, slide("z1")) == moved
        assert changes(page, slide("z2")) == moved
        assert changes(page, press("a")) >= {"strip", "marks"}
        assert changes(page, press("prior")) == moved
        assert changes(page, press("b")) >= {"strip", "marks"}
        assert changes(page, slide("t")) <= moved  # it stands at its end, and is moved in the next line
        assert changes(page, lambda: page.locator("input[data-key=t]").press("Home")) == moved
        assert changes(page, press("walk")) == moved
        assert changes(page, press("eps")) == moved
        assert changes(page, lambda: page.select_option("select", "letters-K")) >= encoded
        assert changes(page, lambda: page.select_option("select", "scribbles-spiral")) >= encoded
        assert changes(page, lambda: page.select_option("select", "test-20")) >= encoded
        assert changes(page, press("clear")) >= encoded
        assert changes(page, lambda: drag(page, ".lx-pad", (0.3, 0.2), (0.7, 0.2), (0.4, 0.9))) >= encoded
        assert page.locator("select").input_value() == "own"
        assert changes(page, lambda: drag(page, ".lx-plane", (0.3, 0.6), (0.8, 0.4))) == moved
        for key in ("ArrowLeft", "ArrowUp", "Shift+ArrowRight", "ArrowDown"):
            assert changes(page, lambda key=key: page.locator(".lx-plane").press(key)) == moved
        assert changes(page, lambda: page.locator("summary").click()) >= {"marks"}
        controls = page.evaluate(
            "() => [...document.querySelectorAll('.lx-live button, .lx-live input')]"
            ".map((e) => e.dataset.do || e.dataset.key)"
        )
        assert set(controls) == tried
        assert seen.faults == []


@pytest.mark.slow
def test_the_code_goes_where_it_is_dragged(browser, folder, trained):
    model, _ = trained
    with visit(browser, folder) as seen:
        page = seen.page
        start(page)
        drag(page, ".lx-plane", (0.5, 0.5), (0.75, 0.25))
        keys = "['ArrowLeft', 'ArrowUp', 'ArrowDown']"  # in one frame: none of them is lost
        send = f"(e) => {keys}.forEach((key) => e.dispatchEvent(new KeyboardEvent('keydown', {{ key }})))"
        assert "where" in changes(page, lambda: page.locator(".lx-plane").evaluate(send))
        span = page.evaluate("window.latentModel.span")
        z = [span / 2 - 0.1, span / 2]
        assert page.locator("[id$=-where]").inner_text().startswith(f"z = ({z[0]:.2f}, {z[1]:.2f});")
        shown = page.evaluate(
            "() => { const c = document.querySelector('.lx-digit');"
            "return [...c.getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 == 0); }"
        )
    pixels = 255 * model.decode(torch.tensor([z])).sigmoid()[0]
    assert (
        torch.tensor(shown) - pixels
    ).abs().max() < 1 + 255 * 0.005 + 255 * 0.02  # z is where the pointer's pixel is


@pytest.mark.slow
def test_the_numbers_add_up_and_fill_in_the_formula(browser, folder):
    with visit(browser, folder) as seen:
        page = seen.page
        start(page)
        numbers = [float(text.replace("−", "-")) for text in page.locator(".ex-cell .ex-num").all_inner_texts()]
        terms = [float(t.strip("()").replace("−", "-")) for t in page.locator(".ex-closed .ex-num").all_inner_texts()]
    reconstruction, kl, loss = numbers
    assert reconstruction + kl == pytest.approx(loss, abs=0.011)
    (m1, v1, l1, m2, v2, l2, total) = terms
    assert 0.5 * (m1 + v1 - l1 - 1) + 0.5 * (m2 + v2 - l2 - 1) == pytest.approx(total, abs=0.03)
    assert total == kl


@pytest.mark.slow
def test_what_is_chosen_is_announced_after_a_pause(browser, folder):
    with visit(browser, folder) as seen:
        page = seen.page
        start(page)
        spoken = page.locator(".lx-live > [role=status]")
        assert spoken.inner_text() == ""
        page.select_option("select", "letters-M")
        page.wait_for_function("() => document.querySelector('.lx-live > [role=status]').textContent.includes('ELBO')")
        assert "nats, " in spoken.inner_text()


@pytest.mark.slow
def test_a_walk_takes_steps_unless_the_reader_wants_less_motion(browser, folder):
    with visit(browser, folder) as seen:  # which asks for less
        start(seen.page)
        assert "where" in changes(seen.page, lambda: seen.page.locator("[data-do=walk]").click())
        assert seen.page.locator("input[data-key=t]").input_value() == "1"
        seen.page.emulate_media(reduced_motion="no-preference")
        seen.page.evaluate(
            "() => { window.stops = new Set(); const look = () => { window.stops.add("
            "document.querySelector('input[data-key=t]').value); requestAnimationFrame(look); }; look(); }"
        )
        seen.page.locator("[data-do=walk]").click()
        seen.page.wait_for_function("() => window.stops.size > 5 && document.querySelector('[data-key=t]').value == 1")


@pytest.mark.slow
def test_nothing_is_loaded_before_the_start(browser, folder):
    with visit(browser, folder) as seen:
        assert not [url for url in seen.requests if url.endswith(SCRIPT)]
        start(seen.page)
        assert [url for url in seen.requests if url.endswith(SCRIPT)]
        assert seen.page.evaluate("document.activeElement.className") == "lx-plane"
        assert seen.faults == []


@pytest.mark.slow
def test_a_model_that_does_not_come_is_said_and_can_be_asked_for_again(browser, folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / SCRIPT).unlink()
    with visit(browser, tmp_path) as seen:
        page = seen.page
        page.locator(".lx-start").click()
        page.locator(".lx-problem", has_text="could not be loaded").wait_for()
        shutil.copy(folder / SCRIPT, tmp_path)
        start(page)
        assert page.locator(".lx-problem").count() == 0


@pytest.mark.slow
def test_without_javascript_and_in_print_there_is_the_picture(browser, folder):
    with visit(browser, folder, java_script_enabled=False) as seen:
        assert seen.page.locator(".latent-explorer img").is_visible()
        assert seen.page.locator("button").count() == 0
    with visit(browser, folder) as seen:
        seen.page.emulate_media(media="print")
        assert not seen.page.locator(".lx-start").is_visible()
        seen.page.emulate_media(media="screen")
        start(seen.page)
        assert not seen.page.locator(".latent-explorer img").is_visible()
        seen.page.emulate_media(media="print")
        assert seen.page.locator(".latent-explorer img").is_visible()
        assert not seen.page.locator(".lx-live").is_visible()


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_accessible_and_within_the_window(browser, folder, theme, width):
    with visit(browser, folder, width=width, dark=theme == "dark") as seen:
        page = seen.page
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
        for _ in ("before", "after"):
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            found = Axe().run(page).response["violations"]
            assert [(v["id"], [n["html"][:80] for n in v["nodes"]]) for v in found] == []
            if page.locator(".lx-start").count():
                start(page)


# In the book.


@pytest.mark.slow
def test_all_of_it_is_light():
    files = [HTML / "_static" / name for name in ("latent-explorer.js", "latent-explorer.css")]
    files += [HTML / "_static" / "exported" / name for name in (SCRIPT, PICTURE)]
    sizes = {file.name: len(gzip.compress(file.read_bytes(), 6)) for file in files}
    assert sum(sizes.values()) < LIMIT, sizes


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("over", ["http", "file"])
def test_the_book_runs_the_model_that_its_page_trained(browser, site, page, over):
    model = flat().requires_grad_(False)
    contents = parse_script((HTML / "_static" / "exported" / SCRIPT).read_text("utf-8"), model)
    z = torch.randn(50, 2)
    with Visit(browser, rendered(ROOT / "book" / f"{page}.md", site if over == "http" else HTML)) as seen:
        assert not [url for url in seen.requests if "exported" in url and url.endswith(".js")]
        start(seen.page)
        logits = torch.tensor(calculate(seen.page, "a.z.map((z) => [...m.decode(model.decoder, z)])", z=z))
        if seen.page.locator(".lx-encoder").get_attribute("open") is None:
            seen.page.locator("summary", has_text="The way back").click()
        warned = seen.page.locator(".lx-warning").count()
        loss = {}
        for choice in ("test-0", "letters-M", "scribbles-spiral"):
            changes(seen.page, lambda choice=choice: seen.page.select_option(".lx-choice select", choice))
            loss[choice] = float(seen.page.locator(".ex-cell .ex-num").last.inner_text())
        assert seen.faults == []
    torch.testing.assert_close(logits, model.decode(z), rtol=1e-4, atol=1e-4)
    assert warned == (contents["source"] != "MNIST")
    assert loss["letters-M"] > contents["typical"]["loss"][75]
    assert loss["scribbles-spiral"] > contents["typical"]["loss"][95]


@pytest.mark.slow
def test_only_the_explorers_pages_load_its_script():
    users = {file.stem for file in HTML.rglob("*.html") if "latent-explorer.js" in file.read_text("utf-8")}
    assert users == set(PAGES)
