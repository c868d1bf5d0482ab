"use strict";
(() => {
  const body = document.querySelector("tbody"), shown = document.querySelector(".shown");
  const search = document.querySelector("input[name=text]"), boxes = [...document.querySelectorAll("input[name=band]")];
  const heads = [...document.querySelectorAll("th")];
  const rows = [...body.rows].map((row) => ({
    row, band: row.dataset.band, text: row.textContent.toLowerCase(),
    keys: [...row.cells].map((cell) => cell.dataset.key ?? cell.textContent.trim()),
  }));
  const words = new Intl.Collator(document.documentElement.lang, { numeric: true });

  const filter = () => {
    const bands = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const wanted = search.value.toLowerCase().split(/\s+/);
    let count = 0;
    for (const { row, band, text } of rows) {
      row.hidden = !bands.has(band) || !wanted.every((word) => text.includes(word));
      if (!row.hidden) count += 1;
    }
    shown.textContent = shown.dataset.words.replace("{n}", count).replace("{total}", rows.length);
  };

  const sort = (column) => {
    const head = heads[column], number = head.dataset.sort === "number", before = head.getAttribute("aria-sort");
    const up = before ? before === "descending" : !number;  // words from A on, numbers from the greatest on
    const sign = up ? 1 : -1, order = number ? (a, b) => a - b : words.compare;
    rows.sort(({ keys: { [column]: a } }, { keys: { [column]: b } }) => {
      if (a === "" || b === "") return (a === "") - (b === "");  // what isn't known comes last, either way
      return sign * order(a, b);
    });
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    body.append(...rows.map(({ row }) => row));
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(column));
    head.replaceChildren(button);
  });
  search.addEventListener("input", filter);
  boxes.forEach((box) => box.addEventListener("change", filter));
  document.querySelector(".tools").hidden = false;
  filter();
})();
