/* What the app's maps do beyond Leaflet: clicks that wait, wheel and touch that leave the page its
   own, keys, a centre that stays, and a finer world once one looks closer. */
"use strict";

window.cspMap = (() => {
  // So long after a click a second one makes it a double click, milliseconds; a hint is shown longer.
  const CLICK_WAIT = 280, MOVE_WAIT = 500, HINT = 1800;
  // Pixels between the two clicks of a double click.
  const NEAR = 24;
  const { later, listen, placeNow, same, tell } = window.cspTold;

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
    const takeBack = () => {
      clearTimeout(waiting);
      waiting = null;
      if (told !== null) {
        const place = told, count = map.cspPicked.count;
        map.cspPicked = { ...map.cspPicked, undone: true };
        later(map, () => {
          const now = placeNow(), { lat, lng: lon } = map.cspPicked;
          // What was picked, typed or gone back to since then stays.
          const ours = map.cspPicked.count === count && (same(now, { lat, lon }) || same(now, place));
          return ours ? place : null;
        });
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

  /* Keep the centre to its last digit while the frame takes another size, as it does while the page
     is drawn: Leaflet itself would pan by whole pixels, and that would be told as a visitor's move. */
  function steadyCentre(map) {
    const fit = map.invalidateSize;
    map.invalidateSize = function (...given) {
      const glides = map._panAnim && map._panAnim._inProgress;
      // On its way, the map must get there.
      if (!map._loaded || glides || map.dragging.moving()) return fit.apply(map, given);
      const centre = map.getCenter(), size = map.getSize();
      map.cspFits = true;
      fit.call(map, { pan: false, animate: false });
      if (!map.getSize().equals(size)) {
        map.setView(centre, map.getZoom(), { animate: false, reset: true });
      }
      map.cspFits = false;
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
      if (map.cspFits) return;
      const quiet = own || map.cspQuiet;
      own = false;
      clearTimeout(timer);
      if (!quiet) timer = setTimeout(later, MOVE_WAIT, map);
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
              tell(map, spot);
              map.setView(spot, Math.max(map.getZoom(), 8), {});
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
      if (map.cspQuiet || map.cspFits) return;
      const centre = map.getCenter();
      wire.postMessage([centre.lat, centre.lng, map.getZoom()]);
    });
    wire.onmessage = ({ data }) => {
      map.cspQuiet = true;
      map.setView([data[0], data[1]], data[2], { animate: false });
      map.cspQuiet = false;
    };
  }

  /* A slider over the map, for mouse, finger and keys: left of it the pane above is wiped away. */
  function swipe(map, label) {
    const box = map.getContainer(), pane = map.getPane("over");
    const slider = L.DomUtil.create("input", "csp-swipe", box);
    const line = L.DomUtil.create("div", "csp-swipe-line", box);
    Object.assign(slider, { type: "range", min: 0, max: 100, step: 1, value: 0, title: label });
    slider.setAttribute("aria-label", label);
    const thumb = 34;
    const clip = () => {
      const { x: wide, y: high } = map.getSize();
      const at = thumb / 2 + (slider.value / 100) * (wide - thumb);
      // At its left end nothing is wiped away, not even what lies below the thumb.
      const cut = slider.value > 0 ? at : 0;
      line.style.left = `${at}px`;
      line.hidden = cut === 0;
      const from = map.containerPointToLayerPoint([cut, 0]);
      const to = map.containerPointToLayerPoint([wide, high]);
      pane.style.clip = `rect(${from.y}px, ${to.x}px, ${to.y}px, ${from.x}px)`;
      slider.setAttribute("aria-valuetext", `${slider.value} %`);
    };
    L.DomEvent.disableClickPropagation(slider);
    slider.addEventListener("input", clip);
    // The arrow keys move the slider, and not the map below it.
    slider.addEventListener("keydown", (event) => event.stopPropagation());
    map.on("move zoom resize viewreset zoomend", clip);
    clip();
  }

  /* As much of the inhabited world as the map is wide, so that a phone shows it too. */
  function wholeWorld(map) {
    const wide = Math.round(2 * Math.log2(map.getSize().x / 256)) / 2;
    map.setView([22, 10], Math.max(0, Math.min(2, wide)), { animate: false });
  }

  function begin(map, options) {
    const { words, start, home: first, wire, world, colours, swipe: swiped } = options;
    const home = () => {
      if (first) map.setView([first[1], first[0]], first[2], {});
      else wholeWorld(map);
    };
    if (!start) wholeWorld(map);
    listen(map);
    steadyCentre(map);
    patientClicks(map);
    toldMoves(map);
    politeWheel(map, words);
    keys(map, words);
    controls(map, words, home);
    if (swiped) swipe(map, swiped);
    if (wire) follow(map, wire);
    if (world) window.cspWorld.closer(map, world, colours);
  }

  return { begin };
})();
