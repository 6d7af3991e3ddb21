"""What the web service is made of, without a server."""

import asyncio
import json

import av
import pytest
from media_files import moving_frames

from cmvc.errors import CancelledError, InvalidSettingError, OverloadedError, UnknownResultError
from cmvc.media.frames import from_frame
from cmvc.media.output import open_output
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import encoder_pb2
from cmvc_web.answers import error_body
from cmvc_web.encoding import OWN, check_parameters, settings_of
from cmvc_web.events import Events
from cmvc_web.fragments import Fragments
from cmvc_web.growing import GrowingFile
from cmvc_web.guard import _scope_of
from cmvc_web.looking import start_of_range
from cmvc_web.playlist import playlist
from cmvc_web.store import RESULT_BYTES, Store

ID = "abcdefghijklmnop"


async def all_of(items):
    return [each async for each in items]


async def test_who_follows_a_file_is_given_all_of_it_whenever_they_come(tmp_path):
    file = GrowingFile(tmp_path / "a", lambda _: None)
    early = asyncio.create_task(all_of(file.follow()))
    part = asyncio.create_task(all_of(file.follow(2, 5)))
    for data in (b"abc", b"de", b"fgh"):
        await asyncio.sleep(0)
        file.write(data)
    late = asyncio.create_task(all_of(file.follow(6)))
    await asyncio.sleep(0)
    assert not (tmp_path / "a").exists(), "half a file under the whole one's name"
    file.finish()
    assert [b"".join(await each) for each in (early, part, late)] == [b"abcdefgh", b"cde", b"gh"]
    assert b"".join(await all_of(file.follow())) == (tmp_path / "a").read_bytes() == b"abcdefgh"


async def test_who_follows_a_file_that_fails_is_told_why(tmp_path):
    room = []
    file = GrowingFile(tmp_path / "a", room.append)
    file.write(b"abc")
    following = asyncio.create_task(all_of(file.follow()))
    await asyncio.sleep(0)
    file.fail(CancelledError("the caller left"))
    with pytest.raises(CancelledError, match="the caller left"):
        await following
    assert list(tmp_path.iterdir()) == []
    assert sum(room) == 0


async def test_events_are_numbered_and_can_be_taken_up_again():
    events = Events()
    following = asyncio.create_task(all_of(events.follow()))
    await asyncio.sleep(0)
    for frames in range(3):
        events.progress(frames=frames)
    events.add("header")
    await asyncio.sleep(0)
    events.add("segment", index=0)
    events.add("done")
    events.end()
    assert [each["n"] for each in await following if "n" in each] == [0, 1, 2]
    assert [each["event"] for each in await all_of(events.follow(0))] == ["segment", "done"]


def fill(store, identity, size, tenant=""):
    result = store.add(identity, tenant, "a.mp4")
    result.stream = result.begin(result.stream_path)
    result.stream.write(bytes(size))
    result.settle([])
    return result


def test_old_results_make_room_for_new_ones_but_not_those_in_use(tmp_path):
    store = Store(tmp_path, 2 * RESULT_BYTES + 1000, 60)
    for number, identity in enumerate(("first-aaaaaaaaaa", "second-aaaaaaaaa")):
        fill(store, identity, 40).made -= 9 - number
    with store.get("first-aaaaaaaaaa", "").held():
        fill(store, "third-aaaaaaaaaa", 40)
        with pytest.raises(UnknownResultError):
            store.get("second-aaaaaaaaa", "")
        assert store.get("first-aaaaaaaaaa", "").ready
        with store.get("third-aaaaaaaaaa", "").held(), pytest.raises(OverloadedError, match="full"):
            fill(store, "fourth-aaaaaaaaa", 40)


def test_small_results_take_no_more_than_all_may(tmp_path):
    most = 1 << 20
    for _ in range(2):  # the second takes over
        store = Store(tmp_path, most, 60)
        for _ in range(200):
            fill(store, "", 10)
        paths = [tmp_path, *tmp_path.rglob("*")]
        assert 10 * 4096 < sum(-(-path.stat().st_size // 4096) * 4096 for path in paths) <= most


def test_the_number_of_results_is_bounded(tmp_path):
    store = Store(tmp_path, 1 << 40, 60, most_results=5)
    for _ in range(9):
        fill(store, "", 10)
    assert sum(1 for _ in tmp_path.iterdir()) == 5


def test_a_result_expires_and_is_for_whoever_made_it(tmp_path):
    store = Store(tmp_path, 1 << 20, 60)
    result = fill(store, ID, 10, "somebody")
    with pytest.raises(UnknownResultError, match="encode it again"):
        store.get(ID, "somebody else")
    result.made -= 61
    with pytest.raises(UnknownResultError):
        store.get(ID, "somebody")
    assert list(tmp_path.iterdir()) == []


def test_results_outlive_the_server_and_halves_do_not(tmp_path):
    fill(Store(tmp_path, 1 << 20, 60), ID, 10, "somebody")
    half = tmp_path / "half-aaaaaaaaaaa"
    half.mkdir()
    (half / "stream.cmvc.part").write_bytes(b"abc")
    (tmp_path / "not a result").mkdir()
    store = Store(tmp_path, 1 << 20, 60)
    assert (store.get(ID, "somebody").name, store.get(ID, "somebody").size > RESULT_BYTES + 10) == ("a.mp4", True)
    assert sorted(each.name for each in tmp_path.iterdir()) == [ID, "not a result"]


@pytest.mark.parametrize("about", [b"", b'{"tenant": "somebody"', b"{}"])
def test_a_result_that_a_crash_has_left_undescribed_is_removed_and_keeps_no_server_from_starting(tmp_path, about):
    fill(Store(tmp_path, 1 << 20, 60), ID, 10, "somebody")
    (tmp_path / ID / "about.json").write_bytes(about)
    assert list(tmp_path.iterdir()) == [tmp_path / ID]
    with pytest.raises(UnknownResultError):
        Store(tmp_path, 1 << 20, 60).get(ID, "somebody")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("identity", ["short", "../../etc/passwd_aaaa", "a" * 65, ID])
def test_ids_that_are_none_or_taken_are_refused(tmp_path, identity):
    store = Store(tmp_path, 1 << 20, 60)
    fill(store, ID, 10)
    with pytest.raises(InvalidSettingError, match="16 to 64"):
        store.add(identity, "", "")


def made(count=60, **fields):
    """Return the init segment and fragments of a video as decoders write it."""
    header = pb.StreamHeader(width=64, height=48, frame_rate_numerator=24, **fields)
    output = open_output(1, header)
    pictures = [from_frame(frame) for frame in moving_frames(count)]
    half = count // 2
    return output.prologue, [*output.segment(0, pictures[:half]), *output.segment(half, pictures[half:])]


@pytest.mark.parametrize("piece", [1000, 7])
def test_fragments_are_found_however_the_bytes_come(piece):
    init, parts = made()
    data = init + b"".join(parts)
    found = Fragments()
    for start in range(0, len(data), piece):
        found.feed(data[start : start + piece])
    assert found.init_bytes == len(init)
    assert found.codecs == "avc1.64000A"
    assert [each.time for each in found.found] == pytest.approx([n / 24 for n in (0, 6, 14, 25, 30, 39, 58)])
    assert found.found[0].start == len(init)
    assert found.found[-1].stop == len(data)
    assert all(one.stop == other.start for one, other in zip(found.found, found.found[1:], strict=False))


def test_sound_is_named_beside_the_pictures():
    head = bytes.fromhex("0101380180bb0000000000")
    audio = pb.AudioTrack(codec=1, sample_rate=48000, channels=1, packet_samples=960, skip_samples=312, extradata=head)
    found = Fragments()
    found.feed(made(audio=audio)[0])
    assert found.codecs == "avc1.64000A,opus"


def test_a_player_reads_the_playlist(tmp_path):
    init, parts = made()
    data = init + b"".join(parts)
    found = Fragments()
    found.feed(data)
    (tmp_path / "video.mp4").write_bytes(data)
    text = playlist(found.init_bytes, found.found, 60 / 24, "video.mp4")
    (tmp_path / "a.m3u8").write_text(text)
    with av.open(str(tmp_path / "a.m3u8"), options={"allowed_extensions": "ALL"}) as container:
        assert sum(1 for _ in container.decode(video=0)) == 60
    growing = playlist(found.init_bytes, found.found, None, "video.mp4")
    assert (growing.count("#EXTINF"), "ENDLIST" in growing) == (len(found.found) - 1, False)


@pytest.mark.parametrize(
    ("header", "range_"),
    [("bytes=0-99", (0, 100)), ("bytes=5-", None), ("bytes=9-5", None), ("bytes=1-2,4-5", None), ("", None)],
)
def test_ranges(header, range_):
    assert start_of_range(header) == range_


def test_settings_come_from_parameters():
    config = settings_of({"mode": "it2v", "quality": "40", "effort": "fast", "start": "1.5", "metadata": "true"})
    assert (config.quality, config.effort, config.metadata) == (40, encoder_pb2.EFFORT_FAST, True)
    wrong_ones = ({"moed": "it2v"}, {"quality": "a"}, {"quality": "1000"}, {"bitrate": "fast"}, {"seed": "9" * 30})
    for wrong in (*wrong_ones, {"start": "1e3"}):
        with pytest.raises(InvalidSettingError):
            settings_of(wrong)


@pytest.mark.parametrize("parameters", [{"x": "y"}, {"name": "n" * 256}, {"mode": "coded"}])
def test_parameters_that_are_unknown_or_too_long_to_be_kept_are_refused(parameters):
    check_parameters({"name": "n" * 255, "id": ID, "deadline": "5"}, OWN)
    with pytest.raises(InvalidSettingError):
        check_parameters(parameters, OWN)


def test_an_error_says_what_to_do():
    body = error_body(OverloadedError("5 requests are in work, which is the limit here; try again in a second"))
    assert (body["status"], body["reason"], body["what_to_do"]) == (429, "OVERLOADED", "try again in a second")
    assert json.dumps(body)
    assert error_body(CancelledError("cancelled"))["what_to_do"]


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/v1/encode", "encode"),
        ("/v1/decode", "decode"),
        (f"/v1/streams/{ID}/video.mp4", "decode"),
        (f"/v1/streams/{ID}/stream.cmvc", ""),
        ("/v1/capabilities", ""),
    ],
)
def test_paths_ask_for_the_scope_of_what_they_do(path, scope):
    assert _scope_of(path) == scope
