// A text box becomes a combobox: what is typed is asked for, and the answers stand below it.
// Keys and typing are listened for on the document, before Streamlit hears of them, as it may
// build the box anew at any time.
const WAIT = 120;

export default function ({ parentElement, data, setTriggerValue }) {
  // Streamlit calls this again after each change of theme or data.
  parentElement.stopPlaceList?.();
  const list = parentElement.querySelector("ul");
  const said = parentElement.querySelector("[role=status]");
  const gone = new AbortController();
  let places = [], active = -1, timer = 0, asking = null;

  list.id = `${data.box}-places`;
  const box = () => document.querySelector(`.st-key-${data.box} input`);
  const isBox = (event) => event.target === box();

  function mark(input) {
    const open = !list.hidden;
    const values = {
      role: "combobox",
      "aria-autocomplete": "list",
      "aria-controls": list.id,
      "aria-expanded": String(open),
      "aria-activedescendant": open && active >= 0 ? `${list.id}-${active}` : null,
    };
    for (const [name, value] of Object.entries(values)) {
      if (value === null) input.removeAttribute(name);
      else input.setAttribute(name, value);
    }
  }

  function show() {
    list.hidden = places.length === 0;
    list.replaceChildren(...places.map((place, number) => {
      const item = document.createElement("li");
      item.id = `${list.id}-${number}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", "false");
      item.textContent = place.label;
      return item;
    }));
    move(-1);
  }

  function move(to) {
    active = to;
    [...list.children].forEach((item, number) => {
      item.setAttribute("aria-selected", String(number === active));
      if (number === active) item.scrollIntoView({ block: "nearest" });
    });
    const input = box();
    if (input) mark(input);
  }

  function close() {
    clearTimeout(timer);
    asking?.abort();
    places = [];
    said.textContent = "";
    show();
  }

  async function ask() {
    clearTimeout(timer);
    asking?.abort();
    const text = box()?.value.trim() ?? "";
    if (!text) return close();
    asking = new AbortController();
    try {
      const url = `${data.address}?q=${encodeURIComponent(text.slice(0, 100))}`;
      const answer = await fetch(url, { signal: asking.signal });
      if (!answer.ok) return close();
      const found = (await answer.json()).places;
      if (document.activeElement !== box()) return;
      places = found;
      show();
      const count = places.length;
      said.textContent = count ? `${count} ${count > 1 ? "places" : "place"}, arrow keys choose` : "";
    } catch (error) {
      if (error.name !== "AbortError") close();
    }
  }

  function pick(place) {
    const input = box();
    // React hears of a value only if it is set past its own property.
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, place.label);
    input.dispatchEvent(new Event("input", { bubbles: true }));
    close();
    setTriggerValue("picked", place);
  }

  function onKey(event) {
    if (!isBox(event) || event.isComposing) return;
    const last = places.length - 1;
    if (event.key === "ArrowDown" && list.hidden) ask();
    else if (event.key === "ArrowDown") move(active >= last ? 0 : active + 1);
    else if (event.key === "ArrowUp" && !list.hidden) move(active <= 0 ? last : active - 1);
    else if (event.key === "Escape" && !list.hidden) close();
    else if (event.key === "Enter" && active >= 0) pick(places[active]);
    else {
      // The text as it stands is looked up by the page.
      if (event.key === "Enter") close();
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  function onInput(event) {
    if (!isBox(event) || !event.isTrusted) return;
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT);
  }

  const on = (target, name, does) =>
    target.addEventListener(name, does, { capture: true, signal: gone.signal });
  on(document, "keydown", onKey);
  on(document, "input", onInput);
  on(document, "focusin", (event) => isBox(event) && mark(event.target));
  on(document, "focusout", (event) => isBox(event) && close());
  // The box keeps the focus, else it would report the unfinished text.
  on(list, "mousedown", (event) => event.preventDefault());
  on(list, "click", (event) => {
    const number = [...list.children].indexOf(event.target.closest("li"));
    if (number >= 0) pick(places[number]);
  });
  if (box()) mark(box());

  parentElement.stopPlaceList = () => {
    clearTimeout(timer);
    asking?.abort();
    gone.abort();
  };
  return parentElement.stopPlaceList;
}
