// What the page adds where scripts run: it opens links by code at once, has keys for the filter and
// its help, and copies. Everything here is also done without it.

const rows = () => [...document.querySelectorAll(".rows tbody tr")];
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest("input, textarea, select");
  if (event.key === "Escape") {
    if (typing) typing.blur();
    else document.querySelector("#detail [data-close]")?.click();
    return;
  }
  if (typing) return;
  if (event.key === "/") {
    const find = document.querySelector("#q");
    if (find) {
      event.preventDefault();
      find.focus();
      find.select();
    }
  } else if (event.key === "?") {
    const help = document.querySelector("#help");
    if (help) {
      help.open = !help.open;
      help.querySelector("summary").focus();
    }
  }
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy)?.textContent ?? "";
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select the text and copy it";
  }
});

document.addEventListener("htmx:after:swap", () => {
  const open = new URLSearchParams(location.search).get("open");
  rows().forEach((row) => row.classList.toggle("open", row.dataset.id === open));
  if (open) document.querySelector("#detail h2")?.focus();
});

const started = () => {
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
  document.getElementById("code-form")?.requestSubmit();
};
started();
document.addEventListener("htmx:after:swap", started);
