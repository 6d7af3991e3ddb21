"""A real Chromium before real servers."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from media_files import moving_frames, write_video
from playwright.sync_api import expect, sync_playwright
from servers import PATIENCE_S, servers

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
AXE = Path(os.environ.get("CMVC_AXE", "build/axe/node_modules/axe-core/axe.min.js"))
expect.set_options(timeout=PATIENCE_S * 1000)


@pytest.fixture(scope="session")
def browser():
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # which root cannot have
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server():
    with servers() as start:
        server = start("all", "--web", "127.0.0.1:0", "--decoders", "1")
        (line,) = [each for each in server.lines if "studio on" in each]
        server.url = re.search(r"studio on (\S+)", line)[1]
        yield server


@pytest.fixture
def errors():
    return []


@pytest.fixture
def page(browser, server, errors):
    """The studio in a tab of its own; what goes wrong in its scripts fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(server.url)
    yield page
    context.close()
    assert errors == []


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """Four seconds that a browser plays, with a bar that says by its place which frame it is."""
    return _clip(tmp_path_factory, "clip.mp4", 96, 160, 96)


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory):
    return _clip(tmp_path_factory, "long.mp4", 720, 480, 272)


@pytest.fixture(scope="session")
def odd_clip(tmp_path_factory):
    return _clip(tmp_path_factory, "odd.mkv", 48, 107, 61, container="matroska", codec="ffv1", options={})


def _clip(tmp_path_factory, name, count, width, height, **how):
    path = tmp_path_factory.mktemp("clips") / name
    how = {"container": "mp4", "codec": "libx264", "options": {"crf": "10", "preset": "ultrafast"}} | how
    path.write_bytes(write_video(moving_frames(count, width, height), **how))
    return path


def findings(page):
    """Return what axe-core finds that is serious or critical."""
    found = page.evaluate(AXE.read_text() + "; axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {json.dumps([node['html'][:160] for node in each['nodes']])}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]
