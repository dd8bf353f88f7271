/* What the app's maps do beyond Leaflet: clicks that wait, wheel and touch that leave the page its
   own, keys, a view that is told to the server, and a finer world once one looks closer. */
"use strict";

window.cspMap = (() => {
  // So long after a click a second one makes it a double click, milliseconds; a hint is shown longer.
  const CLICK_WAIT = 280, MOVE_WAIT = 500, HINT = 1800;
  // A slow hand's second click comes after that, and the server's word on the first one, it may be,
  // after both; so long it is waited for.
  const ANSWER_WAIT = 5000;
  // Pixels between the two clicks of a double click.
  const NEAR = 24;

  /* Say something over the map for a moment. */
  function hint(map, text) {
    let box = map.getContainer().querySelector(".csp-hint");
    if (!box) {
      box = L.DomUtil.create("div", "csp-hint", map.getContainer());
      box.setAttribute("role", "status");
    }
    box.textContent = text;
    box.classList.add("csp-shown");
    clearTimeout(box.timer);
    box.timer = setTimeout(() => box.classList.remove("csp-shown"), HINT);
  }

  /* Where the map looks, as the address has it. */
  function seen(map) {
    const centre = map.wrapLatLng(map.getCenter());
    return `${centre.lat.toFixed(3)}_${centre.lng.toFixed(3)}`;
  }

  function view(map) {
    return { centre: seen(map), zoom: String(map.getZoom()) };
  }

  /* Write parts of the address without a step of the browser's history: the server, which is told
     next, writes the same, and that makes no step either. */
  function writeAddress(parts) {
    try {
      const page = window.parent, address = new URL(page.location.href);
      for (const [name, value] of Object.entries(parts)) {
        if (value === null) address.searchParams.delete(name);
        else address.searchParams.set(name, value);
      }
      page.history.replaceState(page.history.state, "", address);
    } catch (error) { /* in a frame of another origin the server alone writes it */ }
  }

  /* Latitude and longitude of the address as they are written there, as text. */
  function placeNow() {
    try {
      const given = new URL(window.parent.location.href).searchParams;
      return JSON.stringify([given.get("lat"), given.get("lon")]);
    } catch (error) {
      return "[null, null]";
    }
  }

  /* Tell the server what was picked and what is seen. The component that holds the map waits a
     quarter of a second before it tells a click, and never tells the centre without a click. */
  function tell(map, picked) {
    if (picked) {
      const { lat, lng } = map.wrapLatLng(picked);
      map.cspPicked = { lat, lng, count: map.cspPicked ? map.cspPicked.count + 1 : 1 };
    }
    window.Streamlit.setComponentValue({
      last_clicked: map.cspPicked || null,
      zoom: map.getZoom(),
      centre: seen(map),
    });
  }

  /* Hold a click back until it is no double click, which zooms and picks nothing. The second click
     of a slow hand takes back what the first one picked. */
  function patientClicks(map) {
    const fire = map.fire;
    let waiting = null, before = null, told = null;
    const pick = (spot) => {
      waiting = null;
      told = placeNow();
      tell(map, spot);
    };
    // The server's own word on the click is awaited: after this one it would be one more step of the
    // browser's history.
    const undo = (place, count, last) => {
      map.cspUndoes = map.cspPicked.count === count && placeNow() === place && Date.now() < last;
      if (map.cspUndoes) setTimeout(undo, 50, place, count, last);
      if (map.cspUndoes || map.cspPicked.count !== count) return;
      const [lat, lon] = JSON.parse(place);
      // With where the map is, as the server is told that too.
      writeAddress({ lat, lon, ...view(map) });
      tell(map);
    };
    const takeBack = () => {
      clearTimeout(waiting);
      waiting = null;
      if (told !== null) {
        map.cspPicked = { ...map.cspPicked, undone: true };
        undo(told, map.cspPicked.count, Date.now() + ANSWER_WAIT);
      }
      told = null;
    };
    map.fire = function (type, data, propagate) {
      if (type === "dblclick") takeBack();
      if (type !== "click" || !data || !data.latlng) return fire.call(map, type, data, propagate);
      const double = waiting !== null && before.distanceTo(data.containerPoint) < NEAR;
      if (double || (data.originalEvent && data.originalEvent.detail > 1)) {
        takeBack();
        return map;
      }
      clearTimeout(waiting);
      // What was picked before is no part of a double click that begins here.
      told = null;
      before = data.containerPoint;
      waiting = setTimeout(pick, CLICK_WAIT, data.latlng);
      return map;
    };
  }

  /* Tell the server where the map is after the visitor, and nobody else, has moved it. */
  function toldMoves(map) {
    const setView = map.setView;
    let timer = null, own = false;
    map.setView = function (...given) {
      // The component moves the map to a typed place by these two alone.
      own = given.length === 2;
      return setView.apply(map, given);
    };
    map.on("moveend", () => {
      const quiet = own || map.cspQuiet;
      own = false;
      clearTimeout(timer);
      if (quiet) return;
      timer = setTimeout(() => {
        if (map.cspUndoes) return;  // it is told with the pin
        writeAddress(view(map));
        tell(map);
      }, MOVE_WAIT);
    });
  }

  /* The wheel scrolls the page, and zooms with Ctrl; one finger scrolls it, and two move the map. */
  function politeWheel(map, words) {
    const wheel = map.scrollWheelZoom, zoom = wheel._onWheelScroll;
    wheel.disable();
    wheel._onWheelScroll = function (event) {
      if (event.ctrlKey || event.metaKey) zoom.call(this, event);
      else hint(map, words.wheel);
    };
    wheel.enable();
    if (!matchMedia("(pointer: coarse)").matches) return;
    map.dragging.disable();
    let begin = null;
    const box = map.getContainer();
    const at = (event) => [event.touches[0].clientX, event.touches[0].clientY];
    box.addEventListener("touchstart", (event) => {
      begin = event.touches.length === 1 ? at(event) : null;
    }, { passive: true });
    box.addEventListener("touchmove", (event) => {
      if (!begin || event.touches.length !== 1) return;
      const [x, y] = at(event);
      if (Math.hypot(x - begin[0], y - begin[1]) > 30) hint(map, words.touch);
    }, { passive: true });
  }

  /* Enter picks the centre, which a cross marks while the map has the focus. */
  function keys(map, words) {
    const box = map.getContainer();
    box.setAttribute("role", "application");
    box.setAttribute("aria-label", words.label);
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.target !== box) return;
      event.preventDefault();
      tell(map, map.getCenter());
    });
    try {
      window.frameElement.title = words.frame;
    } catch (error) { /* in a frame of another origin it keeps its own name */ }
  }

  // Drawn, as not every machine has letters for them.
  const ICONS = {
    home: "M3 9.5 10 3l7 6.5V17h-5v-5H8v5H3z",
    full: "M3 7V3h4M13 3h4v4M17 13v4h-4M7 17H3v-4",
    here: "M10 2v4M10 14v4M2 10h4M14 10h4M10 5.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9z",
  };

  function button(bar, icon, title, onclick) {
    const link = L.DomUtil.create("a", "csp-button", bar);
    link.href = "#";
    link.innerHTML = '<svg viewBox="0 0 20 20" width="18" height="18" fill="none"'
      + ` stroke="currentColor" stroke-width="1.8" aria-hidden="true"><path d="${ICONS[icon]}"/></svg>`;
    link.title = title;
    link.setAttribute("role", "button");
    link.setAttribute("aria-label", title);
    L.DomEvent.disableClickPropagation(link);
    L.DomEvent.on(link, "click", (event) => {
      L.DomEvent.preventDefault(event);
      onclick();
    });
  }

  /* Buttons for the first view, the whole screen and the visitor's own place, and a scale. */
  function controls(map, words, home) {
    const corner = L.control({ position: "topleft" });
    corner.onAdd = () => {
      const bar = L.DomUtil.create("div", "leaflet-bar");
      button(bar, "home", words.home, home);
      const page = document.documentElement;
      if (document.fullscreenEnabled) {
        button(bar, "full", words.full, () =>
          document.fullscreenElement ? document.exitFullscreen() : page.requestFullscreen());
      }
      if (words.here && navigator.geolocation) {
        button(bar, "here", words.here, () => {
          hint(map, words.asking);
          navigator.geolocation.getCurrentPosition(
            ({ coords }) => {
              const spot = L.latLng(coords.latitude, coords.longitude);
              map.setView(spot, Math.max(map.getZoom(), 8), {});
              tell(map, spot);
            },
            () => hint(map, words.nowhere),
          );
        });
      }
      return bar;
    };
    corner.addTo(map);
    L.control.scale({ imperial: words.miles, maxWidth: 120 }).addTo(map);
  }

  /* Move maps together that know the name of a wire, which no other page must know. */
  function follow(map, name) {
    const wire = new BroadcastChannel(name);
    map.on("move", () => {
      if (map.cspQuiet) return;
      const centre = map.getCenter();
      wire.postMessage([centre.lat, centre.lng, map.getZoom()]);
    });
    wire.onmessage = ({ data }) => {
      map.cspQuiet = true;
      map.setView([data[0], data[1]], data[2], { animate: false });
      map.cspQuiet = false;
    };
  }

  /* As much of the inhabited world as the map is wide, so that a phone shows it too. */
  function wholeWorld(map) {
    const wide = Math.round(2 * Math.log2(map.getSize().x / 256)) / 2;
    map.setView([22, 10], Math.max(0, Math.min(2, wide)), { animate: false });
  }

  function begin(map, options) {
    const { words, start, home: first, wire, world, colours } = options;
    const home = () => {
      if (first) map.setView([first[1], first[0]], first[2], {});
      else wholeWorld(map);
    };
    if (!start) wholeWorld(map);
    patientClicks(map);
    toldMoves(map);
    politeWheel(map, words);
    keys(map, words);
    controls(map, words, home);
    if (wire) follow(map, wire);
    if (world) window.cspWorld.closer(map, world, colours);
  }

  return { begin };
})();
