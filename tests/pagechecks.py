"""Checks of one page in the browser. Each returns what it found wrong, as texts; an empty list is good news."""

from itertools import pairwise

from axe_playwright_python.base import AXE_SCRIPT

# The parts of the names of scripts, and what must be on a page that loads them; None: wanted on every page.
SCRIPTS = {
    "documentation_options.js": None,
    "doctools.js": None,
    "sphinx_highlight.js": None,
    "bootstrap.js": None,
    "pydata-sphinx-theme.js": None,
    "sphinx-book-theme.js": None,
    "clipboard.min.js": "div.highlight",
    "copybutton.js": "div.highlight",
    "togglebutton.js": ".toggle, .dropdown",
    "design-tabs.js": ".sd-tab-set",
    "tex-chtml.js": "mjx-container",
    "explorers.js": ".explorer",
    "latent-explorer.js": ".latent-explorer",
    "embed.js": ".jupyter-widgets",
    "searchtools.js": "#search-results",
    "language_data.js": "#search-results",
    "searchindex.js": "#search-results",
}

# A formula's glyphs are thousands of elements drawn by style sheets, of which axe sees no text, and code is thousands
# of words in a dozen colours. For axe a formula is one word, and each colour of code stands there once.
SIMPLER = """() => {
  document.querySelectorAll("mjx-math, mjx-assistive-mml").forEach((formula) => formula.replaceChildren("formula"));
  const seen = new Set();
  for (const word of document.querySelectorAll("div.highlight pre span")) {
    const look = word.className + getComputedStyle(word.closest("pre")).backgroundColor;
    const again = seen.has(look) || !word.textContent.trim();
    if (again && !word.id && !word.children.length) word.replaceWith(word.textContent);
    seen.add(look);
  }
}"""


def axe(page, *rules):
    """What axe-core finds on the whole page, by the rules named; by all rules only last: that simplifies the page."""
    if not rules:
        page.evaluate(SIMPLER)
    if not page.evaluate("() => Boolean(window.axe)"):
        page.evaluate(AXE_SCRIPT)
    only = {"runOnly": list(rules)} if rules else {}
    options = {"resultTypes": ["violations"], "preload": False, **only}
    found = page.evaluate("(options) => axe.run(document, options)", options)["violations"]
    return [
        f"axe {fault['id']}: {node['html'][:160]} {node['failureSummary'].splitlines()[-1].strip()[:200]}"
        for fault in found
        for node in fault["nodes"]
    ]


def headings(page):
    """Exactly one h1, first of all, and no level skipped on the way down."""
    levels = page.evaluate(
        """() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6, [role=heading]")]
          .map((h) => [Number(h.getAttribute("aria-level") || h.tagName[1]), h.textContent.trim().slice(0, 60)])"""
    )
    faults = [] if [level for level, _ in levels].count(1) == 1 and levels[0][0] == 1 else [f"h1: {levels[:3]}"]
    for (before, _), (level, words) in pairwise(levels):
        if level > before + 1:
            faults.append(f"heading h{level} after h{before}: {words}")
    return faults


def pictures(page):
    """Every picture has words that are more than its file's name, and is there."""
    return page.evaluate(
        """() => [...document.images].flatMap((img) => {
          const alt = img.getAttribute("alt"), name = img.currentSrc.split("/").pop();
          const faults = [], isName = /_images\\/|\\.(svg|png|jpe?g|gif)$/i.test(alt);
          if (alt === null || (!alt.trim() && !img.closest("a, button"))) faults.push(`no alt: ${name.slice(0, 80)}`);
          else if (isName) faults.push(`alt is a name: ${alt}`);
          if (img.complete && !img.naturalWidth) faults.push(`broken: ${name.slice(0, 80)}`);
          return faults;
        })"""
    )


def scripts(page):
    """Every script of the page is one that this page uses."""
    faults = []
    for source in page.evaluate("() => [...document.scripts].map((s) => s.src).filter(Boolean)"):
        name = source.rpartition("/")[2].partition("?")[0]
        if name not in SCRIPTS:
            faults.append(f"a script nobody decided on: {name}")
        elif SCRIPTS[name] and not page.query_selector(SCRIPTS[name]):
            faults.append(f"a script that the page does not use: {name}")
    return faults


def focus(page):
    """Everything that takes the focus looks different when it has it."""
    page.add_style_tag(content="*, ::before, ::after { transition: none !important; animation: none !important }")
    page.keyboard.press("Tab")  # from now on focus comes from the keyboard, for :focus-visible
    return page.evaluate(
        """() => {
          const looks = (e) => {
            const of = (style) => [
              style.outlineStyle === "none" ? 0 : style.outlineWidth + style.outlineColor, style.boxShadow,
              style.borderColor, style.backgroundColor, style.textDecoration, style.color, style.opacity,
            ].join();
            return [e, e.parentElement].map((x) => of(getComputedStyle(x))).join() + of(getComputedStyle(e, "::after"));
          };
          const faults = [];
          const all = 'a[href], button, input, select, textarea, summary, [tabindex="0"]';
          for (const e of document.querySelectorAll(all)) {
            if (!e.checkVisibility({visibilityProperty: true}) || e.disabled || e.tabIndex < 0) continue;
            document.activeElement.blur();
            const before = looks(e);
            e.focus({preventScroll: true});
            if (document.activeElement !== e) faults.push(`takes no focus: ${e.outerHTML.slice(0, 120)}`);
            else if (looks(e) === before) faults.push(`focus is not seen: ${e.outerHTML.slice(0, 120)}`);
          }
          document.activeElement.blur();
          return faults;
        }"""
    )


CUT_FORMULAS = """() => [...document.querySelectorAll("article mjx-container:not([display])")].filter((e) => {
  const words = e.closest("p, li, dd, h1, h2, h3");
  return e.checkVisibility() && words && !e.closest("table")  // a table scrolls
    && e.getBoundingClientRect().right > words.getBoundingClientRect().right + 1;
}).map((e) => `a formula is cut: ${e.textContent.slice(0, 80)}`)"""


def width(page, *widths):
    """The page does not scroll sideways on narrow screens, and cuts no formula; what scrolls in it can be reached."""
    size, faults = page.viewport_size, []
    for wide in widths:
        page.set_viewport_size({"width": wide, "height": 800})
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        if wide == widths[0]:  # the first has room to judge: formulas are as large as the machine's font
            faults += page.evaluate(CUT_FORMULAS)
        wider = page.evaluate(
            """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("main *")]
              .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
              .slice(0, 3)
              .map((e) => e.outerHTML.slice(0, 100))
              .concat(`scrolls to ${document.documentElement.scrollWidth}`)"""
        )
        faults += [f"{wide} px: {fault}" for fault in wider]
        faults += [f"{wide} px: {fault}" for fault in axe(page, "scrollable-region-focusable")]
    page.set_viewport_size(size)
    return faults


def dark(page):
    """The page is dark; line drawings are turned, photographs of digits are not."""
    return page.evaluate(
        """() => {
          const faults = [];
          const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number);
          if (document.documentElement.dataset.theme !== "dark" || r + g + b > 150) faults.push("the page is not dark");
          for (const img of document.querySelectorAll("article img:not(.only-light, .only-dark)")) {
            if (!img.checkVisibility()) continue;
            const turned = getComputedStyle(img).filter.includes("invert");
            if (turned !== img.classList.contains("photo")) continue;
            faults.push(`${turned ? "turned" : "not turned"}: ${img.alt.slice(0, 80)}`);
          }
          return faults;
        }"""
    )


PREPARE = """() => {
  window.changes = 0;
  window.print = () => { window.changes += 1; };
  const parts = ".explorer, .player, figure, details, .dropdown, .cell, div.highlight, .admonition";
  const component = (e) => e.closest(parts) || e;
  // What a reader sees: of a slider's explorer the pictures, of all else its surroundings and the whole page's state.
  window.seen = (e) => {
    const near = component(e);
    const drawn = [...near.querySelectorAll("svg, img, canvas")]
      .map((p) => p.tagName === "CANVAS" ? p.toDataURL() : p.outerHTML + (p.src || "")).join();
    if (e.matches("input[type=range], select") && drawn) return drawn;
    const values = [...near.querySelectorAll("input, output")].map((i) => i.value + i.checked).join();
    const root = document.documentElement;
    const bars = [...document.querySelectorAll(".bd-sidebar-primary, .bd-sidebar-secondary")];
    const state = [
      JSON.stringify({...root.dataset}), root.className, document.body.className, Boolean(document.fullscreenElement),
      [...document.querySelectorAll("dialog")].map((d) => d.open), window.changes, location.href,
      bars.map((s) => s.className + getComputedStyle(s).marginLeft),
    ].join();
    return near.outerHTML + drawn + values + state;
  };
}"""
CONTROLS = (
    "input:not([type=hidden]), select, textarea, button, summary, [role=tab], [role=button], [role=slider], "
    ".sd-tab-label, [onclick], [contenteditable=true]"
)
KEYS = {"range": "ArrowRight", "slider": "ArrowRight", "select": "ArrowDown", "checkbox": "Space", "radio": "Space"}
KEYS |= dict.fromkeys(("text", "search", "number"), "1")


def controls(page):
    """Every control in the article and above it answers to the keyboard: something that a reader sees is different."""
    page.evaluate(PREPARE)
    colours = page.evaluate("() => ({...document.documentElement.dataset})")
    faults = []
    # What opens first, so that what is inside can be reached; what is disabled last, when others may have enabled it.
    for selector in ("summary, .toggle-button", f":is({CONTROLS}):not(:disabled)", CONTROLS):
        for handle in page.query_selector_all(f":is(article, .bd-header-article) :is({selector})"):
            if handle.get_attribute("data-operated") is not None or not handle.evaluate("e => e.isConnected"):
                continue
            handle.evaluate("e => e.setAttribute('data-operated', '')")
            faults += _operate(page, handle)
            # What was open and is now closed is opened again, for what is inside.
            handle.evaluate("e => { if (e.matches('summary')) e.parentElement.open = true; }")
    # The switch of the colours was operated too; what follows looks at the page in those it came in.
    page.evaluate("(colours) => Object.assign(document.documentElement.dataset, colours)", colours)
    return faults


def _operate(page, control):
    name = control.evaluate("e => e.outerHTML.replace(/\\s+/g, ' ').slice(0, 140)")
    opener = "e => e.closest('.dropdown-menu')?.parentElement.querySelector('[data-bs-toggle]')"
    menu = control.evaluate_handle(opener).as_element()
    if menu:
        menu.focus()
        page.keyboard.press("Enter")
    if not control.evaluate("e => e.checkVisibility({visibilityProperty: true})"):
        # The toggles of the side bars are there only on screens that are too narrow for the bars, or wide enough.
        toggle = control.evaluate(
            "e => e.matches('.bd-header-article .sidebar-toggle, .bd-header-article .search-button')"
        )
        return [] if toggle else [f"cannot be seen: {name}"]
    kind = control.evaluate("e => ({INPUT: e.type, SELECT: 'select'})[e.tagName] || e.getAttribute('role') || ''")
    key = KEYS.get(kind, "Enter")
    if kind == "range" and control.evaluate("e => Number(e.value) >= Number(e.max)"):
        key = "ArrowLeft"
    before = control.evaluate("e => window.seen(e)")
    control.focus()
    if not control.evaluate("e => e === document.activeElement"):
        return [f"cannot be reached by keyboard: {name}"]
    page.keyboard.press(key)
    changed = control.evaluate(
        """(e, before) => new Promise((done) => {
          const start = performance.now();
          const look = () => window.seen(e) !== before ? done(true) : performance.now() - start > 2000 ? done(false)
            : requestAnimationFrame(look);
          look();
        })""",
        before,
    )
    page.keyboard.press("Escape")
    if page.evaluate("() => Boolean(document.fullscreenElement)"):
        page.evaluate("() => document.exitFullscreen()")
    return [] if changed else [f"dead: {name}"]
