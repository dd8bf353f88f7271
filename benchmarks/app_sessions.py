"""Sessions of the app without a browser, which speak Streamlit's own protocol."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

MAP = "streamlit_folium.st_folium"
PIN = re.compile(r"circleMarker\(\s*\[\s*(-?[\d.]+),\s*(-?[\d.]+)")
BOXES = ("Latitude", "Longitude")
# Where the bundled birds are recorded: south, north, west, east.
AREA = (-12.0, 8.0, 28.0, 42.0)
PATIENCE = 120.0
Place = tuple[float, float]


@dataclass
class Answer:
    """What one run of the page sent.

    Args:
        seconds: From the request to the message that the script has finished.
        places: Every place in it, as latitude and longitude: the pins', the boxes', the address's.
        size: Bytes.
    """

    seconds: float = 0.0
    places: list[Place] = field(default_factory=list)
    size: int = 0


class Session:
    """One visitor: opens a page, clicks its map, and reads all that comes back.

    Args:
        address: The app's, with a slash at the end.
        page: Name of the page in the address; empty for the first.
        seed: Decides where it clicks.
    """

    def __init__(self, address: str, page: str, seed: int) -> None:
        self.address, self.page = address, page
        self.chance = random.Random(seed)
        self.query, self.script, self.map = "", "", ""
        self.boxes: dict[str, float] = {}
        # What a browser keeps, so that the server need not send it again: message and run's number.
        self.kept: dict[str, tuple[ForwardMsg, int]] = {}
        self.runs = 0
        self.place = self._any_place()

    async def __aenter__(self) -> Session:
        """Connect."""
        address = self.address.replace("http", "ws", 1) + "_stcore/stream"
        self.socket = await websockets.connect(
            address, subprotocols=[websockets.Subprotocol("streamlit")], max_size=None
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        await self.socket.close()

    async def open(self) -> Answer:
        """Open the page at a place of its own."""
        lat, lon = self.place
        self.query = urlencode({"lat": lat, "lon": lon, "zoom": 5})
        return await self._run({})

    async def click(self) -> Answer:
        """Click the map at another place, as the map's script reports it."""
        self.place = self._any_place()
        lat, lon = self.place
        clicked = {"lat": lat, "lng": lon}
        return await self._run({"last_clicked": clicked, "zoom": 5, "centre": "0_20"})

    def strangers(self, answer: Answer) -> list[Place]:
        """Give the places of an answer that are not this session's own."""
        return [place for place in answer.places if place != self.place]

    def _any_place(self) -> Place:
        south, north, west, east = AREA
        uniform = self.chance.uniform
        return round(uniform(south, north), 4), round(uniform(west, east), 4)

    async def _run(self, click: dict[str, Any]) -> Answer:
        message = BackMsg()
        asked = message.rerun_script
        asked.query_string, asked.page_script_hash = self.query, self.script
        asked.page_name = self.page
        asked.context_info.url = f"{self.address}{self.page}"
        asked.context_info.timezone = "UTC"
        asked.cached_message_hashes.extend(self.kept)
        if click:
            state = asked.widget_states.widgets.add()
            state.id, state.json_value = self.map, json.dumps(click)
        self.runs += 1
        answer, began = Answer(), time.perf_counter()
        await self.socket.send(message.SerializeToString())
        async with asyncio.timeout(PATIENCE):
            while not self._read(await self.socket.recv(), answer):
                pass
        answer.seconds = time.perf_counter() - began
        self.kept = {key: one for key, one in self.kept.items() if one[1] >= self.runs - 2}
        if set(BOXES) <= set(self.boxes):
            answer.places.append((self.boxes["Latitude"], self.boxes["Longitude"]))
        return answer

    def _read(self, raw: str | bytes, answer: Answer) -> bool:
        """Take one message; tell whether the script has finished."""
        assert isinstance(raw, bytes)
        message = ForwardMsg.FromString(raw)
        answer.size += len(raw)
        kind = message.WhichOneof("type")
        if kind == "ref_hash":
            message, _ = self.kept[message.ref_hash]
            kind = message.WhichOneof("type")
        if message.metadata.cacheable:
            self.kept[message.hash] = message, self.runs
        if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            self._see(message.delta.new_element, answer)
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
            given = parse_qs(self.query)
            if "lat" in given and "lon" in given:
                answer.places.append((float(given["lat"][0]), float(given["lon"][0])))
        elif kind == "new_session":
            self.script = message.new_session.page_script_hash
        elif kind == "script_finished":
            # A run that another one replaces says so and is not the last.
            return message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
        return False

    def _see(self, element: Any, answer: Answer) -> None:
        kind = element.WhichOneof("type")
        if kind == "exception":
            raise RuntimeError(f"The page failed: {element.exception.message}")
        if kind == "number_input" and element.number_input.label in BOXES:
            self.boxes[element.number_input.label] = element.number_input.value
        elif kind == "component_instance" and element.component_instance.component_name == MAP:
            self.map = element.component_instance.id
            drawn = str(json.loads(element.component_instance.json_args)["feature_group"])
            answer.places += [(float(lat), float(lon)) for lat, lon in PIN.findall(drawn)]
