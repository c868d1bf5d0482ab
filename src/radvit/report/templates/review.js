"use strict";
(() => {
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const HELD = 5, INSIDE = 8, STEP = 1.5, MOST = 12;  // px of an arrow held down; px of the window that an edge takes inwards
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
    return LOW[i] ? clamped(value + by, 0, Math.max(high - 1, 0)) : clamped(value + by, Math.min(low + 1, limits[axis]), limits[axis]);
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

  const following = (form) => {  // a form, and the mark that shows its box
    const field = form.elements.box, mark = document.getElementById(`mark-${form.dataset.number}`);
    const actions = all("[name=action][type=radio]", form), name = mark.getAttribute("aria-label");
    const kept = mark.classList[1];
    const tag = mark.querySelector(".tag rect"), text = () => field.value.trim().replace(/\s*,\s*|\s+/g, " ").split(" ");
    const item = { form, field, mark, draw: form.querySelector(".draw") };
    item.svg = () => mark.ownerSVGElement;
    item.box = () => {
      const box = text().map(Number);
      return box.length === 4 && box.every(Number.isFinite) && box[0] < box[2] && box[1] < box[3] ? box : null;
    };
    item.show = () => {
      const box = item.box(), told = item.svg().closest("figure").querySelector("output");
      form.classList.toggle("unsaved", item.isUnsaved());
      if (!box) return mark.setAttribute("display", "none");
      const [x1, y1, x2, y2] = box, place = { x: x1, y: y1, width: x2 - x1, height: y2 - y1 };
      mark.removeAttribute("display");
      all(".frame", mark).forEach((frame) => Object.entries(place).forEach(([key, value]) => frame.setAttribute(key, value)));
      mark.querySelector(".knobs").setAttribute("d", `M${x1} ${y1}h0M${x2} ${y1}h0M${x2} ${y2}h0M${x1} ${y2}h0`);
      const [x, y] = [Math.min(x1, size(item.svg())[0] - tag.width.baseVal.value), y1 - tag.height.baseVal.value];
      mark.querySelector(".place").setAttribute("transform", `translate(${Math.max(x, 0)} ${Math.max(y, 0)})`);
      mark.setAttribute("aria-label", `${name}: ${field.value}`);
      if (mark.classList.contains("lit")) told.textContent = mark.getAttribute("aria-label");
    };
    item.isUnsaved = () => field.value !== field.defaultValue || actions.some((radio) => radio.checked !== radio.defaultChecked);
    item.choose = () => {  // what is changed is not accepted as it was
      const now = actions.find((radio) => radio.checked)?.value ?? kept;
      mark.setAttribute("class", `mark ${now}${mark.classList.contains("lit") ? " lit" : ""}`);
      item.show();
    };
    item.change = () => {
      actions.filter((radio) => radio.value === "edit").forEach((radio) => { radio.checked = true; });
      item.choose();
    };
    item.write = (box) => {
      field.value = box.map((value) => value.toFixed(1)).join(", ");
      item.change();
    };
    item.undo = () => {
      field.value = field.defaultValue;
      actions.forEach((radio) => { radio.checked = radio.defaultChecked; });
      item.choose();
    };
    item.onto = (svg) => {
      if (form.elements.image) form.elements.image.value = svg.dataset.image;
      if (svg !== item.svg()) svg.append(mark);
    };
    item.fits = (svg) => Boolean(form.elements.image) || svg.dataset.image === form.dataset.image;
    mark.setAttribute("role", "application");
    mark.setAttribute("tabindex", "0");
    mark.setAttribute("aria-describedby", "how");
    form.addEventListener("input", ({ target }) => {
      if (["type", "side", "box"].includes(target.name)) item.change();
      if (target.name === "action") item.choose();
      if (target.name === "image") item.onto(picture(target.value));
      item.show();
    });
    mark.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const by = KEYS[event.key]?.map((step) => step * (event.repeat ? HELD : 1));
      if (by) item.write(changed(item.box(), event.shiftKey ? HIGH : WHOLE, by, size(item.svg())));
      else if (event.key === "Enter") field.focus();
      else if (event.key === "Escape") item.undo();
      else return;
      event.preventDefault();
    });
    return item;
  };

  const items = all("form.finding").filter(({ dataset }) => document.getElementById(`mark-${dataset.number}`)).map(following);
  let drawing = null, held = null, sent = null;
  const draws = (item) => {
    drawing = item;
    items.forEach((one) => one.draw.setAttribute("aria-pressed", one === item));
    pictures.forEach((svg) => svg.classList.toggle("drawing", Boolean(item?.fits(svg))));
  };
  const light = (target) => {
    if (target.closest?.(".tools")) return;  // zooming keeps what was picked
    const number = target.closest?.("[data-number]")?.dataset.number;
    all("[data-number]").forEach((one) => one.classList.toggle("lit", one.dataset.number === number));
    items.find((item) => item.form.dataset.number === number)?.show();
  };
  const pick = (item) => {
    item.mark.focus({ preventScroll: true });
    const beside = item.form.getBoundingClientRect().x > item.svg().getBoundingClientRect().right;
    if (beside) item.form.scrollIntoView({ block: "nearest" });
  };
  const under = (event) => {
    const marks = document.elementsFromPoint(event.clientX, event.clientY).map((one) => one.closest(".mark")).filter(Boolean);
    const mark = marks.find((one) => one.classList.contains("lit")) ?? marks[0];
    return items.find((item) => item.mark === mark);
  };
  const edges = (item, svg, event) => edgesAt(item.box(), pixel(svg, event), INSIDE * size(svg)[0] / svg.getBoundingClientRect().width);

  pictures.forEach((svg) => {
    svg.addEventListener("pointerdown", (event) => {
      const item = svg.matches(".drawing") ? drawing : under(event);
      if (!item || event.button !== 0 || !event.isPrimary) return;
      const picked = item.mark.classList.contains("lit") || item === drawing;
      if (event.pointerType === "touch" && !picked) return;  // a finger that scrolls moves no box: it picks one first
      event.preventDefault();
      if (item !== drawing) item.mark.focus({ preventScroll: true });
      svg.setPointerCapture(event.pointerId);
      held = { item, box: item.box(), start: pixel(svg, event), text: item.field.value };
      held.edges = item === drawing ? null : edges(item, svg, event);
    });
    svg.addEventListener("touchstart", (event) => { if (held) event.preventDefault(); }, { passive: false });  // no scroll
    svg.addEventListener("pointermove", (event) => {
      const end = pixel(svg, event);
      if (!held) {
        const item = under(event);
        if (item) item.mark.style.cursor = cursor(edges(item, svg, event));
      } else if (held.edges) {
        const by = end.map((value, axis) => value - held.start[axis]);
        if (by.some((step) => Math.round(step)) || held.item.field.value !== held.text) {
          held.item.write(changed(held.box, held.edges, by, size(svg)));
        }
      } else {
        const box = between(held.start, end, size(svg));
        if (box[2] - box[0] < 2 || box[3] - box[1] < 2) return;
        held.item.onto(svg);
        held.item.write(box);
      }
    });
    svg.addEventListener("pointerup", () => {
      const done = held;
      held = null;
      if (done && !done.edges && done.item.field.value !== done.text) draws(null);
      if (done?.item.box()) pick(done.item);
    });
    svg.addEventListener("pointercancel", () => {
      if (held) held.item.field.value = held.text;
      held?.item.show();
      held = null;
    });
    svg.addEventListener("click", (event) => { if (!drawing && under(event)) pick(under(event)); });
  });
  items.forEach((item) => {
    item.draw.addEventListener("click", (event) => {
      if (event.detail) draws(drawing === item ? null : item);
      else {  // by the keyboard: a box amid the image, to be moved by arrows
        const [columns, rows] = size(item.svg());
        if (!item.box()) item.write([0.4375 * columns, 0.4375 * rows, 0.5625 * columns, 0.5625 * rows].map(Math.round));
        item.mark.focus();
      }
      if (drawing) item.svg().closest("figure").scrollIntoView({ block: "nearest" });
    });
  });
  document.addEventListener("focusin", (event) => light(event.target));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") draws(null); });
  document.addEventListener("submit", (event) => { sent = event.target; });
  window.addEventListener("beforeunload", (event) => {  // what was drawn for one finding is not lost by keeping another
    if (items.some((item) => item.form !== sent && item.isUnsaved())) event.preventDefault();
    sent = null;
  });

  all("figure").forEach((figure) => {
    const stage = figure.querySelector(".stage"), layer = figure.querySelector(".layer");
    let zoom = 1;
    const to = (wanted) => {
      const next = clamped(wanted, 1, MOST), height = stage.clientHeight;
      const middle = [stage.scrollLeft + stage.clientWidth / 2, stage.scrollTop + height / 2].map((value) => value / zoom);
      if (zoom === 1) stage.style.height = `${height}px`;
      zoom = next;
      if (zoom === 1) stage.style.height = "";
      layer.style.width = zoom === 1 ? "" : `${100 * zoom}%`;
      layer.style.setProperty("--zoom", zoom);
      const box = stage.querySelector(".lit .box")?.getBoundingClientRect(), place = layer.getBoundingClientRect();
      const [x, y] = box?.width ? [box.x + box.width / 2 - place.x, box.y + box.height / 2 - place.y] : middle.map((value) => value * zoom);
      stage.scrollTo({ left: x - stage.clientWidth / 2, top: y - height / 2, behavior: "instant" });
    };
    const acts = { in: () => to(zoom * STEP), out: () => to(zoom / STEP), fit: () => to(1) };
    all("[data-zoom]", figure).forEach((button) => button.addEventListener("click", acts[button.dataset.zoom]));
    window.addEventListener("resize", () => { if (zoom !== 1) stage.style.height = `${layer.clientHeight / zoom}px`; });
  });
  all(".tools, .draw").forEach((one) => { one.hidden = false; });
  items.forEach((item) => {  // a browser may have kept what was typed over a reload
    item.onto(picture(item.form.elements.image?.value) ?? item.svg());
    item.choose();
  });
})();
