// A time range is chosen on the chart by drawing over it. The dates beside it do the same by keys.

const steps = (svg) => Number(svg.dataset.steps);
const clamp = (value, most) => Math.max(0, Math.min(most, value));

for (const svg of document.querySelectorAll("svg[data-steps]")) {
  const { width, height, x, y } = svg.viewBox.baseVal;
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  let from = null; // the step that drawing began at

  const stepAt = (event) => {
    const box = svg.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    return clamp(Math.floor(share * steps(svg)), steps(svg) - 1);
  };
  const range = (event) => [from, stepAt(event)].sort((a, b) => a - b);
  const end = () => {
    from = null;
    mark.remove();
  };

  mark.setAttribute("class", "brush");
  mark.setAttribute("y", y);
  mark.setAttribute("height", height);
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    from = stepAt(event);
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const [first, last] = range(event);
    const step = width / steps(svg);
    mark.setAttribute("x", x + first * step);
    mark.setAttribute("width", (last - first + 1) * step);
    svg.append(mark);
  });
  svg.addEventListener("pointerup", (event) => {
    if (from === null) return;
    const drawn = mark.isConnected;
    const [first, last] = range(event);
    end();
    if (!drawn) return; // a click
    const begin = Number(svg.dataset.begin);
    const step = Number(svg.dataset.step);
    const url = new URL(location);
    url.searchParams.set("since", new Date(begin + first * step).toISOString());
    url.searchParams.set("until", new Date(begin + (last + 1) * step).toISOString());
    location.assign(url);
  });
  svg.addEventListener("pointercancel", end);
  document.addEventListener("keydown", (event) => event.key === "Escape" && end());
}
