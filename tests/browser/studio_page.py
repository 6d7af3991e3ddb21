"""What a user does in the studio."""

import json
from urllib.request import urlopen

from playwright.sync_api import expect


class Studio:
    """The page, and what is done in it."""

    def __init__(self, page, server):
        self.page = page
        self.server = server

    def open(self, path):
        self.page.set_input_files("#file", str(path))
        if not str(path).endswith(".cmvc"):
            expect(self.page.locator("#encode")).to_be_enabled()

    def encode(self, mode="coded", rate=94, effort="fast", *, wait=True):
        """Encode; ``rate`` is the slider's position, 0..200."""
        page = self.page
        page.get_by_role("radio", name={"it2v": "keyframes", "tt2v": "text"}.get(mode, mode), exact=True).check(
            force=True
        )
        page.locator("#effort").select_option(effort)
        page.locator("#audio").select_option("none")
        page.locator("#rate").fill(str(rate))
        page.locator("#encode").click()
        if wait:
            expect(page.locator("#encode")).to_be_visible()
            expect(page.locator("#trouble")).to_be_hidden()

    @property
    def tracks(self):
        """The tracks of results."""
        return self.page.locator(".track:has(.segment)")

    def stream(self):
        """Return the bytes of the last result's stream."""
        href = self.page.locator("a[download]", has_text=".cmvc").last.get_attribute("href")
        with urlopen(self.server.url.rstrip("/") + href) as response:
            return response.read()

    def show(self, frame):
        """Go to a frame and wait until players show it."""
        self.page.locator("#seek").fill(str(frame))
        self.page.wait_for_function(
            """frame => [...document.querySelectorAll('.player:not([hidden]) video')].every(
                 v => !v.seeking && v.readyState >= 2 && Math.abs(v.currentTime * 24 - frame - 0.5) < 0.3)""",
            arg=frame,
        )

    def luma(self, side="right"):
        """Return the luma of a player's picture, rows of 0..255, as large as the video."""
        return json.loads(
            self.page.evaluate(
                """side => {
                  const video = document.querySelector(`.player[data-side=${side}] video`)
                    || document.querySelector('.player:not([hidden]) video');
                  const canvas = document.createElement('canvas');
                  canvas.width = video.videoWidth;
                  canvas.height = video.videoHeight;
                  const context = canvas.getContext('2d');
                  context.drawImage(video, 0, 0);
                  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
                  const rows = [];
                  for (let y = 0; y < canvas.height; y += 1) {
                    const row = [];
                    for (let x = 0; x < canvas.width; x += 1) {
                      const at = 4 * (y * canvas.width + x);
                      row.push(Math.round(0.2126 * data[at] + 0.7152 * data[at + 1] + 0.0722 * data[at + 2]));
                    }
                    rows.push(row);
                  }
                  return JSON.stringify(rows);
                }""",
                side,
            )
        )

    def times(self):
        """Return the times of the players that are shown, in seconds."""
        return self.page.evaluate(
            "[...document.querySelectorAll('.player:not([hidden]) video')].map(v => v.currentTime)"
        )
