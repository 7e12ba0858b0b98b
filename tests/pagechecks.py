"""Checks of one page in the browser. Each returns what it found wrong, as texts; an empty list is good news."""

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
    "embed.js": ".jupyter-widgets",
    "searchtools.js": "#search-results",
    "language_data.js": "#search-results",
    "searchindex.js": "#search-results",
}

# A formula's glyphs are thousands of elements drawn by style sheets, of which axe sees no text. For it each formula is one word.
FORMULAS_AS_WORDS = """() => document.querySelectorAll("mjx-math").forEach((formula) => {
  formula.glyphs = [...formula.childNodes];
  formula.replaceChildren("formula");
})"""
FORMULAS_AS_THEY_WERE = """() => document.querySelectorAll("mjx-math").forEach((f) => f.replaceChildren(...f.glyphs))"""


def axe(page, *rules):
    """What axe-core finds on the whole page, by all of its rules or by those named."""
    only = {"runOnly": list(rules)} if rules else {}
    page.evaluate(FORMULAS_AS_WORDS)
    if not page.evaluate("() => Boolean(window.axe)"):
        page.evaluate(AXE_SCRIPT)
    options = {"resultTypes": ["violations"], "preload": False, **only}
    found = page.evaluate("(options) => axe.run(document, options)", options)["violations"]
    page.evaluate(FORMULAS_AS_THEY_WERE)
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
    for (before, _), (level, words) in zip(levels, levels[1:], strict=False):
        if level > before + 1:
            faults.append(f"heading h{level} after h{before}: {words}")
    return faults


def pictures(page):
    """Every picture has words that are more than its file's name, and is there."""
    return page.evaluate(
        """() => [...document.images].flatMap((img) => {
          const alt = img.getAttribute("alt"), name = img.currentSrc.split("/").pop();
          const faults = [];
          if (alt === null || (!alt.trim() && !img.closest("a, button"))) faults.push(`no alt: ${name.slice(0, 80)}`);
          else if (alt.includes("_images/") || /\\.(svg|png|jpe?g|gif)$/i.test(alt) || alt === name) faults.push(`alt is a name: ${alt}`);
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
            const of = (style) => [style.outlineStyle === "none" ? 0 : style.outlineWidth + style.outlineColor, style.boxShadow,
              style.borderColor, style.backgroundColor, style.textDecoration, style.color, style.opacity, style.position].join();
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


def width(page, *widths):
    """The page does not scroll sideways on narrow screens, and what does in it can be reached by keyboard."""
    size, faults = page.viewport_size, []
    for wide in widths:
        page.set_viewport_size({"width": wide, "height": 800})
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        wider = page.evaluate(
            """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("main *")]
              .filter((e) => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map((e) => e.outerHTML.slice(0, 100))
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
            if (turned === img.classList.contains("photo")) faults.push(`${turned ? "turned" : "not turned"}: ${img.alt.slice(0, 80)}`);
          }
          return faults;
        }"""
    )


PREPARE = """() => {
  window.changes = 0;
  window.print = () => { window.changes += 1; };
  const component = (e) => e.closest(".explorer, .player, figure, details, .dropdown, .cell, div.highlight, .admonition") || e;
  // What a reader would see change: of a slider's explorer the pictures, of everything else its surroundings and the whole page's state.
  window.seen = (e) => {
    const near = component(e);
    const drawn = [...near.querySelectorAll("svg, img, canvas")]
      .map((p) => p.tagName === "CANVAS" ? p.toDataURL() : p.outerHTML + (p.src || "")).join();
    if (e.matches("input[type=range], select") && drawn) return drawn;
    const values = [...near.querySelectorAll("input, output")].map((i) => i.value + i.checked).join();
    const root = document.documentElement;
    const state = JSON.stringify({...root.dataset}) + root.className + document.body.className + Boolean(document.fullscreenElement) +
      [...document.querySelectorAll("dialog")].map((d) => d.open) + window.changes + location.href +
      [...document.querySelectorAll(".bd-sidebar-primary, .bd-sidebar-secondary")].map((s) => s.className + getComputedStyle(s).marginLeft);
    return near.outerHTML + drawn + values + state;
  };
}"""
CONTROLS = (
    "input:not([type=hidden]), select, textarea, button, summary, [role=tab], [role=button], [role=slider], .sd-tab-label, "
    "[onclick], [contenteditable=true]"
)


def controls(page):
    """Every control in the article and above it answers to the keyboard: something that a reader sees is different."""
    page.evaluate(PREPARE)
    seen, faults = 0, []
    # What opens first, so that what is inside can be reached.
    for selector in ("summary, .toggle-button", CONTROLS):
        for handle in page.query_selector_all(
            ", ".join(f"{area} :is({selector})" for area in ("article", ".bd-header-article"))
        ):
            if handle.get_attribute("data-operated") or not handle.evaluate("e => e.isConnected"):
                continue
            handle.evaluate("e => e.setAttribute('data-operated', '')")
            seen += 1
            faults += _operate(page, handle)
    return faults


def _operate(page, control):
    name = control.evaluate("e => e.outerHTML.replace(/\\\\s+/g, ' ').slice(0, 140)")
    menu = control.evaluate_handle(
        "e => e.closest('.dropdown-menu')?.parentElement.querySelector('[data-bs-toggle]')"
    ).as_element()
    if menu:
        menu.focus()
        page.keyboard.press("Enter")
    if not control.evaluate("e => e.checkVisibility({visibilityProperty: true})"):
        # Toggles of side bars are there only when the screen is too narrow for them, or wide enough.
        hidden = control.evaluate("e => Boolean(e.closest('.bd-header-article'))")
        return [] if hidden else [f"cannot be seen: {name}"]
    kind = control.evaluate(
        "e => e.tagName === 'INPUT' ? e.type : e.tagName === 'SELECT' ? 'select' : e.getAttribute('role') || ''"
    )
    key = {"range": "ArrowRight", "slider": "ArrowRight", "select": "ArrowDown", "checkbox": "Space", "radio": "Space"}
    if kind == "range" and control.evaluate("e => Number(e.value) >= Number(e.max)"):
        key["range"] = "ArrowLeft"
    before = control.evaluate("e => window.seen(e)")
    control.focus()
    if not control.evaluate("e => e === document.activeElement"):
        return [f"cannot be reached by keyboard: {name}"]
    page.keyboard.press(key.get(kind, "x" if kind in ("text", "search", "number") else "Enter"))
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
