// The filter's field as a combobox: the app completes names, operators and known values at the caret.

const WAIT_MS = 60;

function begin() {
  const field = document.getElementById("q");
  const list = document.getElementById("q-offers");
  if (!field || !list || field.getAttribute("role")) return;
  let offers = [];
  let head = ""; // what stands before the completed part
  let at = -1;
  let asked = 0;
  let later = 0;

  const show = () => {
    list.hidden = !offers.length;
    field.setAttribute("aria-expanded", !list.hidden);
    list.replaceChildren(
      ...offers.map((offer, n) => {
        const item = document.createElement("li");
        const says = document.createElement("span");
        const text = document.createElement("bdi");
        Object.assign(item, { id: `q-offer-${n}`, role: "option", ariaSelected: n === at });
        text.textContent = offer.text;
        says.textContent = offer.says;
        item.append(text, says);
        item.addEventListener("pointerdown", (event) => {
          event.preventDefault(); // the field keeps the focus
          take(offer);
        });
        return item;
      }),
    );
    if (at < 0) field.removeAttribute("aria-activedescendant");
    else {
      field.setAttribute("aria-activedescendant", `q-offer-${at}`);
      list.children[at].scrollIntoView({ block: "nearest" });
    }
  };

  const close = () => {
    clearTimeout(later);
    asked += 1;
    offers = [];
    at = -1;
    show();
  };

  const ask = async () => {
    const text = field.value.slice(0, field.selectionStart);
    const number = (asked += 1);
    try {
      const answer = await fetch(`/captures/words?${new URLSearchParams({ q: text })}`, {
        headers: { "HX-Request": "true" },
      });
      if (number !== asked || answer.status !== 200) return;
      const found = await answer.json();
      if (number !== asked || document.activeElement !== field) return;
      head = [...text].slice(0, found.begin).join("");
      offers = found.offers;
      at = -1;
      show();
    } catch {
      close();
    }
  };

  const take = (offer) => {
    const rest = field.value.slice(field.selectionStart).replace(/^[^\s]*/, "");
    const open = /[:=<>]$/.test(offer.text);
    const text = head + offer.text + (open || rest ? "" : " ");
    field.value = text + rest;
    field.setSelectionRange(text.length, text.length);
    close();
    if (open) ask();
  };

  field.setAttribute("role", "combobox");
  field.setAttribute("aria-autocomplete", "list");
  field.setAttribute("aria-controls", list.id);
  field.setAttribute("aria-expanded", "false");
  field.addEventListener("input", () => {
    clearTimeout(later);
    later = setTimeout(ask, WAIT_MS);
  });
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (list.hidden) {
        ask();
        return;
      }
      const ends = offers.length + 1; // one place is the field itself
      at = ((at + 1 + step + ends) % ends) - 1;
      show();
    } else if (event.key === "Enter" && at >= 0) {
      event.preventDefault();
      take(offers[at]);
    } else if (event.key === "Escape" && !list.hidden) {
      event.stopPropagation();
      close();
    }
  });
}

begin();
document.addEventListener("htmx:after:swap", begin);
