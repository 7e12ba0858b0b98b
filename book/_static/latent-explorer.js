/*
 * latent-explorer.js: a variational autoencoder with a plane of codes, running in the reader's browser. No library.
 *
 * On a page (over http or straight from a folder):
 *
 *   <link rel="stylesheet" href="../_static/latent-explorer.css">
 *   <div class="explorer latent-explorer" data-model="../_static/exported/latent-explorer-model.js">
 *   <img class="photo" src="../_static/exported/latent-plane.webp" alt="..."> and words: what is seen in print and without JavaScript
 *   </div>
 *   <script src="../_static/latent-explorer.js" defer></script>
 *
 * The model, vaelab.export's script, is loaded when the reader presses "Start". data-encoder="open" unfolds the second
 * half, which encodes an image. tests/test_latent_explorer.py compares `window.latentExplorer.math` with PyTorch.
 *
 * Four parts: the maths (no page needed), images to choose, drawing, and `mount`, which turns a div into an explorer.
 */
(function () {
  "use strict";

  const SIDE = 28; // pixels of an image, each way

  // ---- 1. The maths -------------------------------------------------------------------------------------------------

  const bytes = (text) => {
    const raw = atob(text);
    const values = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) values[i] = raw.charCodeAt(i);
    return values;
  };

  /** float16 numbers, given as their low and their high bytes. */
  function halves(low, high) {
    const power = Array.from({ length: 32 }, (_, e) => 2 ** ((e || 1) - 25)); // of the last bit, for each exponent
    const values = new Float32Array(low.length);
    for (let i = 0; i < low.length; i++) {
      const exponent = (high[i] >> 2) & 31;
      const mantissa = ((high[i] & 3) << 8) | low[i] | (exponent && 1024);
      values[i] = (high[i] & 128 ? -mantissa : mantissa) * power[exponent];
    }
    return values;
  }

  /** What vaelab.export packed: {encoder, decoder, codes, pixels}; a network is a list of layers. A promise. */
  async function unpack(model) {
    const stream = new Blob([bytes(model.packed)]).stream().pipeThrough(new DecompressionStream("deflate"));
    const data = new Uint8Array(await new Response(stream).arrayBuffer());
    const size = (network) => network.slice(1).reduce((sum, outputs, i) => sum + (network[i] + 1) * outputs, 0);
    const count = size(model.encoder) + size(model.decoder) + 2 * model.digits.length;
    const values = halves(data.subarray(0, count), data.subarray(count, 2 * count));
    let at = 0;
    const take = (length) => values.subarray(at, (at += length));
    const layers = (network) => network.slice(1).map((outputs, i) =>
      ({ inputs: network[i], outputs, weight: take(network[i] * outputs), bias: take(outputs) }));
    return {
      encoder: layers(model.encoder),
      decoder: layers(model.decoder),
      codes: take(2 * model.digits.length),
      pixels: data.subarray(2 * count),
    };
  }

  /** The error function, to 1.5e-7: Abramowitz and Stegun, 7.1.26. */
  function erf(x) {
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return Math.sign(x) * (1 - series * Math.exp(-x * x));
  }
  const gelu = (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2));
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));

  /** Runs a network: GELU after each layer but the last. */
  function run(network, input) {
    let x = Float32Array.from(input);
    network.forEach(({ inputs, outputs, weight, bias }, depth) => {
      const y = new Float32Array(outputs);
      for (let o = 0, w = 0; o < outputs; o++) {
        let [a, b] = [bias[o], 0]; // two sums, so that the processor can add both at once
        let i = 0;
        for (; i + 1 < inputs; i += 2, w += 2) {
          a += weight[w] * x[i];
          b += weight[w + 1] * x[i + 1];
        }
        if (i < inputs) a += weight[w++] * x[i];
        y[o] = depth < network.length - 1 ? gelu(a + b) : a + b;
      }
      x = y;
    });
    return x;
  }

  const math = {
    unpack,
    run,
    gelu,

    /** q(z | x) of an image: {mu, logvar}. */
    encode(network, x) {
      const out = Array.from(run(network, x));
      return { mu: out.slice(0, out.length / 2), logvar: out.slice(out.length / 2) };
    },

    /** The pixels' logits at a code. */
    decode: run,

    /** mu + sigma * eps. */
    sample: ({ mu, logvar }, eps) => mu.map((m, j) => m + Math.exp(logvar[j] / 2) * eps[j]),

    /** -log p(x | z) in nats: the binary cross-entropy of the pixels, summed. */
    reconstruction(logits, x) {
      let sum = 0;
      for (let i = 0; i < x.length; i++) {
        const l = logits[i];
        sum += Math.max(l, 0) - l * x[i] + Math.log1p(Math.exp(-Math.abs(l)));
      }
      return sum;
    },

    /** The KL to the standard normal prior in nats, one for each latent dimension. */
    kl: ({ mu, logvar }) => mu.map((m, j) => 0.5 * (m * m + Math.exp(logvar[j]) - logvar[j] - 1)),

    /** Two standard normal numbers: Box and Muller's transform. */
    normals() {
      const [radius, angle] = [Math.sqrt(-2 * Math.log(1 - Math.random())), 2 * Math.PI * Math.random()];
      return [radius * Math.cos(angle), radius * Math.sin(angle)];
    },

    /**
     * Ink in [0, 1], row by row, made into an image as MNIST's were: its box scaled to fit 20 x 20 pixels, averaging
     * over areas, then placed on 28 x 28 so that the centre of mass comes to `centre`, a column and a row, as near as
     * whole pixels allow.
     */
    prepare(ink, width, height, centre) {
      const image = new Float32Array(SIDE * SIDE);
      let [left, right, top, bottom] = [width, -1, height, -1];
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          if (ink[y * width + x] < 0.05) continue;
          [left, right] = [Math.min(left, x), Math.max(right, x)];
          [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
        }
      }
      if (right < 0) return image;
      const [w, h] = [right - left + 1, bottom - top + 1];
      const [columns, rows] = [w, h].map((length) => Math.max(1, Math.round((20 * length) / Math.max(w, h))));
      const across = shares(left, w, columns);
      const down = shares(top, h, rows);
      const small = new Float32Array(rows * columns);
      let [mass, massX, massY] = [0, 0, 0];
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < columns; c++) {
          let value = 0;
          for (const [y, share] of down[r]) {
            for (const [x, part] of across[c]) value += share * part * ink[y * width + x];
          }
          small[r * columns + c] = value;
          [mass, massX, massY] = [mass + value, massX + value * c, massY + value * r];
        }
      }
      const place = (shift, length) => Math.min(SIDE - length, Math.max(0, Math.round(shift)));
      const [x0, y0] = [place(centre[0] - massX / mass, columns), place(centre[1] - massY / mass, rows)];
      for (let r = 0; r < rows; r++) image.set(small.subarray(r * columns, (r + 1) * columns), (y0 + r) * SIDE + x0);
      return image;
    },
  };

  /** For each of `count` equal parts of [start, start + length): which whole numbers it covers, with what shares. */
  function shares(start, length, count) {
    const size = length / count;
    return Array.from({ length: count }, (_, i) => {
      const [from, to] = [start + i * size, start + (i + 1) * size];
      const part = [];
      for (let k = Math.floor(from + 1e-9); k < to - 1e-9; k++) {
        part.push([k, (Math.min(to, k + 1) - Math.max(from, k)) / size]);
      }
      return part;
    });
  }

  // ---- 2. Images to choose ------------------------------------------------------------------------------------------

  const curve = (count, point) => Array.from({ length: count }, (_, i) => point(i / (count - 1)));

  /** What nobody showed the model: lines through points of a unit square, drawn with the pad's pen. */
  const STRANGE = {
    letters: {
      A: [[[0.15, 0.9], [0.5, 0.1], [0.85, 0.9]], [[0.3, 0.6], [0.7, 0.6]]],
      H: [[[0.2, 0.1], [0.2, 0.9]], [[0.8, 0.1], [0.8, 0.9]], [[0.2, 0.5], [0.8, 0.5]]],
      K: [[[0.2, 0.1], [0.2, 0.9]], [[0.8, 0.1], [0.2, 0.55], [0.8, 0.9]]],
      M: [[[0.12, 0.9], [0.2, 0.1], [0.5, 0.65], [0.8, 0.1], [0.88, 0.9]]],
      X: [[[0.15, 0.1], [0.85, 0.9]], [[0.85, 0.1], [0.15, 0.9]]],
    },
    scribbles: {
      zigzag: [curve(9, (t) => [0.1 + 0.8 * t, Math.round(t * 8) % 2 ? 0.85 : 0.15])],
      spiral: [curve(60, (t) => [0.5 + 0.42 * t * Math.cos(15 * t), 0.5 + 0.42 * t * Math.sin(15 * t)])],
      ladder: [
        [[0.3, 0.05], [0.3, 0.95]], [[0.7, 0.05], [0.7, 0.95]],
        ...[0.2, 0.4, 0.6, 0.8].map((y) => [[0.3, y], [0.7, y]]),
      ],
    },
  };

  // ---- 3. Drawing ---------------------------------------------------------------------------------------------------

  const VIEW = 360; // units of the plane's picture, each way
  const LENS = 140; // those of the ellipse's
  const STOPS = 9; // digits in the strip from A to B

  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const fmt = (value, digits = 2) => {
    const words = value.toFixed(digits);
    return Number(words) === 0 ? words.replace("-", "") : words.replace("-", "\u2212");
  };
  const pair = (values, digits = 2) => `(${values.map((v) => fmt(v, digits)).join(", ")})`;
  const num = (words, width) => `<span class="ex-num" style="min-width:${width}ch">${words}</span>`;
  const sign = (symbol) => `<span class="ex-sign">${symbol}</span>`;
  const cell = (name, value, note) => `<div class="ex-cell"><span>${name}</span> ${num(value, 6)} ` +
    `<small>${note}</small></div>`;
  const say = (count) => count.toLocaleString("en");

  /** Draws pixels in [0, 1] on a canvas, `count` images side by side. */
  function show(canvas, images) {
    const [context, count] = [canvas.getContext("2d"), images.length];
    const picture = context.createImageData(SIDE * count, SIDE);
    images.forEach((image, k) => {
      for (let i = 0; i < image.length; i++) {
        const at = 4 * ((i - (i % SIDE)) * count + k * SIDE + (i % SIDE));
        picture.data[at] = picture.data[at + 1] = picture.data[at + 2] = 255 * image[i];
        picture.data[at + 3] = 255;
      }
    });
    context.putImageData(picture, 0, 0);
  }

  /** Points moved apart until each two are `least` from each other, or nearly. */
  function apart(points, least) {
    const moved = points.map((point) => [...point]);
    for (let round = 0; round < 200; round++) {
      for (let i = 0; i < moved.length; i++) {
        for (let k = 0; k < i; k++) {
          const [dx, dy] = [moved[i][0] - moved[k][0] || 0.01, moved[i][1] - moved[k][1]];
          const push = Math.max(0, least / Math.hypot(dx, dy) - 1) / 4;
          moved[i] = [moved[i][0] + push * dx, moved[i][1] + push * dy];
          moved[k] = [moved[k][0] - push * dx, moved[k][1] - push * dy];
        }
      }
    }
    return moved;
  }

  /** The part of the plane that never changes: axes, the prior's ring, a dot for each test image, the digits' names. */
  function planePicture(model, codes, X, Y) {
    const at = (i) => `M${X(codes[2 * i]).toFixed(1)} ${Y(codes[2 * i + 1]).toFixed(1)}h0`;
    const dots = Array.from({ length: 10 }, () => "");
    for (let i = 0; i < model.digits.length; i++) dots[model.digits[i]] += at(i);
    const whole = Array.from({ length: 2 * Math.floor(model.span) + 1 }, (_, i) => i - Math.floor(model.span));
    const ticks = whole.filter((v) => v && Math.abs(v) < model.span).map((v) =>
      `<text class="ex-muted" x="${X(v)}" y="${VIEW - 6}" text-anchor="middle">${fmt(v, 0)}</text>` +
      `<text class="ex-muted" x="5" y="${Y(v) + 4}">${fmt(v, 0)}</text>`).join("");
    const names = apart(model.medians.map(([z1, z2]) => [X(z1), Y(z2)]), 22).map(([x, y], digit) =>
      `<circle class="lx-badge lx-${digit}" r="10" cx="${x.toFixed(1)}" cy="${y.toFixed(1)}"/>` +
      `<text class="lx-name" x="${x.toFixed(1)}" y="${(y + 5).toFixed(1)}">${digit}</text>`).join("");
    return `<path class="lx-axis" d="M${X(0)} 0V${VIEW}M0 ${Y(0)}H${VIEW}"/>` +
      dots.map((d, digit) => `<path class="lx-dots lx-${digit}" d="${d}"/>`).join("") +
      `<circle class="lx-ring" cx="${X(0)}" cy="${Y(0)}" r="${X(2) - X(0)}"/>` + ticks +
      `<text x="${VIEW - 6}" y="${Y(0) - 6}" text-anchor="end">z₁</text><text x="${X(0) + 6}" y="14">z₂</text>` + names;
  }

  // ---- 4. From a div to an explorer ---------------------------------------------------------------------------------

  let mounted = 0;

  const slider = (id, key, label, min, max, step) =>
    `<div class="ex-slider"><label for="${id}-${key}">${label}</label> <output for="${id}-${key}" ` +
    `aria-live="off"></output>` +
    `<input type="range" id="${id}-${key}" data-key="${key}" min="${min}" max="${max}" step="${step}" ` +
    `autocomplete="off"></div>`;
  const button = (name, words) => `<button type="button" data-do="${name}">${words}</button>`;
  const picture = (name, width, words) =>
    `<figure><canvas class="lx-${name}" width="${width}" height="${SIDE}" ` +
    `role="img"></canvas><figcaption>${words}</figcaption></figure>`;

  /** The choices for the encoder: [name, [[value, words], ...]] */
  const choices = (model) => [
    ["test digits", Array.from(model.images.digits, (digit, k) =>
      [`test-${k}`, `${digit} (test image ${model.images.places[k]})`])],
    ["letters", Object.keys(STRANGE.letters).map((name) => [`letters-${name}`, name])],
    ["scribbles", Object.keys(STRANGE.scribbles).map((name) => [`scribbles-${name}`, name])],
  ];

  const markup = (id, model, open) =>
    `<p class="ex-title" id="${id}-title">Two numbers, one digit</p>` +
    `<p class="ex-note">Drag across the plane, use the arrow keys on it, or move the sliders: the decoder draws ` +
    `what the two numbers say. Each dot is the code of a test image, coloured by its digit and named where the ` +
    `digit lies; the decoder was never told the names. The dashed ring holds 86 % of what the prior draws.</p>` +
    (model.source === "MNIST" ? "" : `<p class="lx-warning">This model was trained on stand-in digits: MNIST was ` +
      `not found when the book was built.</p>`) +
    `<div class="lx-main"><div class="lx-plane" tabindex="0" role="application" aria-roledescription="plane" ` +
    `aria-label="Latent plane: arrow keys move the code, with Shift in larger steps" aria-describedby="${id}-where">` +
    `<svg class="ex-picture" viewBox="0 0 ${VIEW} ${VIEW}" aria-hidden="true"></svg>` +
    `<svg class="ex-picture lx-marks" viewBox="0 0 ${VIEW} ${VIEW}" aria-hidden="true"></svg></div>` +
    `<div class="lx-side">${picture("digit", SIDE, `<span id="${id}-where"></span>`)}` +
    slider(id, "z1", "z₁", -model.span, model.span, 0.05) + slider(id, "z2", "z₂", -model.span, model.span, 0.05) +
    `<p class="ex-buttons">${button("prior", "sample from the prior")}</p></div></div>` +
    `<div class="lx-walk">${picture("strip", SIDE * STOPS, "What lies on the straight line from A to B")}` +
    slider(id, "t", "from A to B", 0, 1, 0.01) +
    `<p class="ex-buttons">${button("walk", "walk from A to B")} ${button("a", "put A here")} ` +
    `${button("b", "put B here")}</p></div>` +
    `<details class="lx-encoder"${open ? " open" : ""}><summary>The way back: give the encoder an image</summary>` +
    `<p class="ex-note">Choose an image, or draw on the pad with a finger or the mouse. The encoder answers with ` +
    `a Gaussian over the plane, too narrow to see there, so it is enlarged here.</p>` +
    `<p class="lx-choice"><label for="${id}-choice">image</label> <select id="${id}-choice" autocomplete="off">` +
    choices(model).map(([group, options]) => `<optgroup label="${group}">${options.map(([value, words]) =>
      `<option value="${value}">${words}</option>`).join("")}</optgroup>`).join("") +
    `<option value="own">your drawing</option></select></p>` +
    `<p class="ex-buttons">${button("eps", "another ε")} ${button("clear", "clear the pad")}</p>` +
    `<div class="lx-flow"><figure><canvas class="lx-pad" width="280" height="280" role="img" ` +
    `aria-label="Pad for drawing; the list of images is its alternative"></canvas>` +
    `<figcaption>draw here</figcaption></figure>` +
    picture("x", SIDE, "x, as the encoder gets it") +
    `<figure><svg class="ex-picture lx-lens" viewBox="0 0 ${LENS} ${LENS}" role="img"></svg>` +
    `<figcaption>q(z | x), enlarged</figcaption></figure>` + picture("back", SIDE, "what comes back") + `</div>` +
    `<div class="ex-readout"></div></details><p class="ex-hidden" role="status"></p>`;

  async function mount(root, model) {
    const id = `latent-${++mounted}`;
    const { encoder, decoder, codes, pixels } = await unpack(model);
    const testImage = (k) => Float32Array.from(pixels.subarray(k * SIDE * SIDE, (k + 1) * SIDE * SIDE), (v) => v / 255);
    const [X, Y] = [(v) => VIEW * (0.5 + v / (2 * model.span)), (v) => VIEW * (0.5 - v / (2 * model.span))];

    const live = document.createElement("div");
    live.className = "lx-live";
    live.innerHTML = markup(id, model, root.dataset.encoder === "open");
    root.append(live);
    root.setAttribute("role", "group");
    root.setAttribute("aria-labelledby", `${id}-title`);
    root.dataset.ready = "true";

    const find = (selector) => live.querySelector(selector);
    const [plane, marks, pad, lens, choice] = [".lx-plane", ".lx-marks", ".lx-pad", ".lx-lens", "select"].map(find);
    const details = find("details");
    const inputs = Object.fromEntries([...live.querySelectorAll("input")].map((input) => [input.dataset.key, input]));
    find(".lx-plane svg").innerHTML = planePicture(model, codes, X, Y);

    const codeOf = (k) => math.encode(encoder, testImage(k)).mu;
    const first = (digit) => model.images.digits.indexOf(digit);
    const state = { z: [0, 0], a: codeOf(first("0")), b: codeOf(first("1")), t: 0, x: null, q: null, drawn: true };
    let strokes = []; // the reader's, in a unit square
    let [frame, pause] = [0, 0];

    // The pad and its pen.

    const pen = pad.getContext("2d", { willReadFrequently: true });
    function ink(lines) {
      pen.fillStyle = "#000";
      pen.fillRect(0, 0, pad.width, pad.height);
      Object.assign(pen, { strokeStyle: "#fff", lineWidth: 24, lineCap: "round", lineJoin: "round" });
      for (const line of lines) {
        pen.beginPath();
        [...line, line[line.length - 1]].forEach(([x, y], i) =>
          pen[i ? "lineTo" : "moveTo"](x * pad.width, y * pad.height));
        pen.stroke();
      }
      const { data } = pen.getImageData(0, 0, pad.width, pad.height);
      const red = Float32Array.from({ length: data.length / 4 }, (_, i) => data[4 * i] / 255);
      return math.prepare(red, pad.width, pad.height, model.centre);
    }

    /** Shows an image on the pad as it is, in large pixels. */
    function enlarge(image) {
      const small = document.createElement("canvas");
      small.width = small.height = SIDE;
      show(small, [image]);
      pen.imageSmoothingEnabled = false;
      pen.drawImage(small, 0, 0, pad.width, pad.height);
    }

    /** Takes what the list says: encodes it and draws a code. */
    function take() {
      const [group, name] = choice.value.split("-");
      if (group === "test") enlarge((state.x = testImage(Number(name))));
      else state.x = ink(group === "own" ? strokes : STRANGE[group][name]);
      state.q = math.encode(encoder, state.x);
      show(find(".lx-x"), [state.x]);
    }
    const eps = () => state.z.map((z, j) => (z - state.q.mu[j]) / Math.exp(state.q.logvar[j] / 2));
    const another = () => go({ z: math.sample(state.q, math.normals()), drawn: true });

    // The picture and the numbers.

    function nearest([z1, z2]) {
      const near = [];
      for (let i = 0; i < model.digits.length; i++) {
        const distance = (codes[2 * i] - z1) ** 2 + (codes[2 * i + 1] - z2) ** 2;
        if (near.length === 5 && distance >= near[4][0]) continue;
        near.push([distance, model.digits[i]]);
        near.sort((p, q) => p[0] - q[0]);
        near.length = Math.min(5, near.length);
      }
      return near.map(([, digit]) => digit);
    }

    function drawMarks() {
      const [x, y] = [X(state.z[0]), Y(state.z[1])];
      const [a, b] = [state.a, state.b].map((z) => [X(z[0]), Y(z[1])]);
      const stop = (k) => `<circle class="lx-stop" r="3" cx="${a[0] + (b[0] - a[0]) * k}" ` +
        `cy="${a[1] + (b[1] - a[1]) * k}"/>`;
      const [mu, sigma] = [state.q.mu, state.q.logvar.map((v) => Math.exp(v / 2) * (X(1) - X(0)))];
      marks.innerHTML =
        `<path class="lx-trail" d="M${a}L${b}"/>` +
        Array.from({ length: STOPS }, (_, k) => stop(k / (STOPS - 1))).join("") +
        `<text class="lx-end" x="${a[0]}" y="${a[1] - 8}">A</text><text class="lx-end" x="${b[0]}" ` +
        `y="${b[1] - 8}">B</text>` +
        (details.open ? [1, 2].map((k) =>
          `<ellipse class="lx-q" cx="${X(mu[0])}" cy="${Y(mu[1])}" rx="${k * sigma[0]}" ` +
          `ry="${k * sigma[1]}"/>`).join("") : "") +
        `<circle class="lx-cursor-edge" r="8" cx="${x}" cy="${y}"/><circle class="lx-cursor" r="8" cx="${x}" ` +
        `cy="${y}"/>`;
    }

    /** q(z | x) with contours at one and two standard deviations; both axes have one scale. */
    function drawLens(noise) {
      const sigma = state.q.logvar.map((v) => Math.exp(v / 2));
      const unit = LENS / 2 / (3.2 * Math.max(...sigma));
      const centre = LENS / 2;
      const rings = [1, 2].map((k) =>
        `<ellipse class="lx-q" cx="${centre}" cy="${centre}" rx="${k * sigma[0] * unit}" ` +
        `ry="${k * sigma[1] * unit}"/>`).join("");
      const [dx, dy] = [noise[0] * sigma[0] * unit, -noise[1] * sigma[1] * unit];
      const inside = Math.max(Math.abs(dx), Math.abs(dy)) < centre - 6;
      const scale = inside ? 1 : (centre - 6) / Math.max(Math.abs(dx), Math.abs(dy));
      lens.innerHTML = rings + `<path class="lx-mu" d="M${centre - 5} ${centre}h10m-5 -5v10"/>` +
        `<path class="lx-eps" d="M${centre} ${centre}l${dx * scale} ${dy * scale}"/>` +
        (inside ? `<circle class="lx-cursor" r="4" cx="${centre + dx}" cy="${centre + dy}"/>` : "") +
        `<text x="4" y="13">μ, and z = μ + σε${inside ? "" : ", far"}</text>`;
      lens.setAttribute("aria-label", `The encoder's Gaussian with contours at one and two standard deviations ` +
        `around its mean ${pair(state.q.mu)}, and the code z ${inside ? "in it" : "far outside it"}`);
    }

    const { typical } = model;
    const [low, middle, high] = [25, 50, 75].map((percent) => typical.loss[percent]);

    /** Where a value of -ELBO stands among the test images, in words. */
    function rank(loss) {
      const below = typical.loss.filter((value) => value < loss).length - 1; // percent
      if (below >= 100) return `worse than every one of the ${say(typical.count)} test images`;
      return below < 1 ? "better than 99 % of the test images" : `worse than ${below} % of the test images`;
    }

    /** A bar of nats: all test images, the middle half of them, their median, and this image. */
    function bar(loss) {
      const end = 1.05 * Math.max(typical.loss[100], loss);
      const at = (nats) => `${((100 * nats) / end).toFixed(2)}%`;
      const box = (from, to, name) => `<span class="${name}" style="left:${at(from)};width:${at(to - from)}"></span>`;
      return `<div class="lx-bar" role="img" aria-label="The test images' −ELBO reaches from ` +
        `${fmt(typical.loss[0], 0)} to ${fmt(typical.loss[100], 0)} nats, this image's is ${fmt(loss, 0)}">` +
        box(typical.loss[0], typical.loss[100], "lx-all") +
        box(low, high, "lx-half") +
        box(middle, middle, "lx-median") +
        `<span class="lx-this" style="left:${at(loss)}"></span></div>` +
        `<p class="lx-scale"><span>0</span><span>${fmt(end, 0)} nats</span></p><p class="lx-scale"><span>` +
        `<i class="lx-all"></i> all ${say(typical.count)} test images</span><span><i class="lx-half"></i> the middle ` +
        `half</span><span><i class="lx-this"></i> this one</span></p>`;
    }

    function readout(logits, noise) {
      const { mu, logvar } = state.q;
      const [reconstruction, parts] = [math.reconstruction(logits, state.x), math.kl(state.q)];
      const kl = parts[0] + parts[1];
      const loss = reconstruction + kl;
      const logOf = (v) => num(v < 0 ? `(${fmt(v)})` : fmt(v), 7);
      const filled = (j) => `½ (${num(fmt(mu[j] ** 2), 5)} + ${num(fmt(Math.exp(logvar[j]), 3), 5)} − ` +
        `${logOf(logvar[j])} − 1)`;
      return {
        loss,
        html:
          `<dl class="simple lx-numbers"><div><dt>μ</dt><dd>${pair(mu)}</dd></div>` +
          `<div><dt>σ</dt><dd>${pair(logvar.map((v) => Math.exp(v / 2)), 3)}</dd></div>` +
          `<div><dt>ε</dt><dd>${pair(noise)}</dd></div><div><dt>z = μ + σ·ε</dt><dd>${pair(state.z)}</dd></div></dl>` +
          `<div class="ex-equation">${cell("reconstruction", fmt(reconstruction), "−log p(x | z)")}${sign("+")}` +
          `${cell("KL to prior", fmt(kl), "KL(q(z | x) ‖ p(z))")}${sign("=")}` +
          `${cell("−ELBO", fmt(loss), "nats")}</div>` +
          `<div class="ex-closed"><p><strong>KL = ½ Σ (μ² + σ² − log σ² − 1)</strong></p>` +
          `<p><span>= ${filled(0)}</span> <span>+ ${filled(1)}</span> <span>= ${num(fmt(kl), 5)} ` +
          `nats</span></p></div>` +
          bar(loss) + `<p class="lx-rank">${fmt(loss, 0)} nats is ${rank(loss)}: half of those lie between ` +
          `${fmt(low, 0)} and ${fmt(high, 0)}. ` +
          `${state.drawn ? "" : "Here you chose z, and so ε; an honest ε is drawn from N(0, I)."}</p>`,
      };
    }

    let last = null; // the numbers that the pause announces
    function draw() {
      const logits = math.decode(decoder, state.z);
      const decoded = logits.map(sigmoid);
      const near = nearest(state.z);
      const noise = eps();
      show(find(".lx-digit"), [decoded]);
      drawMarks();
      find(`#${id}-where`).textContent = `z = ${pair(state.z)}; the nearest test images: ${near.join(" ")}`;
      find(".lx-digit").setAttribute("aria-label", `What the decoder draws at ${pair(state.z)}`);
      last = { near, loss: null };
      if (details.open) {
        const { html, loss } = readout(logits, noise);
        show(find(".lx-back"), [decoded]);
        drawLens(noise);
        find(".ex-readout").innerHTML = html;
        last.loss = loss;
      }
      const words = { z1: fmt(state.z[0]), z2: fmt(state.z[1]), t: `t = ${fmt(state.t)}` };
      const values = { z1: state.z[0], z2: state.z[1], t: state.t };
      for (const [key, input] of Object.entries(inputs)) {
        input.value = values[key]; // the slider stands at the nearest of its steps
        input.setAttribute("aria-valuetext", words[key]);
        input.previousElementSibling.value = words[key];
      }
    }

    const between = (t) => state.a.map((a, j) => a + (state.b[j] - a) * t);
    function drawStrip() {
      const images = Array.from({ length: STOPS }, (_, k) =>
        math.decode(decoder, between(k / (STOPS - 1))).map(sigmoid));
      show(find(".lx-strip"), images);
      find(".lx-strip").setAttribute("aria-label", `${STOPS} digits, decoded on the straight line from A, ` +
        `${pair(state.a)}, to B, ${pair(state.b)}`);
    }

    // Moving.

    function announce() {
      clearTimeout(pause);
      pause = setTimeout(() => {
        find("[role=status]").textContent = `z = ${pair(state.z, 1)}, near test images of ` +
          `${[...new Set(last.near)].join(", ")}` +
          (last.loss === null ? "" : `; −ELBO ${fmt(last.loss, 0)} nats, ${rank(last.loss)}`);
      }, 1200);
    }

    /** Changes the state and draws at the next frame; with `length` in milliseconds, t or z move there bit by bit. */
    function go(target, length = 0) {
      const still = !length || matchMedia("(prefers-reduced-motion: reduce)").matches;
      const [from, began] = [{ z: state.z, t: state.t }, performance.now()];
      const move = (share) => {
        Object.assign(state, target);
        if ("t" in target) state.t = from.t + (target.t - from.t) * share;
        if ("t" in target) state.z = between(state.t);
        else if (target.z) state.z = from.z.map((z, j) => z + (target.z[j] - z) * share);
      };
      const step = (now) => {
        const share = still ? 1 : clamp((now - began) / length, 0, 1);
        if (!still) move(share);
        draw();
        if (share < 1) frame = requestAnimationFrame(step);
      };
      if (still) move(1); // at once, so that a second key in the same frame starts from here
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(step);
      announce();
    }
    const moveTo = (z, length) => go({ z, drawn: false }, length);

    const actions = {
      prior: () => moveTo(math.normals(), 300),
      walk() {
        state.t = 0;
        go({ t: 1, drawn: false }, 3000);
      },
      a: () => { state.a = [...state.z]; drawStrip(); go({ t: 0, drawn: state.drawn }); },
      b: () => { state.b = [...state.z]; drawStrip(); go({ t: 1, drawn: state.drawn }); },
      eps: another,
      clear() {
        strokes = [];
        choice.value = "own";
        take();
        another();
      },
    };
    live.querySelectorAll("button").forEach((b) => b.addEventListener("click", actions[b.dataset.do]));
    inputs.z1.addEventListener("input", () => moveTo([Number(inputs.z1.value), state.z[1]]));
    inputs.z2.addEventListener("input", () => moveTo([state.z[0], Number(inputs.z2.value)]));
    inputs.t.addEventListener("input", () => go({ t: Number(inputs.t.value), drawn: false }));
    choice.addEventListener("change", () => { take(); another(); });
    details.addEventListener("toggle", () => { if (details.open) another(); else draw(); });

    plane.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const step = event.shiftKey ? 0.5 : 0.1;
      moveTo(state.z.map((z, j) => clamp(z + step * way[j], -model.span, model.span)));
    });

    /** Calls `use(x, y, isFirst)` with places in the unit square while a pointer is down on an element. */
    function onDrag(element, use) {
      const place = (event, isFirst) => {
        const box = element.getBoundingClientRect();
        const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
        use(clamp(x, 0, 1), clamp(y, 0, 1), isFirst);
      };
      element.addEventListener("pointerdown", (event) => {
        if (event.button) return;
        element.setPointerCapture(event.pointerId);
        place(event, true);
      });
      element.addEventListener("pointermove", (event) => {
        if (!element.hasPointerCapture(event.pointerId)) return;
        (event.getCoalescedEvents?.() || [event]).forEach((one) => place(one, false));
      });
    }
    onDrag(plane, (x, y) => moveTo([(2 * x - 1) * model.span, (1 - 2 * y) * model.span]));
    onDrag(pad, (x, y, isFirst) => {
      if (isFirst && choice.value !== "own") strokes = [];
      choice.value = "own";
      if (isFirst) strokes.push([]);
      strokes[strokes.length - 1].push([x, y]);
      if (!drawing) drawing = requestAnimationFrame(() => { drawing = 0; take(); another(); });
    });
    let drawing = 0; // the frame in which the drawing is encoded

    find(".lx-x").setAttribute("aria-label", "The image as the encoder gets it");
    find(".lx-back").setAttribute("aria-label", "What the decoder makes of the image's code");
    take();
    state.z = details.open ? math.sample(state.q, math.normals()) : [...state.a];
    drawStrip();
    draw();
    return plane;
  }

  /** Puts "Start" on the picture; the model is loaded when it is pressed. */
  function offer(root) {
    if (root.dataset.offered) return;
    root.dataset.offered = "true";
    const start = document.createElement("button");
    start.type = "button";
    start.className = "lx-start";
    start.textContent = "Start the explorer";
    const note = document.createElement("p");
    note.className = "lx-problem";
    note.setAttribute("role", "status");
    root.append(start, note);

    start.addEventListener("click", () => {
      if (start.getAttribute("aria-disabled") === "true") return;
      start.setAttribute("aria-disabled", "true");
      start.textContent = "loading the model …";
      const begin = async () => {
        const plane = await mount(root, window.latentModel);
        start.remove();
        note.remove();
        plane.focus({ preventScroll: true });
      };
      if (window.latentModel) return begin();
      const script = document.createElement("script");
      script.src = root.dataset.model;
      script.onload = begin;
      script.onerror = () => {
        script.remove();
        start.removeAttribute("aria-disabled");
        start.textContent = "Start the explorer";
        note.textContent = "The model could not be loaded. Look at your connection and try again.";
      };
      document.head.append(script);
    });
  }

  window.latentExplorer = { math, mount };
  const all = () => document.querySelectorAll(".latent-explorer").forEach(offer);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", all);
  else all();
})();
