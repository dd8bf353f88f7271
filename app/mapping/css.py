"""The styles of a map's frame, in the colours of the theme."""

from __future__ import annotations

from shared.palette import Palette


def css(palette: Palette) -> str:
    """Give the styles of a map's frame.

    Args:
        palette: Colours.
    """
    return (
        f".leaflet-container{{background:{palette.sea};cursor:crosshair;font:12px sans-serif}}"
        # The page says how high the frame is.
        "#map_div{height:100vh!important}"
        f".leaflet-bar a,.leaflet-control-attribution{{background:{palette.land}!important;"
        f"color:{palette.text}!important;border-color:{palette.border}!important}}"
        ".leaflet-control-attribution{font-size:10px}.leaflet-control-attribution a{color:inherit}"
        # Leaflet's own styles may come after a label has been measured and placed.
        ".leaflet-tooltip{position:absolute;padding:6px;white-space:nowrap;font-weight:600;"
        f"background:{palette.land};color:{palette.text};border:1px solid {palette.border}}}"
        f".leaflet-tooltip-top:before{{border-top-color:{palette.border}}}"
        ".leaflet-attribution-flag{display:none!important}"
        # Cells must look like cells, also where the map is zoomed in.
        ".csp-values{image-rendering:pixelated}"
        ".csp-number{text-align:center;font:700 12px/16px sans-serif;color:#fff;"
        "text-shadow:0 0 2px #000,0 0 2px #000,0 0 3px #000}"
        f".leaflet-control-scale-line{{background:{palette.land};color:{palette.text};"
        f"border-color:{palette.border};text-shadow:none;font:10px sans-serif;white-space:nowrap}}"
        ".csp-button{display:flex!important;align-items:center;justify-content:center}"
        # The cross at the centre, for those who choose a place by keys.
        ".leaflet-container:focus-visible::after{content:'+';position:absolute;left:50%;top:50%;"
        f"transform:translate(-50%,-50%);font:28px/1 sans-serif;color:{palette.pin};z-index:700;"
        "pointer-events:none}"
        f".leaflet-container:focus-visible{{outline:3px solid {palette.pin};outline-offset:-3px}}"
        ".csp-hint{position:absolute;left:50%;top:50%;transform:translate(-50%,-50%);z-index:900;"
        f"padding:8px 14px;border-radius:6px;background:{palette.text};color:{palette.land};"
        "font-size:14px;opacity:0;transition:opacity .25s;pointer-events:none}"
        ".csp-hint.csp-shown{opacity:.92}"
        ".csp-country span,.csp-town span{position:absolute;transform:translate(-50%,-50%);"
        f"white-space:nowrap;color:{palette.text};text-shadow:0 0 2px {palette.land},"
        f"0 0 2px {palette.land},0 0 4px {palette.land}}}"
        # Below the point that it names, where no pin covers it.
        ".csp-town span{transform:translate(-50%,55%)}"
        ".csp-town span::before{content:'';position:absolute;left:50%;top:-6px;width:4px;"
        "height:4px;margin-left:-2px;border-radius:50%;background:currentColor}"
        ".csp-over span{transform:translate(-50%,-155%)}"
        ".csp-over span::before{top:auto;bottom:-6px}"
        "@media (pointer:coarse){.leaflet-bar a{width:44px!important;height:44px!important;"
        "line-height:44px!important}}"
        ".csp-country span{font-size:12px;letter-spacing:.06em;opacity:.75}"
        # Over the colours of a whole world letters must be there for those alone who look for them.
        f".csp-far span{{font-size:10px;opacity:.7;text-shadow:0 0 1px {palette.land},"
        f"0 0 2px {palette.land}}}"
        ".csp-town span{font-size:11px;opacity:.85}"
        "body{margin:0}" + _swipe(palette)
    )


def _swipe(palette: Palette) -> str:
    """Give the styles of the slider of a map."""
    return (
        # The slider takes the width of the map, and lets all but its thumb through.
        ".csp-swipe{position:absolute;left:0;right:0;top:0;bottom:0;z-index:800;width:100%;"
        "margin:0;appearance:none;background:none;pointer-events:none;outline:none}"
        f".csp-swipe-line{{position:absolute;top:0;bottom:0;width:2px;margin-left:-1px;"
        f"z-index:799;pointer-events:none;background:{palette.pin}}}"
        + "".join(
            f".csp-swipe::{thumb}{{appearance:none;pointer-events:auto;width:34px;height:34px;"
            f"border-radius:50%;border:3px solid {palette.ring};background:{palette.pin};"
            "cursor:ew-resize;box-shadow:0 0 3px #000;"
            # Two arrows, drawn, as not every machine has letters for them.
            "background-image:url(\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'"
            " viewBox='0 0 20 20'%3E%3Cpath d='M8 5 3 10l5 5M12 5l5 5-5 5' fill='none'"
            " stroke='white' stroke-width='2'/%3E%3C/svg%3E\")}"
            for thumb in ("-webkit-slider-thumb", "-moz-range-thumb")
        )
        + ".csp-swipe:focus-visible::-webkit-slider-thumb{outline:3px solid;outline-offset:2px}"
        ".csp-swipe:focus-visible::-moz-range-thumb{outline:3px solid;outline-offset:2px}"
    )
