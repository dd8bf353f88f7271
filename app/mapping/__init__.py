"""The maps that pages draw: with Leaflet, without it, and what lies on them."""
