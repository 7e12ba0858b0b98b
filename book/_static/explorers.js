/*
 * explorers.js: pictures that answer in the rendered page, with no kernel, no library and no other file.
 *
 * On a page (over http or straight from a folder):
 *
 *   <div class="explorer" data-explorer="gap">What a reader without JavaScript sees.</div>
 *   <script src="../_static/explorers.js" defer></script>
 *
 *   name        data attributes             what it shows
 *   gap         data-x="1.2" data-s="0.6"   z ~ N(0, 1), x|z ~ N(z, s^2): choose q; ELBO + KL(q || posterior) = log p(x)
 *   kl                                      two Gaussians; forward KL(p || q), reverse KL(q || p), their integrands
 *   estimators  data-seed="1"               d/dmu E[z^2] under N(mu, 1) at mu = 1: score-function and pathwise estimates
 *
 * The looks are in explorers.css. utils/vaelab/widgets.py has the same explorers for a running notebook, with the same numbers
 * and the same dots (both use mulberry32); tests/test_widgets.py compares them, by `window.explorers.math` or, in Node,
 * `require("./explorers.js").math`.
 *
 * Four parts: the maths (state -> numbers, no page needed), drawing, the explorers, and `mount`, which turns a div into one.
 * An explorer is a function of the div's data attributes that returns
 *   title, note   words above the picture (note is HTML)          state     an object of numbers
 *   sliders       {key, label, min, max, step, show(value)}       legend    [class, HTML] pairs
 *   buttons       {text, target(state) -> the numbers to change, glide: whether to move there smoothly}
 *   picture       (state, width in px, id) -> {height, body}, the inside of an SVG
 *   readout       state -> HTML, the numbers under the picture
 *   alt, say      state -> the picture in words, and the short form that is announced once the reader pauses
 */
(function () {
  "use strict";

  // ---- 1. The maths -------------------------------------------------------------------------------------------------

  const COUNT = 200; // estimates in a strip
  const SAMPLES = 100; // the most samples that an estimate can use

  /** Log-density of N(mu, exp(logvar)) at z. */
  const logNormal = (z, mu, logvar) => -0.5 * (Math.log(2 * Math.PI) + logvar + (z - mu) ** 2 / Math.exp(logvar));
  const normal = (z, mu, logvar) => Math.exp(logNormal(z, mu, logvar));

  /** KL(N(a, exp(la)) || N(b, exp(lb))) in nats. */
  const klNormal = (a, la, b, lb) => 0.5 * (lb - la + (Math.exp(la) + (a - b) ** 2) / Math.exp(lb) - 1);

  /** `size` standard normals: the mulberry32 generator, then Box and Muller's transform. */
  function normals(seed, size) {
    let state = seed | 0;
    const uniform = () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    const values = [];
    while (values.length < size) {
      const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
      const angle = 2 * Math.PI * uniform();
      values.push(radius * Math.cos(angle), radius * Math.sin(angle));
    }
    return values.slice(0, size);
  }

  const total = (values) => values.reduce((sum, v) => sum + v, 0);
  const spread = (values, mean = total(values) / values.length) =>
    Math.sqrt(total(values.map((v) => (v - mean) ** 2)) / (values.length - 1));

  const math = {
    normals,

    /** z ~ N(0, 1), x|z ~ N(z, s^2), q = N(mu, exp(logvar)). The gap is computed on its own, not as a difference. */
    gap({ mu, logvar, x, s }) {
      const noise = s * s;
      const [posteriorMu, posteriorLogvar] = [x / (1 + noise), Math.log(noise / (1 + noise))];
      const reconstruction = logNormal(x, mu, Math.log(noise)) - Math.exp(logvar) / (2 * noise);
      const kl = klNormal(mu, logvar, 0, 0);
      return {
        posteriorMu, posteriorLogvar, reconstruction, kl,
        elbo: reconstruction - kl,
        gap: klNormal(mu, logvar, posteriorMu, posteriorLogvar),
        evidence: logNormal(x, 0, Math.log(1 + noise)),
      };
    },

    /** forward KL(p || q) and reverse KL(q || p) of q = N(muQ, exp(logvarQ)) and p = N(muP, exp(logvarP)). */
    kl({ muQ, logvarQ, muP, logvarP }) {
      return { forward: klNormal(muP, logvarP, muQ, logvarQ), reverse: klNormal(muQ, logvarQ, muP, logvarP) };
    },

    /** Estimates of d/dmu E[z^2] = 2 mu under N(mu, sigma^2), each the mean over n samples, and their spreads. */
    estimators({ n, seed, mu = 1, sigma = 1 }) {
      const noise = normals(seed, COUNT * SAMPLES);
      const rows = Array.from({ length: COUNT }, (_, i) => noise.slice(i * SAMPLES, i * SAMPLES + n));
      const score = rows.map((row) => total(row.map((eps) => ((mu + sigma * eps) ** 2 * eps) / sigma)) / n); // f(z) d/dmu log q(z)
      const pathwise = rows.map((row) => total(row.map((eps) => 2 * (mu + sigma * eps))) / n); // d/dmu f(mu + sigma eps)
      const [scoreSd, pathwiseSd] = [spread(score), spread(pathwise)];
      return {
        score, pathwise, scoreSd, pathwiseSd,
        ratio: (scoreSd / pathwiseSd) ** 2,
        exact: 2 * mu,
        exactScoreSd: Math.sqrt((mu ** 4 / sigma ** 2 + 14 * mu ** 2 + 15 * sigma ** 2) / n),
        exactPathwiseSd: (2 * sigma) / Math.sqrt(n),
      };
    },
  };

  // ---- 2. Drawing ---------------------------------------------------------------------------------------------------

  /** A number with a fixed count of digits, a true minus sign, and never "-0.00". */
  const fmt = (value, digits = 2) => {
    const text = value.toFixed(digits);
    return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "\u2212");
  };
  const deviationOf = (logvar) => Math.exp(logvar / 2);
  const range = (from, to, step) =>
    Array.from({ length: Math.floor((to - from) / step + 1e-9) + 1 }, (_, i) => from + i * step);
  const inWords = (mu, logvar) => `mean ${fmt(mu)} and standard deviation ${fmt(deviationOf(logvar))}`;
  const path = (d, name) => `<path class="${name}" d="${d}"/>`;
  const text = (x, y, words, anchor = "start", name = "") =>
    `<text class="${name}" x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}">${words}</text>`;

  /** Maps a rectangle of numbers (x from a to b, y from c to d) to `width` px between `top` and `bottom`. */
  function panel(width, top, bottom, [a, b], [c, d]) {
    const margin = 10;
    const X = (v) => margin + ((v - a) / (b - a)) * (width - 2 * margin);
    const Y = (v) => bottom + ((v - c) / (d - c)) * (top - bottom);
    const points = (f) => range(a, b, (b - a) / 240).map((z) => `${X(z).toFixed(1)} ${Y(f(z)).toFixed(1)}`).join("L");
    return {
      X, Y,
      line: (f, name) => path("M" + points(f), name),
      area: (f, name) => path(`M${X(a)} ${Y(0)}L${points(f)}L${X(b)} ${Y(0)}Z`, name),
      base: () => path(`M${X(a)} ${Y(0)}H${X(b)}`, "ex-axis"),
      ticks: (values, name, anchor = "end") =>
        path(`M${X(a)} ${bottom}H${X(b)}` + values.map((v) => `M${X(v)} ${bottom}v5`).join(""), "ex-axis") +
        values.map((v) => text(X(v), bottom + 18, fmt(v, 0), "middle", "ex-muted")).join("") +
        text(X(anchor === "end" ? b : a), bottom + 34, name, anchor, "ex-muted"),
    };
  }

  const hatch = (id) =>
    `<defs><pattern id="${id}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">` +
    `<path class="ex-hatch" d="M0 3H6"/></pattern></defs>`;

  const num = (words, width) => `<span class="ex-num" style="min-width:${width}ch">${words}</span>`;
  const plus = (symbol) => `<span class="ex-sign">${symbol}</span>`;
  const cell = (name, value, note) => `<div class="ex-cell"><span>${name}</span> ${num(value, 6)} <small>${note}</small></div>`;
  const number = (words, usual) => (Number.isFinite(parseFloat(words)) ? parseFloat(words) : usual);

  const meanSlider = (key, label, end) => ({ key, label, min: -end, max: end, step: 0.05, show: (v) => fmt(v) });
  const logvarSlider = (key, label, min, max) => ({
    key, label, min, max, step: 0.05, show: (v) => `${fmt(v)} (σ = ${fmt(deviationOf(v))})`,
  });

  // ---- 3. The explorers ---------------------------------------------------------------------------------------------

  const explorers = {
    gap(data) {
      const x = number(data.x, 1.2);
      const s = Math.abs(number(data.s, 0.6)) || 0.6;
      const best = math.gap({ mu: 0, logvar: 0, x, s });
      const numbers = (state) => math.gap({ ...state, x, s });
      return {
        title: "Choose q, and watch the gap",
        note: `The model: z ∼ N(0, 1), then x given z ∼ N(z, ${s}²). We observed x = ${String(x).replace("-", "\u2212")}.`,
        state: { mu: -0.5, logvar: 0 },
        sliders: [meanSlider("mu", "mean of q", 3), logvarSlider("logvar", "log-variance of q", -4, 2)],
        buttons: [
          { text: "set q to the posterior", glide: true, target: () => ({ mu: best.posteriorMu, logvar: best.posteriorLogvar }) },
          { text: "set q to the prior", glide: true, target: () => ({ mu: 0, logvar: 0 }) },
        ],
        legend: [["ex-prior", "prior p(z)"], ["ex-posterior", "exact posterior p(z | x)"], ["ex-q", "q(z)"]],
        picture(state, width, id) {
          const n = numbers(state);
          const posterior = (z) => normal(z, n.posteriorMu, n.posteriorLogvar);
          const q = (z) => normal(z, state.mu, state.logvar);
          const top = panel(width, 4, 160, [-4, 4], [0, 1.08 * Math.max(q(state.mu), posterior(n.posteriorMu))]);
          // The bar shows 8 nats below log p(x); where the ELBO is lower still, the bar says so.
          const nats = panel(width, 238, 262, [n.evidence - 8, n.evidence + 0.8], [0, 1]);
          const [left, right] = [nats.X(n.evidence - 8), nats.X(n.evidence)];
          const split = Math.max(left, nats.X(n.elbo));
          const bar = (from, to, look) => `<rect ${look} x="${from}" y="238" width="${to - from}" height="24"/>`;
          return {
            height: 318,
            body:
              hatch(id) + top.area(q, "ex-q-fill") + top.line((z) => normal(z, 0, 0), "ex-prior") + top.line(q, "ex-q") +
              top.line(posterior, "ex-posterior") + top.ticks(range(-4, 4, 1), "z") +
              text(left, 230, `${n.elbo < n.evidence - 8 ? "◂ " : ""}ELBO ${fmt(n.elbo)}`) +
              text(right - 4, 230, `gap ${fmt(n.gap)}`, "end") +
              bar(left, split, 'class="ex-elbo"') + bar(split, right, 'class="ex-gap"') + bar(split, right, `fill="url(#${id})"`) +
              nats.ticks(range(Math.ceil(n.evidence - 8), n.evidence + 0.8, 1), "nats", "start") +
              path(`M${right} 218V288`, "ex-mark") + text(right - 4, 300, `log p(x) = ${fmt(n.evidence)}`, "end"),
          };
        },
        readout(state) {
          const n = numbers(state);
          const elbo = cell("ELBO", fmt(n.elbo, 3), "");
          return `<div class="ex-equation">${cell("reconstruction", fmt(n.reconstruction, 3), "E<sub>q</sub>[log p(x|z)]")}` +
            `${plus("−")}${cell("KL to prior", fmt(n.kl, 3), "KL(q‖p(z))")}${plus("=")}${elbo}</div>` +
            `<div class="ex-equation">${elbo}${plus("+")}${cell("gap", fmt(n.gap, 3), "KL(q‖p(z|x))")}` +
            `${plus("=")}${cell("log p(x)", fmt(n.evidence, 3), "for every q")}</div>`;
        },
        alt(state) {
          const n = numbers(state);
          return `Densities over z from −4 to 4: the standard normal prior; the exact posterior, ` +
            `${inWords(n.posteriorMu, n.posteriorLogvar)}; and q, ${inWords(state.mu, state.logvar)}. Below them a bar in nats: ` +
            `ELBO ${fmt(n.elbo)} plus gap ${fmt(n.gap)} equals log p(x), ${fmt(n.evidence)}.`;
        },
        say: (state) => `ELBO ${fmt(numbers(state).elbo)}, gap ${fmt(numbers(state).gap)} nats`,
      };
    },

    kl() {
      /** KL(a || b) in symbols, then with the numbers; on a narrow page each line breaks once, in its middle. */
      const closedForm = (name, a, b, ma, la, mb, lb, value) => {
        const line = (first, second) => `<p><span>= ½ [ ${first}</span> <span>+ ${second} − 1 ]</span></p>`;
        const log = (v) => num(v < 0 ? `(${fmt(v)})` : fmt(v), 7);
        const [sa, sb] = [a, b].map((i) => `σ<sub>${i}</sub>²`);
        const [va, vb, shift, kl] = [Math.exp(la), Math.exp(lb), (ma - mb) ** 2, value].map((v) => num(fmt(v, 3), 5));
        return `<div class="ex-closed"><p><strong>${name} KL(${a} ‖ ${b}) = ${kl} nats</strong></p>` +
          line(`log ${sb} − log ${sa}`, `(${sa} + (μ<sub>${a}</sub> − μ<sub>${b}</sub>)²) / ${sb}`) +
          line(`${log(lb)} − ${log(la)}`, `(${va} + ${shift}) / ${vb}`) + `</div>`;
      };
      return {
        title: "Two Gaussians, two divergences",
        note: "Each divergence is an area, both drawn to one scale: what lies above the line counts as positive, what lies " +
          "below it (hatched) as negative.",
        state: { muQ: 0.5, logvarQ: -1, muP: -0.5, logvarP: 0.5 },
        sliders: [
          meanSlider("muQ", "mean of q", 2), meanSlider("muP", "mean of p", 2),
          logvarSlider("logvarQ", "log-variance of q", -2, 1.5), logvarSlider("logvarP", "log-variance of p", -2, 1.5),
        ],
        buttons: [
          { text: "swap p and q", glide: true, target: (v) => ({ muQ: v.muP, logvarQ: v.logvarP, muP: v.muQ, logvarP: v.logvarQ }) },
          { text: "set q to p", glide: true, target: (v) => ({ muQ: v.muP, logvarQ: v.logvarP }) },
        ],
        legend: [["ex-q", "q(z)"], ["ex-p", "p(z)"]],
        picture(state, width, id) {
          const z = [-9, 9]; // wide enough for the tails at every setting of the sliders
          const logQ = (v) => logNormal(v, state.muQ, state.logvarQ);
          const logP = (v) => logNormal(v, state.muP, state.logvarP);
          const q = (v) => Math.exp(logQ(v));
          const p = (v) => Math.exp(logP(v));
          const top = panel(width, 4, 130, z, [0, 1.08 * Math.max(q(state.muQ), p(state.muP))]);
          const n = math.kl(state);
          const forward = (v) => p(v) * (logP(v) - logQ(v));
          const reverse = (v) => q(v) * (logQ(v) - logP(v));
          const values = range(...z, 0.1).flatMap((v) => [forward(v), reverse(v)]);
          const limits = [Math.min(-0.2, ...values), 1.12 * Math.max(0.5, ...values)]; // one scale: areas compare
          const integrand = (f, first, name, words) => {
            const { area, line, base } = panel(width, first, first + 84, z, limits);
            return `<g class="${name}-fill">${area(f, "ex-area")}</g>` +
              `<g fill="url(#${id})">${area((v) => Math.min(0, f(v)), "ex-area")}</g>` +
              line(f, `${name} ex-thin`) + base() + text(10, first - 6, words);
          };
          return {
            height: 428,
            body:
              hatch(id) + top.line(q, "ex-q") + top.line(p, "ex-p") + top.base() +
              integrand(forward, 168, "ex-p", `forward: p log(p / q), area ${fmt(n.forward)}`) +
              integrand(reverse, 294, "ex-q", `reverse: q log(q / p), area ${fmt(n.reverse)}`) +
              panel(width, 384, 388, z, [0, 1]).ticks(range(-8, 8, 2), "z"),
          };
        },
        readout(v) {
          const [n, q, p] = [math.kl(v), [v.muQ, v.logvarQ], [v.muP, v.logvarP]];
          return closedForm("Forward", "p", "q", ...p, ...q, n.forward) + closedForm("Reverse", "q", "p", ...q, ...p, n.reverse);
        },
        alt(v) {
          const n = math.kl(v);
          return `Two Gaussian densities over z from −9 to 9: q, ${inWords(v.muQ, v.logvarQ)}, and p, ${inWords(v.muP, v.logvarP)}. ` +
            `Below them the shaded integrands of the forward divergence, KL(p‖q) = ${fmt(n.forward)} nats, and of the reverse ` +
            `divergence, KL(q‖p) = ${fmt(n.reverse)} nats.`;
        },
        say: (state) => `forward ${fmt(math.kl(state).forward)}, reverse ${fmt(math.kl(state).reverse)} nats`,
      };
    },

    estimators(data) {
      const seed = Math.trunc(number(data.seed, 1));
      return {
        title: "One gradient, two estimators",
        note: "Each dot estimates the derivative of E[z²] with respect to μ, where z ∼ N(μ, 1) and μ\u00a0=\u00a01. The exact " +
          "value is 2. The line under the dots reaches one standard deviation (sd) to each side of it.",
        state: { n: 10, seed },
        sliders: [{ key: "n", label: "samples per estimate", min: 1, max: SAMPLES, step: 1, show: (v) => fmt(v, 0) }],
        buttons: [{ text: "redraw", target: (state) => ({ seed: state.seed + 1 }) }],
        legend: [],
        picture(state, width) {
          const n = math.estimators(state);
          const [low, high] = [n.exact - 8, n.exact + 8];
          const axis = panel(width, 236, 240, [low, high], [0, 1]);
          const strip = (values, sd, top, name, words) => {
            const beyond = values.filter((v) => v < low || v > high).length;
            const [from, to] = [-sd, sd].map((v) => axis.X(Math.min(high, Math.max(low, n.exact + v))).toFixed(1));
            // Heights follow the golden ratio, which spreads the dots evenly; those off the scale are triangles at its end.
            const dots = values.map((v, i) => {
              const y = (top + 8 + 56 * ((i * 0.6180339887) % 1)).toFixed(1);
              if (v < low) return `<path d="M${axis.X(low) - 7} ${y}l8 -4v8Z"/>`;
              if (v > high) return `<path d="M${axis.X(high) + 7} ${y}l-8 -4v8Z"/>`;
              return `<circle cx="${axis.X(v).toFixed(1)}" cy="${y}" r="2.6"/>`;
            });
            return text(10, top, words) + text(width - 10, top, beyond ? `${beyond} off the scale` : "", "end", "ex-muted") +
              `<g class="${name}-dots">${dots.join("")}</g>` +
              path(`M${from} ${top + 74}H${to}m0 -4v8M${from} ${top + 70}v8`, `${name}-sd`);
          };
          return {
            height: 278,
            body:
              path(`M${axis.X(n.exact)} 20V240`, "ex-mark") + text(axis.X(n.exact), 14, `exact ${fmt(n.exact, 0)}`, "middle") +
              strip(n.score, n.scoreSd, 32, "ex-score", "score function") +
              strip(n.pathwise, n.pathwiseSd, 144, "ex-pathwise", "pathwise") +
              axis.ticks(range(low, high, 2), "estimate of the derivative"),
          };
        },
        readout(state) {
          const n = math.estimators(state);
          return `<div class="ex-equation ex-three">` +
            cell("score function", fmt(n.scoreSd), `sd, exact ${fmt(n.exactScoreSd)}`) +
            cell("pathwise", fmt(n.pathwiseSd), `sd, exact ${fmt(n.exactPathwiseSd)}`) +
            cell("variance ratio", fmt(n.ratio), `exact ${fmt((n.exactScoreSd / n.exactPathwiseSd) ** 2)}`) + `</div>`;
        },
        alt(state) {
          const n = math.estimators(state);
          return `Two strips of ${COUNT} dots around the exact value 2. Each dot is the mean over ${state.n} ` +
            `${state.n === 1 ? "sample" : "samples"}. The standard deviation is ${fmt(n.scoreSd)} for the score-function estimates ` +
            `and ${fmt(n.pathwiseSd)} for the pathwise estimates; the ratio of the variances is ${fmt(n.ratio)}.`;
        },
        say(state) {
          const n = math.estimators(state);
          return `standard deviations ${fmt(n.scoreSd)} and ${fmt(n.pathwiseSd)}, variance ratio ${fmt(n.ratio)}`;
        },
      };
    },
  };

  // ---- 4. From a div to an explorer ---------------------------------------------------------------------------------

  let mounted = 0;

  function mount(root) {
    const make = Object.hasOwn(explorers, root.dataset.explorer) && explorers[root.dataset.explorer];
    if (!make) return console.error(`explorers.js: there is no explorer named "${root.dataset.explorer}"`);
    if (root.dataset.ready) return;
    const id = `explorer-${++mounted}`;
    const { title, note, state, sliders, buttons, legend, picture, readout, alt, say } = make(root.dataset);

    root.innerHTML =
      `<p class="ex-title" id="${id}-title">${title}</p><p class="ex-note">${note}</p>` +
      (legend.length ? `<ul class="ex-legend">${legend.map(([name, words]) =>
        `<li><svg width="34" height="10" aria-hidden="true">${path("M1 5H33", name)}</svg> ${words}</li>`).join("")}</ul>` : "") +
      `<svg class="ex-picture" role="img"></svg><div class="ex-controls">` +
      sliders.map(({ key, label, min, max, step }) =>
        `<div class="ex-slider"><label for="${id}-${key}">${label}</label> <output for="${id}-${key}" aria-live="off"></output>` +
        `<input type="range" id="${id}-${key}" min="${min}" max="${max}" step="${step}" autocomplete="off"></div>`).join("") +
      `</div><p class="ex-buttons">${buttons.map(({ text: words }) => `<button type="button">${words}</button>`).join(" ")}</p>` +
      `<div class="ex-readout"></div><p class="ex-hidden" role="status"></p>`;
    root.setAttribute("role", "group");
    root.setAttribute("aria-labelledby", `${id}-title`);
    root.dataset.ready = "true";

    const find = (selector) => root.querySelector(selector);
    const svg = find(".ex-picture");
    const inputs = [...root.querySelectorAll("input")];
    const goal = { ...state }; // where the picture is going
    let [drawnWidth, frame, pause] = [0, 0, 0]; // frame: the one asked for; pause: the timer of the announcement

    function draw() {
      drawnWidth = Math.round(svg.getBoundingClientRect().width) || 600; // 0 in a closed dropdown
      const { height, body } = picture(state, drawnWidth, `${id}-hatch`);
      svg.setAttribute("viewBox", `0 0 ${drawnWidth} ${height}`);
      svg.setAttribute("aria-label", alt(state));
      svg.innerHTML = body;
      find(".ex-readout").innerHTML = readout(state);
      sliders.forEach(({ key, show }, i) => {
        inputs[i].value = state[key]; // the slider stands at the nearest of its steps
        inputs[i].setAttribute("aria-valuetext", show(state[key]));
        inputs[i].previousElementSibling.value = show(state[key]);
      });
    }

    /** Goes to the numbers in `target`, at once or gliding for half a second; announces the result when the reader pauses. */
    function go(target, glide) {
      Object.assign(goal, target);
      const [start, began] = [{ ...state }, performance.now()];
      const length = glide && !matchMedia("(prefers-reduced-motion: reduce)").matches ? 500 : 0;
      const step = (now) => {
        const share = length ? Math.min(1, Math.max(0, now - began) / length) : 1;
        const eased = share * share * (3 - 2 * share);
        for (const key of Object.keys(goal)) state[key] = share < 1 ? start[key] + (goal[key] - start[key]) * eased : goal[key];
        draw();
        if (share < 1) frame = requestAnimationFrame(step);
      };
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(step);
      clearTimeout(pause);
      pause = setTimeout(() => { find("[role=status]").textContent = say(state); }, 1200);
    }

    inputs.forEach((input, i) => input.addEventListener("input", () => go({ [sliders[i].key]: Number(input.value) })));
    root.querySelectorAll("button").forEach((button, i) =>
      button.addEventListener("click", () => go(buttons[i].target(goal), buttons[i].glide)));
    new ResizeObserver(() => { if (Math.round(svg.getBoundingClientRect().width) !== drawnWidth) draw(); }).observe(root);
    draw();
  }

  if (typeof module === "object" && module.exports) module.exports = { math };
  // A heading named "Explorers" makes an element that answers to window.explorers: look for the maths, not for the name.
  if (typeof window === "object" && !window.explorers?.math) {
    window.explorers = { math, mount };
    const all = () => document.querySelectorAll(".explorer[data-explorer]").forEach(mount);
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", all);
    else all();
  }
})();
