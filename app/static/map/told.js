/* What a map tells the server, and writes to the address of the page that it is on. */
"use strict";

window.cspTold = (() => {
  // Until the server answers, nothing but clicks is told; so long it is waited for, and looked so
  // often, milliseconds.
  const ANSWER_WAIT = 20000, LOOK = 50;
  // Degrees by which the server may round a place.
  const ROUNDED = 1e-4;
  // Up to this zoom a thousandth of a degree is a few pixels.
  const FAR = 12;
  const BUSY = ["running", "rerunRequested"];

  /* Where the map looks, as the address has it. */
  function view(map) {
    const centre = map.wrapLatLng(map.getCenter());
    const digits = map.getZoom() > FAR ? 5 : 3;
    const text = `${centre.lat.toFixed(digits)}_${centre.lng.toFixed(digits)}`;
    return { centre: text, zoom: String(map.getZoom()) };
  }

  /* Parts of the address, or of what stands for it; null for what is not there. */
  function parts(names, text = null) {
    let given = new URLSearchParams();
    try {
      given = new URLSearchParams(text === null ? window.parent.location.search : text);
    } catch (error) { /* a frame of another origin does not see the address */ }
    return Object.fromEntries(names.map((name) => [name, given.get(name)]));
  }

  const placeNow = () => parts(["lat", "lon"]);

  /* Write parts of the address without a step of the browser's history: the server, which is told
     next, writes the same, and that makes no step either. */
  function writeAddress(given) {
    try {
      const page = window.parent, address = new URL(page.location.href);
      for (const [name, value] of Object.entries(given)) {
        if (value === null) address.searchParams.delete(name);
        else address.searchParams.set(name, value);
      }
      page.history.replaceState(page.history.state, "", address);
    } catch (error) { /* in a frame of another origin the server alone writes it */ }
  }

  /* Whether two places are the same but for what the server may round. */
  function same(one, other) {
    const equal = (name) => one[name] === other[name]
      || (one[name] !== null && other[name] !== null
        && Math.abs(one[name] - other[name]) < ROUNDED);
    return ["lat", "lon"].every(equal);
  }

  /* Whether parts of an address have a map look to where it does. */
  const looks = (given, seen) => given.centre === seen.centre && given.zoom === seen.zoom;

  /* Tell the server what was picked and what is seen. The component that holds the map waits a
     quarter of a second before it tells a click, and never tells the centre without a click. */
  function tell(map, picked) {
    if (picked) {
      const { lat, lng } = map.wrapLatLng(picked);
      map.cspPicked = { lat, lng, count: map.cspPicked ? map.cspPicked.count + 1 : 1 };
      // To the step that is left now, so that Back leads to this view too.
      writeAddress(view(map));
    }
    const { centre, zoom } = view(map);
    const place = picked ? { lat: map.cspPicked.lat, lon: map.cspPicked.lng } : placeNow();
    map.cspAwaits = map.cspHears ? { ...place, centre, zoom } : null;
    map.cspSince = Date.now();
    window.Streamlit.setComponentValue({
      last_clicked: map.cspPicked || null,
      zoom: map.getZoom(),
      centre,
      // Two words that are alike would call for no answer.
      told: map.cspWords = (map.cspWords || 0) + 1,
    });
  }

  /* Hear the server's answers: its word on the address, of which the page tells whoever embeds it,
     and itself, whether or not the address changes by it. */
  function listen(map) {
    const heard = ({ data }) => {
      if (!map.cspAwaits || !data || data.type !== "SET_QUERY_PARAM") return;
      const answer = parts(["lat", "lon", "centre", "zoom"], data.queryParams);
      if (looks(answer, map.cspAwaits) && same(answer, map.cspAwaits)) map.cspAwaits = null;
    };
    try {
      const page = window.parent;
      page.addEventListener("message", heard);
      window.addEventListener("pagehide", () => page.removeEventListener("message", heard));
      map.cspHears = true;
    } catch (error) { /* in a frame of another origin nothing can be heard */ }
  }

  /* Whether the server's last answer is on its way, or the page is not yet all drawn by it: until
     then the page would tell the server, with the next word, an address and numbers of before. */
  function unanswered(map) {
    if (map.cspAwaits) return true;
    try {
      const page = window.parent.document.querySelector("[data-test-script-state]");
      return page !== null && BUSY.includes(page.dataset.testScriptState);
    } catch (error) {
      return false;
    }
  }

  /* Once the server has answered what it was told before, write to the address and tell it what is
     seen, and what was taken back. Told at once, the answers would cross: a late one that says what
     the address no longer is makes one more step of the browser's history, and undoes what the
     visitor did since. */
  function later(map, takenBack = null) {
    if (takenBack) map.cspBack = takenBack;
    clearTimeout(map.cspLater);
    const since = Date.now();
    let calm = 0;
    const look = () => {
      calm = unanswered(map) ? 0 : calm + 1;
      // Twice, as the page takes a moment to take over what has come.
      const over = Date.now() - Math.max(since, map.cspSince || 0) > ANSWER_WAIT;
      if (calm < 2 && !over) {
        map.cspLater = setTimeout(look, LOOK);
        return;
      }
      const back = map.cspBack && map.cspBack();
      map.cspBack = null;
      const seen = view(map);
      if (!back && looks(parts(["centre", "zoom"]), seen)) return;
      writeAddress({ ...back, ...seen });
      tell(map);
    };
    look();
  }

  return { later, listen, placeNow, same, tell };
})();
