"""What was imported stays until the server ends, so that no click pays for looking through it."""

from __future__ import annotations

import asyncio
import gc
import sys

# Modules: fewer new ones are not worth the pass over everything.
WORTH = 20
PAUSE = 1.0


class Imports:
    """Takes what was imported out of the garbage collector's sight, once it is all there.

    Streamlit collects after every run of a page. With torch and the models' libraries that is a
    million objects, which takes five times as long as the page itself, and none of them is garbage.
    What a session that is open meanwhile holds in cycles stays too, so it is done but a few times:
    after a page was opened that imports what no other did.
    """

    def __init__(self) -> None:
        self.settled = self.seen = 0

    def look(self) -> bool:
        """Set aside all that is there, if many modules are new and none came since the last look.

        Returns:
            Whether it was done.
        """
        now = len(sys.modules)
        rests, self.seen = now == self.seen, now
        if not rests or now < self.settled + WORTH:
            return False
        gc.collect()
        gc.freeze()
        self.settled = now
        return True

    async def watch(self) -> None:
        """Look once a second until cancelled."""
        while True:
            await asyncio.sleep(PAUSE)
            self.look()
