// The list of captures where scripts run: some 60 rows of it are in the document, the rest is fetched
// by key as one scrolls, or at a share of the whole by the slider. Live, it shows what arrives; rows
// that are read stay where they are, and what is new waits behind a button.

const MOST = 60; // rows in the document
const MORE = 20; // rows that are fetched at a time
const NEAR = 400; // pixels before an end at which more is fetched, at most
const AGAIN_MS = 3000;
const said = new Intl.NumberFormat("en-US");
let current = null; // the list that the document shows

const rowsIn = (html) => {
  const template = document.createElement("template");
  template.innerHTML = html; // by the templates of the page, which escape
  return [...template.content.querySelectorAll("tr")];
};
const before = (row) => {
  const [time, id] = row.dataset.place.split(".");
  return `newest.${time}.${Number(id) + 1}`;
};
const behind = (row) => `newest.${row.dataset.place}`;
const momentOf = (row) => row.querySelector("time").textContent;
const msOf = (row) => Date.parse(row.querySelector("time").dateTime);

class List {
  constructor(box) {
    const given = box.dataset;
    this.box = box;
    this.body = box.querySelector("tbody");
    this.q = given.q;
    this.pin = given.pin;
    this.edge = { newer: given.newer, older: given.older };
    this.first = given.position === "" ? null : Number(given.position); // of the first row
    this.total = given.total === "" ? null : Number(given.total);
    this.about = given.about !== "";
    this.exact = !this.edge.newer; // every row from the newest one on was counted
    this.oldest = Number(given.oldest);
    this.newest = this.rows.length ? msOf(this.rows[0]) : 0;
    this.place = document.getElementById("place");
    this.busy = false;
    this.wanted = null; // the share of the list that the slider asks for
    this.moved = false;
    this.later = 0;
    box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.place.addEventListener("input", () => this.jump(this.place.value / this.place.max));
    this.place.addEventListener("keydown", (event) => {
      const way = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
      if (!way) return;
      event.preventDefault(); // a ten-thousandth may be a part of a row: go by what is in view
      box.scrollTop += way * this.seen * this.height;
    });
    this.look();
  }

  get rows() {
    return [...this.body.rows];
  }

  get height() {
    return this.body.rows[0]?.offsetHeight || 1;
  }

  get top() {
    return Math.min(this.body.rows.length - 1, Math.floor(this.box.scrollTop / this.height + 0.5));
  }

  get seen() {
    const { box } = this;
    if (box.scrollTop + box.clientHeight >= box.scrollHeight - 2) return this.rows.length - this.top;
    const head = box.querySelector("thead").offsetHeight;
    return Math.max(1, Math.round((box.clientHeight - head) / this.height));
  }

  get atTop() {
    return !this.edge.newer && this.box.scrollTop < this.height;
  }

  async ask(given) {
    const address = `/captures/rows?${new URLSearchParams({ q: this.q, ...given })}`;
    const answer = await fetch(address, { headers: { "HX-Request": "true" } });
    const away = answer.headers.get("HX-Redirect");
    if (away) location.assign(away);
    if (away || !answer.ok) throw new Error(answer.statusText);
    return answer.json();
  }

  async busily(work) {
    if (this.busy || !this.box.isConnected) return;
    this.busy = true;
    try {
      await work();
    } catch {
      document.getElementById("at").textContent = "The app does not answer. Scroll to try again.";
      return;
    } finally {
      this.busy = false;
    }
    if (this.wanted !== null) this.jump(this.wanted);
    else this.look();
  }

  extend(way) {
    return this.busily(async () => {
      const piece = await this.ask({ [way]: this.edge[way] });
      this.edge[way] = piece[way];
      this.put(this.fresh(piece.rows), way);
    });
  }

  jump(share) {
    this.wanted = share;
    this.moved = true;
    return this.busily(async () => {
      this.wanted = null;
      const piece = await this.ask({ share });
      this.edge = { newer: piece.newer, older: piece.older };
      this.body.replaceChildren();
      this.put(this.fresh(piece.rows), "older");
      this.exact = !this.edge.newer;
      const known = this.total !== null;
      this.first = known ? Math.round((piece.share ?? 1) * this.total) : null;
      this.box.scrollTop = share >= 1 ? this.box.scrollHeight : 0;
      if (share >= 1 && known) this.first = Math.max(0, this.total - this.body.rows.length);
    });
  }

  // Rows that are not there yet. A live list may have some of them already.
  fresh(html) {
    const known = new Set(this.rows.map((row) => row.dataset.id));
    const rows = rowsIn(html).filter((row) => !known.has(row.dataset.id));
    for (const link of this.pin ? rows.map((row) => row.querySelector("a")) : []) {
      link.search += `&${new URLSearchParams({ pin: this.pin })}`;
      link.setAttribute("hx-get", link.getAttribute("href"));
    }
    return rows;
  }

  // Rows at an end; as many leave at the other one, and nothing in view moves.
  put(rows, way, keep = true) {
    const { box, body } = this;
    const from = box.scrollHeight;
    if (way === "newer") body.prepend(...rows);
    else body.append(...rows);
    for (const row of rows) window.htmx?.process(row);
    if (way === "newer") {
      if (keep) box.scrollTop += box.scrollHeight - from;
      if (this.first !== null && keep) this.first = Math.max(0, this.first - rows.length);
    }
    const left = this.rows.slice(...(way === "newer" ? [MOST] : [0, Math.max(0, body.rows.length - MOST)]));
    if (rows.length) {
      box.parentElement.hidden = false;
      document.getElementById("none")?.remove();
    }
    if (!left.length) return;
    if (left.some((row) => row.contains(document.activeElement))) box.focus({ preventScroll: true });
    const full = box.scrollHeight;
    const at = box.scrollTop;
    for (const row of left) row.remove();
    if (way === "newer") this.edge.older = behind(body.rows[MOST - 1]);
    else {
      box.scrollTop = at - (full - box.scrollHeight);
      this.edge.newer = before(body.rows[0]);
      if (this.first !== null) this.first += left.length;
    }
  }

  scrolled() {
    this.moved = true;
    this.look();
    clearTimeout(this.later);
    this.later = setTimeout(() => this.address(), 200);
  }

  look() {
    const { box, edge } = this;
    const all = this.rows;
    if (!all.length || !box.isConnected) return;
    const long = Boolean(edge.newer || edge.older || all.length >= MOST);
    box.parentElement.classList.toggle("long", long);
    this.place.hidden = !long;
    if (!edge.newer) [this.first, this.exact] = [this.total === null ? null : 0, true];
    if (!edge.older && this.first !== null) {
      if (this.exact) [this.total, this.about] = [this.first + all.length, false];
      else this.first = Math.max(0, this.total - all.length);
    }
    this.tell(all);
    // Rows that came at one end must not bring the view near the other one, or both take turns.
    const near = Math.min(NEAR, ((MOST - MORE) * this.height - box.clientHeight) / 2);
    if (edge.older && box.scrollHeight - box.scrollTop - box.clientHeight < near) this.extend("older");
    else if (edge.newer && box.scrollTop < near) this.extend("newer");
  }

  tell(all) {
    const top = this.top;
    const seen = this.seen;
    const now = msOf(all[top]);
    this.newest = Math.max(this.newest, now);
    let where = momentOf(all[top]);
    let share = (this.newest - now) / Math.max(1, this.newest - this.oldest);
    if (this.first !== null && this.total !== null) {
      const from = this.first + top;
      share = from / Math.max(1, this.total - seen);
      const about = this.about || !this.exact ? "about " : "";
      const to = Math.min(this.total, from + Math.min(seen, all.length - top));
      document.getElementById("at").textContent =
        `${about}${said.format(from + 1)} to ${said.format(to)} of ${said.format(this.total)}`;
      where = `${about}${said.format(from + 1)} of ${said.format(this.total)}, ${where}`;
    } else if (this.moved) document.getElementById("at").textContent = `from ${where}`;
    if (this.wanted === null) this.place.value = Math.round(Math.min(1, share) * this.place.max);
    this.place.setAttribute("aria-valuetext", where);
    this.body.parentElement.setAttribute("aria-rowcount", this.total === null ? -1 : this.total + 1);
    all.forEach((row, n) => {
      if (this.first === null) row.removeAttribute("aria-rowindex");
      else row.setAttribute("aria-rowindex", this.first + n + 2);
    });
    const older = document.querySelector(".pager [rel=next]");
    if (older && this.edge.older) {
      older.href = `/captures?${new URLSearchParams({ q: this.q, cursor: this.edge.older })}`;
    }
  }

  // The address of what is in view: to share, and for the way back.
  address() {
    if (!this.box.isConnected || location.pathname !== "/captures") return;
    const url = new URL(location);
    const wanted = {
      cursor: this.atTop || !this.rows.length ? null : before(this.rows[this.top]),
      tail: this.tail?.on ? "1" : null,
    };
    let same = true;
    for (const [name, value] of Object.entries(wanted)) {
      if (url.searchParams.get(name) === value) continue;
      same = false;
      if (value) url.searchParams.set(name, value);
      else url.searchParams.delete(name);
    }
    if (!same) history.replaceState(history.state, "", url);
  }

  move(by) {
    const all = this.rows;
    const on = all.findIndex((row) => row.classList.contains("at") || row.contains(document.activeElement));
    const open = all.findIndex((row) => row.classList.contains("open"));
    const from = on >= 0 ? on + by : open >= 0 ? open + by : this.top;
    const to = Math.max(0, Math.min(all.length - 1, from));
    all.forEach((row, n) => row.classList.toggle("at", n === to));
    all[to]?.querySelector("a")?.focus();
  }
}

class Tail {
  constructor(list) {
    this.list = list;
    this.last = list.box.dataset.arrival;
    this.said = document.getElementById("live-said");
    this.fresh = document.getElementById("fresh");
    this.button = document.createElement("button");
    Object.assign(this.button, { type: "button", id: "live", className: "button quiet", textContent: "Live" });
    document.getElementById("live").replaceWith(this.button);
    this.on = false;
    this.source = null;
    this.waiting = this.unread = 0;
    this.button.addEventListener("click", () => this.turn(!this.on));
    this.fresh.addEventListener("click", () => this.show(true));
    this.turn(list.box.dataset.tail !== "");
  }

  turn(on) {
    this.on = on;
    this.button.setAttribute("aria-pressed", on);
    if (on) this.open();
    else {
      this.close();
      this.say("");
    }
    this.list.address();
  }

  say(text) {
    if (this.said.textContent !== text) this.said.textContent = text;
  }

  open() {
    if (!this.on || this.source || document.hidden || !this.list.box.isConnected) return;
    const given = new URLSearchParams({ q: this.list.q, after: this.last });
    const source = (this.source = new EventSource(`/captures/tail?${given}`));
    source.addEventListener("open", () => this.say("Following."));
    source.addEventListener("rows", (event) => {
      this.last = event.lastEventId;
      this.take(JSON.parse(event.data));
    });
    source.addEventListener("end", (event) => {
      const { said, hint } = JSON.parse(event.data);
      this.turn(false);
      this.say([said, hint].filter(Boolean).join(" ") + " No longer following.");
    });
    source.addEventListener("error", () => {
      this.say("The connection broke. Trying again.");
      if (source.readyState !== EventSource.CLOSED) return; // the browser tries again
      this.close();
      setTimeout(() => this.open(), AGAIN_MS);
    });
  }

  close() {
    this.source?.close();
    this.source = null;
  }

  get reading() {
    const { list } = this;
    const chosen = getSelection();
    return (
      !list.atTop || list.busy || list.body.matches(":hover") ||
      list.body.contains(document.activeElement) ||
      (!chosen.isCollapsed && list.box.contains(chosen.anchorNode))
    );
  }

  take({ rows, shown, of, unread }) {
    const { list } = this;
    if (!list.box.isConnected) return this.close();
    const fresh = list.fresh(rows);
    const count = of - (shown - fresh.length);
    if (list.total !== null) list.total += of;
    this.unread += unread;
    document.dispatchEvent(new Event("telemock:arrived"));
    const wait = this.reading || this.waiting > 0;
    if (wait) {
      this.waiting += count;
      if (this.reading && list.first !== null) list.first += list.atTop ? 0 : count;
      if (this.reading) list.tell(list.rows);
      else this.show(false);
    } else {
      list.put(fresh, "newer", false);
      list.box.scrollTop = 0;
      if (shown < of || unread) list.about = true;
      list.look();
    }
    this.fresh.hidden = !this.waiting;
    this.fresh.textContent = `${said.format(this.waiting)} new`;
    const sample = !wait && shown < of ? ` Showing 1 of ${said.format(Math.round(of / shown))}.` : "";
    const more = this.unread ? ` ${said.format(this.unread)} more arrived than were looked at.` : "";
    this.say(`Following.${sample}${more}`);
  }

  async show(byHand) {
    this.waiting = 0;
    this.fresh.hidden = true;
    await this.list.jump(0);
    if (byHand) this.list.box.focus({ preventScroll: true });
  }
}

function begin() {
  const box = document.getElementById("list");
  if (!box || box === current?.box) return;
  current?.tail.close();
  current = new List(box);
  current.tail = new Tail(current);
}

begin();
document.addEventListener("htmx:after:swap", (event) => {
  begin();
  if (event.detail.ctx?.target?.id === "main") document.getElementById("main").focus();
});
document.addEventListener("htmx:after:history:push", () => current?.address());
document.addEventListener("click", () => current?.address(), { capture: true });
document.addEventListener("visibilitychange", () => {
  if (document.hidden) current?.tail.close();
  else current?.tail.open();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select")) return;
  if (event.key === "j") current?.move(1);
  else if (event.key === "k") current?.move(-1);
});
