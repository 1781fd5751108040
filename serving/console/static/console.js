// Two comforts on top of pages that work without any script: a choice of month is sent at once, and the arrow keys
// walk through the cells of the heat map.
"use strict";

for (const choice of document.querySelectorAll("select[data-submit]")) {
  choice.addEventListener("change", () => choice.form.requestSubmit());
  choice.form.querySelector("button").hidden = true;
}

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

for (const grid of document.querySelectorAll("table[data-grid] tbody")) {
  const rows = Array.from(grid.rows, (row) => Array.from(row.querySelectorAll("a")));
  grid.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    const row = rows.findIndex((links) => links.includes(event.target));
    if (row < 0) return;
    const next = rows[row + step[0]]?.[rows[row].indexOf(event.target) + step[1]];
    if (next) {
      next.focus();
      event.preventDefault();
    }
  });
}
