"use strict";
(() => {
  const STEP = 1.25, MOST = 8;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const [brightness, contrast] = ["brightness", "contrast"].map((name) => document.querySelector(`input[name=${name}]`));

  const light = (target) => {
    const number = target.closest?.("[data-finding]")?.dataset.finding;
    all("[data-finding]").forEach((item) => item.classList.toggle("lit", item.dataset.finding === number));
  };
  let place = "";
  const moved = ({ screenX, screenY }) => place !== (place = `${screenX},${screenY}`);
  document.addEventListener("pointermove", moved);
  document.addEventListener("pointerover", (event) => {  // a page that scrolls to what has focus moves under a still pointer
    if (moved(event) || !document.activeElement?.closest("[data-finding]")) light(event.target);
  });
  document.addEventListener("focusin", (event) => light(event.target));
  document.addEventListener("focusout", () => light(document));

  const shade = () => {
    const plain = brightness.value === "100" && contrast.value === "100";
    const filter = plain ? "" : `brightness(${brightness.value}%) contrast(${contrast.value}%)`;
    all(".layer img").forEach((image) => { image.style.filter = filter; });
  };
  [brightness, contrast].forEach((slider) => slider.addEventListener("input", shade));
  document.querySelector(".reset").addEventListener("click", () => {
    brightness.value = contrast.value = 100;
    shade();
  });
  document.querySelector(".boxes")?.addEventListener("click", ({ currentTarget: button }) => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", shown);
    document.body.classList.toggle("bare", !shown);
  });

  const zoomable = (figure) => {
    const stage = figure.querySelector(".stage"), layer = figure.querySelector(".layer");
    let zoom = 1, fit = null, width = window.innerWidth;
    const fitted = () => {
      zoom = 1;
      stage.classList.remove("zoomed");
      stage.style.height = layer.style.width = "";
      layer.style.removeProperty("--zoom");
    };
    const to = (wanted, x = stage.clientWidth / 2, y = stage.clientHeight / 2) => {
      const next = Math.min(wanted, MOST);
      if (next <= 1.001) return fitted();
      if (zoom === 1) fit = { width: layer.clientWidth, height: layer.clientHeight };
      const across = (stage.scrollLeft + x - layer.offsetLeft) / layer.clientWidth;
      const down = (stage.scrollTop + y) / layer.clientHeight;
      zoom = next;
      stage.classList.add("zoomed");
      stage.style.height = `${fit.height}px`;
      layer.style.width = `${fit.width * zoom}px`;
      layer.style.setProperty("--zoom", zoom);
      stage.scrollLeft = across * layer.clientWidth + layer.offsetLeft - x;
      stage.scrollTop = down * layer.clientHeight - y;
    };
    const acts = { in: () => to(zoom * STEP), out: () => to(zoom / STEP), fit: fitted };
    const keys = { "+": "in", "=": "in", "-": "out", "0": "fit" };
    all("[data-zoom]", figure).forEach((button) => button.addEventListener("click", acts[button.dataset.zoom]));
    stage.tabIndex = 0;
    stage.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      acts[keys[event.key]]();
    });
    stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      const place = stage.getBoundingClientRect();
      to(event.deltaY < 0 ? zoom * STEP : zoom / STEP, event.clientX - place.left, event.clientY - place.top);
    }, { passive: false });
    let held = null;
    stage.addEventListener("pointerdown", (event) => {
      if (zoom === 1 || event.button !== 0 || event.pointerType !== "mouse") return;
      held = event.pointerId;
      stage.setPointerCapture(held);
    });
    stage.addEventListener("pointermove", (event) => {
      if (event.pointerId === held) stage.scrollBy({ left: -event.movementX, top: -event.movementY, behavior: "instant" });
    });
    ["pointerup", "pointercancel"].forEach((name) => stage.addEventListener(name, () => { held = null; }));
    window.addEventListener("resize", () => {  // a bar of a telephone's browser that comes and goes changes the height
      if (window.innerWidth !== width) fitted();
      width = window.innerWidth;
    });
  };
  all(".pictures figure").forEach(zoomable);
  shade();  // a browser may have kept the sliders' values over a reload
  all(".tools").forEach((tools) => { tools.hidden = false; });
})();
