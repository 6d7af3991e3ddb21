"""The studio as people use it: in Chromium, with files, a mouse and a keyboard."""

import re

import numpy as np
import pytest
from conftest import AXE, findings
from media_files import read_all
from playwright.sync_api import expect
from servers import until
from studio_page import Studio

from cmvc.client import Client
from cmvc.settings import decode_config

CANCELLED = 'cmvc_requests_total{code="CANCELLED",method="Encode"}'


@pytest.fixture
def studio(page, server):
    return Studio(page, server)


def decoded(stream, folder):
    """Return the luma of every frame as ``cmvc decode`` makes it, 0..255."""
    with Client() as client:
        client.decode(stream, folder / "back.y4m", decode_config(output="y4m"))
    return [(np.clip(each.y.astype(float), 16, 235) - 16) * 255 / 219 for each in read_all(folder / "back.y4m")[1]]


def test_a_video_is_encoded_and_what_plays_is_what_the_stream_says(studio, clip, tmp_path):
    studio.open(clip)
    studio.encode("coded", 120)
    frames = decoded(studio.stream(), tmp_path)
    assert len(frames) == 96
    for number in range(4, 96, 10):
        studio.show(number)
        shown = np.array(studio.luma(), float)
        apart = [np.abs(shown - frames[other]).mean() for other in range(max(0, number - 3), min(96, number + 4))]
        assert apart[min(3, number)] < 4, (number, apart)
        assert np.argmin(apart) == min(3, number), (number, apart)


def test_original_and_result_stand_at_the_same_frame(studio, clip):
    studio.open(clip)
    studio.encode("coded", 160)
    studio.page.get_by_role("radio", name="Side by side").check(force=True)
    for number in (0, 33, 95):
        studio.show(number)
        left, right = (np.array(studio.luma(side), float) for side in ("left", "right"))
        assert np.abs(left - right).mean() < 12, number
    expect(studio.page.locator("#clock")).to_contain_text("96")
    studio.page.get_by_role("button", name="One frame back").click()
    expect(studio.page.locator("#clock")).to_contain_text("95")


def test_players_keep_step_while_they_play(studio, clip):
    studio.open(clip)
    studio.encode("coded", 120)
    studio.page.get_by_role("button", name="Play", exact=True).click()
    studio.page.wait_for_function("() => document.querySelector('.player video').currentTime > 1")
    one, other = studio.times()
    assert abs(one - other) < 0.3
    studio.page.get_by_role("button", name="Pause").click()
    one, other = studio.times()
    assert one == pytest.approx(other, abs=1e-6)


def test_the_slider_shows_more_of_one_or_the_other(studio, clip):
    studio.open(clip)
    studio.encode()
    clipped = studio.page.locator(".player[data-side=right]")
    box = studio.page.locator("#stage").bounding_box()
    studio.page.mouse.move(box["x"] + 10, box["y"] + 40)
    studio.page.mouse.down()
    studio.page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 40)
    studio.page.mouse.up()
    expect(clipped).to_have_css("clip-path", re.compile(r"inset\(0px 0px 0px 7[45]\.?\d*%\)"))
    slider = studio.page.get_by_label("How much of the left picture is shown")
    slider.focus()
    slider.press("Home")
    expect(clipped).to_have_css("clip-path", re.compile(r"inset\(0px( 0px 0px 0%)?\)"))


def test_three_rates_are_compared(studio, clip):
    studio.open(clip)
    for rate in (60, 110, 160):
        studio.encode("coded", rate)
    table = studio.page.get_by_role("table", name="Compared")
    expect(table.locator("tr")).to_have_count(4)
    expect(table.locator("td:nth-child(5)").last).to_contain_text("0.")  # SSIM
    scores = [float(each) for each in table.locator("td:nth-child(5)").all_inner_texts()]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1]
    studio.page.get_by_role("radio", name="All").check(force=True)
    studio.show(40)
    assert len(studio.times()) == 4
    expect(studio.tracks.first).to_contain_text("nothing invented")
    studio.page.get_by_role("button", name=re.compile("Remove")).first.click()
    expect(studio.tracks).to_have_count(2)


def test_the_server_measures_where_it_can(studio, clip):
    studio.open(clip)
    for rate in (60, 160):
        studio.encode("coded", rate)
    studio.page.get_by_role("button", name=re.compile("Measure VMAF of .*")).first.click()
    expect(studio.tracks.first).to_contain_text(re.compile(r"VMAF \d+\.\d"))
    expect(studio.page.get_by_role("table", name="Compared")).to_contain_text("VMAF")
    studio.tracks.first.locator(".segment").first.click()
    expect(studio.page.locator("#inspector")).to_contain_text(re.compile(r"VMAF ?\d+\.\d"))
    expect(studio.page.get_by_role("button", name=re.compile("Measure VMAF of .*"))).to_have_count(1)


def test_text_says_that_all_is_invented_and_shows_what_was_written(studio, clip):
    studio.open(clip)
    studio.encode("tt2v", 0)
    expect(studio.tracks).to_contain_text("every picture is invented")
    studio.tracks.locator(".segment").first.click()
    expect(studio.page.locator("#inspector blockquote")).not_to_be_empty()


def test_an_encode_that_is_cancelled_frees_its_slot(studio, server, long_clip):
    before = server.metric(CANCELLED)
    studio.open(long_clip)
    studio.encode("auto", effort="best", wait=False)
    expect(studio.page.locator("#progress-says")).not_to_contain_text("Sending")
    studio.page.get_by_role("button", name="Cancel").click()
    expect(studio.page.locator("#encode")).to_be_visible()
    expect(studio.tracks).to_have_count(0)
    until(lambda: server.metric(CANCELLED) > before, "the encode ended as cancelled")


def test_a_closed_tab_frees_its_slot(browser, server, long_clip):
    before = server.metric(CANCELLED)
    page = browser.new_page()
    page.goto(server.url)
    studio = Studio(page, server)
    studio.open(long_clip)
    studio.encode("auto", effort="best", wait=False)
    expect(page.locator("#progress-says")).not_to_contain_text("Sending")
    page.close()
    until(lambda: server.metric(CANCELLED) > before, "the encode ended as cancelled")


def test_a_bad_file_is_answered_with_what_to_do(studio, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video " * 1000)
    studio.open(tmp_path / "bad.mp4")
    studio.encode(wait=False)
    expect(studio.page.get_by_role("alert")).to_contain_text("not a video")
    expect(studio.page.get_by_role("alert")).to_contain_text("check that it is complete")
    expect(studio.page.locator("#encode")).to_be_visible()
    (tmp_path / "bad.cmvc").write_bytes(b"no stream")
    studio.open(tmp_path / "bad.cmvc")
    expect(studio.page.get_by_role("alert")).to_contain_text(re.compile("CMVC", re.IGNORECASE))


def test_two_tabs_at_once(browser, server, clip):
    tabs = [Studio(browser.new_page(), server) for _ in range(2)]
    for number, tab in enumerate(tabs):
        tab.page.goto(server.url)
        tab.open(clip)
        tab.encode("coded", 60 + 60 * number, wait=False)
    for tab in tabs:
        expect(tab.page.locator("#encode")).to_be_visible()
        expect(tab.tracks).to_have_count(1)
    small, large = (len(tab.stream()) for tab in tabs)
    assert small < large
    for tab in tabs:
        tab.page.close()


def test_a_stream_that_is_dropped_is_shown_and_played(studio, clip, tmp_path):
    with Client() as client:
        client.encode(clip, tmp_path / "a.cmvc")
    stream = (tmp_path / "a.cmvc").read_bytes()
    studio.page.evaluate(
        """bytes => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], 'brought.cmvc'));
          document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true }));
        }""",
        list(stream),
    )
    expect(studio.tracks).to_have_count(1)
    expect(studio.tracks).to_contain_text("brought.cmvc")
    frames = decoded(stream, tmp_path)
    studio.show(50)
    assert np.abs(np.array(studio.luma(), float) - frames[50]).mean() < 4


def test_a_connection_that_is_cut_is_taken_up_again(studio, clip):
    cut = []

    def once(route):
        if cut:
            route.continue_()
        else:
            cut.append(route.request.url)
            route.abort()

    studio.page.route("**/fragments", once)
    studio.open(clip)
    studio.encode()
    studio.show(90)
    assert cut


def test_odd_sides_are_cropped(studio, odd_clip, tmp_path):
    studio.open(odd_clip)
    studio.encode("coded", 140)
    expect(studio.page.locator("#note")).to_contain_text(re.compile("107.61 pixels"))
    frames = decoded(studio.stream(), tmp_path)
    studio.show(20)
    shown = np.array(studio.luma(), float)
    assert shown.shape == (62, 108)
    assert np.abs(shown[:61, :107] - frames[20]).mean() < 4
    crop, video = (studio.page.locator(f".player:not([hidden]) {each}").bounding_box() for each in (".crop", "video"))
    assert crop["width"] / video["width"] == pytest.approx(107 / 108, abs=0.002)
    assert crop["height"] / video["height"] == pytest.approx(61 / 62, abs=0.004)


def test_with_a_keyboard_alone(page):
    def tab_to(name):
        for _ in range(60):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "document.activeElement.getAttribute('aria-label') || document.activeElement.innerText"
                " || document.activeElement.id"
            )
            if focused.startswith(name):
                return
        raise AssertionError(f"{name} is not reached")

    tab_to("Filmed clip")
    page.keyboard.press("Enter")
    expect(page.locator("#encode")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#cancel")).to_be_focused()
    expect(page.locator("#encode")).to_be_focused()
    tab_to("One frame forward")
    page.keyboard.press("Space")
    expect(page.locator("#clock")).to_contain_text("· 2")
    tab_to("Segment 1")
    page.keyboard.press("Enter")
    expect(page.locator("#inspector")).to_contain_text("Segment 1")
    expect(page.locator("#clock")).to_contain_text("· 1")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#clock")).to_contain_text("· 119")


def test_it_fits_a_phone(studio, clip):
    studio.page.set_viewport_size({"width": 360, "height": 740})
    studio.open(clip)
    studio.encode()
    assert studio.page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(studio.page.locator("#stage")).to_be_in_viewport()


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not here; make test-web fetches it")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_stands_in_anybodys_way(studio, clip, server, scheme):
    studio.page.emulate_media(color_scheme=scheme)
    assert findings(studio.page) == []
    studio.open(clip)
    for mode in ("coded", "it2v", "tt2v"):
        studio.encode(mode, 100)
    studio.tracks.locator(".segment").last.click()
    expect(studio.page.locator("#inspector")).to_be_visible()
    assert findings(studio.page) == []
    studio.page.goto(server.url + "api.html")
    expect(studio.page.locator("section").first).to_be_visible()
    assert findings(studio.page) == []


def test_nothing_is_fetched_from_anywhere_else(page, server):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.get_by_role("button", name="Demo clip").click()
    expect(page.locator("#encode")).to_be_enabled()
    assert asked
    assert [each for each in asked if not each.startswith((server.url, "blob:", "data:"))] == []
