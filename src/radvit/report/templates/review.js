"use strict";
(() => {
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const HELD = 5, INSIDE = 8, LEAST = 2, STEP = 1.5, MOST = 12;
  // px of an arrow held down; px of the window that an edge is wide inwards; px that make a box; of zooming
  const LOW = [true, true, false, false], HIGH = [false, false, true, true], WHOLE = [true, true, true, true];
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const clamped = (value, least, most) => Math.max(least, Math.min(value, most));
  const size = (svg) => [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height];

  const pixel = (svg, event) => {  // of the original image, at any size of the window and any zoom
    const place = svg.getBoundingClientRect(), [columns, rows] = size(svg);
    return [(event.clientX - place.x) * columns / place.width, (event.clientY - place.y) * rows / place.height];
  };
  const changed = (box, edges, delta, limits) => box.map((value, i) => {  // box: left, top, right, bottom
    const axis = i % 2, [low, high] = [box[axis], box[axis + 2]], by = Math.round(delta[axis]);
    if (edges.every(Boolean)) return value + clamped(by, -low, limits[axis] - high);
    if (!edges[i]) return value;
    if (LOW[i]) return clamped(value + by, 0, high - 1);
    return clamped(value + by, Math.min(low + 1, limits[axis]), limits[axis]);
  });
  const between = (start, end, limits) => {
    const [a, b] = [start, end].map((point) => point.map((value, axis) => Math.round(clamped(value, 0, limits[axis]))));
    return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])];
  };
  const edgesAt = (box, [x, y], inwards) => {  // those taken hold of there; all where none is near
    const reach = [0, 1].map((axis) => Math.min(inwards, (box[axis + 2] - box[axis]) / 4));
    const near = box.map((value, i) => (LOW[i] ? 1 : -1) * ([x, y][i % 2] - value) <= reach[i % 2]);
    return near.some(Boolean) ? near : WHOLE;
  };
  const cursor = ([left, top, right, bottom]) => {
    const name = (top ? "n" : bottom ? "s" : "") + (left ? "w" : right ? "e" : "");
    return left && right ? "move" : `${name}-resize`;
  };

  const pictures = all(".marks"), picture = (number) => pictures.find((svg) => svg.dataset.image === number);

  class Item {  // a finding's form, and the mark that shows its box
    constructor(form) {
      this.form = form;
      this.field = form.elements.box;
      this.radios = all("[name=action][type=radio]", form);
      this.draw = form.querySelector(".draw");
      this.mark = document.getElementById(`mark-${form.dataset.number}`);
      this.name = this.mark.getAttribute("aria-label");
      this.kept = this.mark.classList[1];
      const aria = { role: "application", tabindex: "0", "aria-describedby": "how" };
      Object.entries(aria).forEach((pair) => this.mark.setAttribute(...pair));
      form.addEventListener("input", ({ target }) => this.typed(target));
      this.mark.addEventListener("keydown", (event) => this.pressed(event));
      this.onto(picture(form.elements.image?.value) ?? this.svg);  // a reload may keep what was typed
      this.shade();
    }
    get svg() { return this.mark.ownerSVGElement; }
    get isLit() { return this.mark.classList.contains("lit"); }
    get isUnsaved() {
      const { value, defaultValue } = this.field;
      return value !== defaultValue || this.radios.some((radio) => radio.checked !== radio.defaultChecked);
    }
    get box() {  // left, top, right, bottom; null where the numbers make none
      const box = this.field.value.replaceAll(",", " ").trim().split(/\s+/).map(Number);
      return box.length === 4 && box.every(Number.isFinite) && box[0] < box[2] && box[1] < box[3] ? box : null;
    }
    set box(box) {
      this.field.value = box.map((value) => value.toFixed(1)).join(", ");
      this.change();
    }
    fits(svg) { return Boolean(this.form.elements.image) || svg.dataset.image === this.form.dataset.image; }
    onto(svg) {
      if (this.form.elements.image) this.form.elements.image.value = svg.dataset.image;
      if (svg !== this.svg) svg.append(this.mark);
    }
    change() {  // what is changed is not accepted as it was
      this.radios.filter((radio) => radio.value === "edit").forEach((radio) => { radio.checked = true; });
      this.shade();
    }
    undo() {
      this.field.value = this.field.defaultValue;
      this.radios.forEach((radio) => { radio.checked = radio.defaultChecked; });
      this.shade();
    }
    shade() {
      const action = this.radios.find((radio) => radio.checked)?.value ?? this.kept;
      this.mark.setAttribute("class", `mark ${action}${this.isLit ? " lit" : ""}`);
      this.show();
    }
    show() {
      const box = this.box;
      this.form.classList.toggle("unsaved", this.isUnsaved);
      if (!box) return this.mark.setAttribute("display", "none");
      const [x1, y1, x2, y2] = box, place = Object.entries({ x: x1, y: y1, width: x2 - x1, height: y2 - y1 });
      all(".frame", this.mark).forEach((frame) => place.forEach((pair) => frame.setAttribute(...pair)));
      this.mark.querySelector(".knobs").setAttribute("d", `M${x1} ${y1}h0M${x2} ${y1}h0M${x2} ${y2}h0M${x1} ${y2}h0`);
      const { width, height } = this.mark.querySelector(".tag rect");
      const corner = [Math.min(x1, size(this.svg)[0] - width.baseVal.value), y1 - height.baseVal.value];
      const shift = corner.map((value) => Math.max(value, 0)).join(" ");
      this.mark.querySelector(".place").setAttribute("transform", `translate(${shift})`);
      this.mark.setAttribute("aria-label", `${this.name}: ${this.field.value}`);
      this.mark.removeAttribute("display");
      const told = this.svg.closest("figure").querySelector("output");
      if (this.isLit) told.textContent = this.mark.getAttribute("aria-label");
    }
    typed({ name, value }) {
      if (name === "image") this.onto(picture(value));
      if (["type", "side", "box"].includes(name)) this.change();
      else this.shade();
    }
    pressed(event) {
      const { key, shiftKey, repeat } = event, by = KEYS[key]?.map((step) => step * (repeat ? HELD : 1));
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (by) this.box = changed(this.box, shiftKey ? HIGH : WHOLE, by, size(this.svg));
      else if (key === "Enter") this.field.focus();
      else if (key === "Escape") this.undo();
      else return;
      event.preventDefault();
      if (by) this.mark.querySelector(".box").scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    pick() {
      this.mark.focus({ preventScroll: true });
      const isBeside = this.form.getBoundingClientRect().x > this.svg.getBoundingClientRect().right;
      if (isBeside) this.form.scrollIntoView({ block: "nearest" });
    }
    place() {  // by the keyboard: a box amid the image, to be moved by arrows
      const [columns, rows] = size(this.svg);
      if (!this.box) this.box = [0.4375 * columns, 0.4375 * rows, 0.5625 * columns, 0.5625 * rows].map(Math.round);
      this.mark.focus();
    }
  }

  const isMarked = ({ dataset }) => document.getElementById(`mark-${dataset.number}`);
  const items = all("form.finding").filter(isMarked).map((form) => new Item(form));
  let drawing = null, held = null, sent = null;  // the item to be drawn; what a pointer holds; the form that is sent
  const draws = (item) => {
    drawing = item;
    items.forEach((one) => one.draw.setAttribute("aria-pressed", one === item));
    pictures.forEach((svg) => svg.classList.toggle("drawing", Boolean(item?.fits(svg))));
  };
  const light = (target) => {
    if (target.closest?.(".tools")) return;  // zooming keeps what was picked
    const number = target.closest?.("[data-number]")?.dataset.number;
    all("[data-number]").forEach((one) => one.classList.toggle("lit", one.dataset.number === number));
    items.find((item) => item.isLit)?.show();
  };
  const under = (event) => {
    const marks = document.elementsFromPoint(event.clientX, event.clientY).map((one) => one.closest(".mark"));
    const found = items.filter((item) => marks.includes(item.mark));
    return found.find((item) => item.isLit) ?? items.find((item) => item.mark === marks.find(Boolean));
  };
  const edges = (item, event) => {
    const inwards = INSIDE * size(item.svg)[0] / item.svg.getBoundingClientRect().width;
    return edgesAt(item.box, pixel(item.svg, event), inwards);
  };

  const take = (event) => {
    const svg = event.currentTarget, isDrawn = svg.matches(".drawing"), item = isDrawn ? drawing : under(event);
    if (!item || event.button !== 0 || !event.isPrimary) return;
    const isPicked = isDrawn || item.isLit;
    if (event.pointerType === "touch" && !isPicked) return;  // a finger also scrolls, so it picks a box first
    event.preventDefault();
    if (!isDrawn) item.mark.focus({ preventScroll: true });
    svg.setPointerCapture(event.pointerId);
    const { box, field: { value: text } } = item;
    held = { item, box, text, start: pixel(svg, event), edges: isDrawn ? null : edges(item, event) };
  };
  const drag = (event) => {
    const svg = event.currentTarget, end = pixel(svg, event), item = held?.item ?? under(event);
    if (!held && item) item.mark.style.cursor = cursor(edges(item, event));
    if (!held) return;
    const by = end.map((value, axis) => value - held.start[axis]);
    if (held.edges) {
      const isMoved = item.field.value !== held.text || by.some(Math.round);
      if (isMoved) item.box = changed(held.box, held.edges, by, size(svg));
      return;
    }
    const box = between(held.start, end, size(svg));
    if (box[2] - box[0] < LEAST || box[3] - box[1] < LEAST) return;
    item.onto(svg);
    item.box = box;
  };
  const drop = (event) => {
    const { item, edges: hold, text } = held ?? {};
    held = null;
    if (!item) return;
    if (event.type === "pointercancel") item.field.value = text;
    if (event.type === "pointercancel") return item.show();
    if (!hold && item.field.value !== text) draws(null);
    if (item.box) item.pick();
  };
  pictures.forEach((svg) => {
    svg.addEventListener("pointerdown", take);
    svg.addEventListener("touchstart", (event) => { if (held) event.preventDefault(); }, { passive: false });
    svg.addEventListener("pointermove", drag);
    ["pointerup", "pointercancel"].forEach((name) => svg.addEventListener(name, drop));
    svg.addEventListener("click", (event) => { if (!drawing) under(event)?.pick(); });
  });
  items.forEach((item) => item.draw.addEventListener("click", (event) => {
    if (event.detail === 0) return item.place();
    draws(drawing === item ? null : item);
    if (drawing) item.svg.closest("figure").scrollIntoView({ block: "nearest" });
  }));
  document.addEventListener("focusin", (event) => light(event.target));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") draws(null); });
  document.addEventListener("submit", (event) => { sent = event.target; });
  window.addEventListener("beforeunload", (event) => {  // what was drawn for one finding is not lost by keeping another
    if (items.some((item) => item.form !== sent && item.isUnsaved)) event.preventDefault();
    sent = null;
  });

  all("figure").forEach((figure) => {
    const stage = figure.querySelector(".stage"), layer = figure.querySelector(".layer");
    let zoom = 1;
    const to = (wanted) => {
      const next = clamped(wanted, 1, MOST), height = stage.clientHeight;
      const half = [stage.clientWidth / 2, height / 2];
      const middle = [stage.scrollLeft, stage.scrollTop].map((start, axis) => (start + half[axis]) * next / zoom);
      if (zoom === 1) stage.style.height = `${height}px`;
      zoom = next;
      if (zoom === 1) stage.style.height = "";
      layer.style.width = zoom === 1 ? "" : `${100 * zoom}%`;
      layer.style.setProperty("--zoom", zoom);
      const box = stage.querySelector(".lit .box")?.getBoundingClientRect(), place = layer.getBoundingClientRect();
      const lit = box?.width ? [box.x + box.width / 2 - place.x, box.y + box.height / 2 - place.y] : null;
      const [left, top] = (lit ?? middle).map((value, axis) => value - half[axis]);
      stage.scrollTo({ left, top, behavior: "instant" });
    };
    const acts = { in: () => to(zoom * STEP), out: () => to(zoom / STEP), fit: () => to(1) };
    all("[data-zoom]", figure).forEach((button) => button.addEventListener("click", acts[button.dataset.zoom]));
    window.addEventListener("resize", () => { if (zoom !== 1) stage.style.height = `${layer.clientHeight / zoom}px`; });
  });
  [...all(".tools"), ...items.map((item) => item.draw)].forEach((one) => { one.hidden = false; });
})();
