// Keys for the inbox: j and k move, a, w and o decide on the row, n opens its note. Forms do the same.

const verbs = { a: "accepted", w: "watched", o: "objected" };
const rows = [...document.querySelectorAll(".items tbody tr")];
let at = -1;

function move(by) {
  if (!rows.length) return;
  at = Math.max(0, Math.min(rows.length - 1, at + by));
  rows.forEach((row, n) => row.classList.toggle("at", n === at));
  rows[at].querySelector("a")?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select")) return;
  const row = event.target.closest(".items tbody tr") ?? rows[at];
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (row && verbs[event.key]) row.querySelector(`button[value=${verbs[event.key]}]`)?.click();
  else if (row && event.key === "n") {
    const note = row.querySelector("details");
    if (!note) return;
    event.preventDefault();
    note.open = true;
    note.querySelector("textarea").focus();
  }
});
