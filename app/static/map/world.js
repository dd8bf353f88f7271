/* A finer world once one looks closer: coasts, borders, lakes, rivers, and names by zoom. */
"use strict";

window.cspWorld = (() => {
  // Below this zoom the coarse outlines that came with the map are fine enough.
  const CLOSE = 4;
  const UNITS = 100, EDGE = 179.98, MOST_NAMES = 60;

  /* Points of a line: whole hundredths of a degree, each as a step from the one before. */
  function unpacked(steps) {
    const points = [];
    let lon = 0, lat = 0;
    for (let i = 0; i < steps.length; i += 2) {
      lon += steps[i];
      lat += steps[i + 1];
      points.push([lat / UNITS, lon / UNITS]);
    }
    return points;
  }

  /* The coast of a ring: its pieces without the edges of the map. */
  function coast(ring) {
    const pieces = [[]];
    ring.forEach((point) => {
      if (Math.abs(point[1]) > EDGE || point[0] < -EDGE / 2) pieces.push([]);
      else pieces[pieces.length - 1].push(point);
    });
    return pieces.filter((piece) => piece.length > 1);
  }

  /* A shape, and its copies on the neighbouring worlds where a view near 180° shows them. */
  function copies(points, add) {
    add(points);
    const lons = points.map(([, lon]) => lon);
    const moved = (shift) => points.map(([lat, lon]) => [lat, lon + shift]);
    if (lons.reduce((a, b) => Math.max(a, b)) > 60) add(moved(-360));
    if (lons.reduce((a, b) => Math.min(a, b)) < -60) add(moved(360));
  }

  function pane(map, name, level) {
    const box = map.getPane(name) || map.createPane(name);
    box.style.zIndex = level;
    box.style.pointerEvents = "none";
    return name;
  }

  function shapes(map, world, colours) {
    const below = L.canvas({ pane: pane(map, "csp-land", 210), padding: 0.3 });
    const above = L.canvas({ pane: pane(map, "csp-lines", 405), padding: 0.3 });
    const group = L.layerGroup();
    const base = { interactive: false, smoothFactor: 0.7 };
    const fill = (colour) => (
      { ...base, renderer: below, stroke: false, fillColor: colour, fillOpacity: 1 });
    const line = (colour, weight) => (
      { ...base, renderer: above, color: colour, weight, fill: false });
    const area = (rings, colour) => rings.map(unpacked).forEach((ring, number) => copies(
      ring, (p) => L.polygon(p, fill(number ? colours.sea : colour)).addTo(group)));
    const draw = (points, style) => copies(points, (p) => L.polyline(p, style).addTo(group));
    world.land.forEach((rings) => area(rings, colours.land));
    world.lakes.forEach((rings) => area(rings, colours.sea));
    world.land.flat().map(unpacked).flatMap(coast)
      .forEach((piece) => draw(piece, line(colours.border, 0.8)));
    world.lakes.flat().map(unpacked).forEach((ring) => draw(ring, line(colours.border, 0.6)));
    world.rivers.map(unpacked).forEach((river) => draw(river, line(colours.river, 0.8)));
    world.borders.map(unpacked).forEach((border) => draw(border, line(colours.border, 1)));
    return group;
  }

  /* Names that fit beside each other, countries before towns and large before small. */
  function names(map) {
    pane(map, "csp-names", 450);
    map.getPane("csp-names").setAttribute("aria-hidden", "true");
    const group = L.layerGroup().addTo(map), known = { "csp-country": [], "csp-town": [] };
    const redraw = () => {
      group.clearLayers();
      const zoom = map.getZoom(), view = map.getBounds().pad(0.1), taken = [];
      const rows = Object.entries(known).flatMap(([kind, all]) => all
        .filter((row) => zoom >= row[3] && zoom <= (kind === "csp-town" ? Infinity : last(row[3])))
        .map((row) => [...row, kind]));
      for (const [name, lon, lat, , kind] of rows) {
        const spot = [0, 360, -360].map((s) => [lat, lon + s]).find((at) => view.contains(at));
        if (!spot) continue;
        const at = map.latLngToContainerPoint(spot), half = 4 * name.length;
        // The name of a town stands below its point, or above where another one is.
        const boxes = (kind === "csp-town" ? [13, -13] : [0])
          .map((down) => [at.x - half, at.y + down - 9, at.x + half, at.y + down + 9]);
        const box = boxes.find((b) => !taken.some(
          (t) => b[0] < t[2] && t[0] < b[2] && b[1] < t[3] && t[1] < b[3]));
        if (!box) continue;
        taken.push(box);
        const over = box !== boxes[0] ? " csp-over" : zoom < CLOSE ? " csp-far" : "";
        const letters = document.createElement("span");
        letters.textContent = name;
        const icon = L.divIcon({ className: kind + over, html: letters, iconSize: [0, 0] });
        L.marker(spot, { icon, pane: "csp-names", interactive: false, keyboard: false })
          .addTo(group);
        if (taken.length >= MOST_NAMES) break;
      }
    };
    map.on("moveend", redraw);
    return (kind, more) => {
      known[kind] = more;
      redraw();
    };
  }

  /* The last zoom that shows a country's name: closer, its towns say where one is. */
  function last(first) {
    return Math.max(first, CLOSE - 1) + 3;
  }

  function show(map, world, colours, say) {
    const coarse = [];
    map.eachLayer((layer) => {
      if (layer.options && layer.options.csp === "coarse") coarse.push(layer);
    });
    const fine = shapes(map, world, colours);
    map.attributionControl.addAttribution("Natural Earth, GeoNames");
    const choose = () => {
      const close = map.getZoom() >= CLOSE;
      if (close === map.hasLayer(fine)) return;
      coarse.forEach((layer) => (close ? layer.remove() : layer.addTo(map)));
      if (close) fine.addTo(map);
      else fine.remove();
    };
    map.on("zoomend", choose);
    choose();
    say("csp-town", world.towns);
  }

  const read = (address) => fetch(address).then((answer) => answer.json());

  /* Name the countries, and fetch the finer world when it is wanted first; without it the coarse
     one stays. */
  function closer(map, { names: countries, detail }, colours) {
    const say = names(map);
    read(countries).then((rows) => say("csp-country", rows)).catch(() => {});
    let asked = false;
    const look = () => {
      if (asked || map.getZoom() < CLOSE) return;
      asked = true;
      read(detail).then((world) => show(map, world, colours, say)).catch(() => { asked = false; });
    };
    map.on("zoomend", look);
    setTimeout(look, 0);
  }

  return { closer };
})();
