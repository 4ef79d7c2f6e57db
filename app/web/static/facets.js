// The counts beside a live list, asked for anew now and then; not while they are used.

const EVERY_MS = 3000;
let later = 0;

const used = (box) => box.matches(":hover") || box.contains(document.activeElement);

async function count() {
  later = 0;
  const box = document.getElementById("facets");
  const list = document.getElementById("list");
  if (!box || !list) return;
  if (document.hidden || used(box)) {
    wait();
    return;
  }
  const { q } = list.dataset;
  try {
    const answer = await fetch(`/captures/counts?${new URLSearchParams({ q })}`, {
      headers: { "HX-Request": "true" },
    });
    if (answer.status !== 200) return; // the list's own stream says what is wrong
    const html = await answer.text();
    if (!box.isConnected || q !== document.getElementById("list")?.dataset.q) return;
    if (used(box)) {
      wait();
      return;
    }
    box.innerHTML = html; // by the templates of the page, which escape
    window.htmx?.process(box);
  } catch {
    wait();
  }
}

function wait() {
  later ||= setTimeout(count, EVERY_MS);
}

document.addEventListener("telemock:arrived", wait);
