"""Writes the seeds of the corpus from the golden vectors: ``python -m fuzz.seeds``."""

from io import BytesIO
from pathlib import Path

import numpy as np

from cmvc.bitstream.segments import av1_payload, coded_text, pack_motion, unpack_motion
from cmvc.bitstream.stream import StreamReader
from cmvc.bitstream.work import segment_request
from cmvc.motion.track import Control, Gap, MotionTrack, Vectors, encode_track
from cmvc.v1 import decoder_pb2

CORPUS = Path(__file__).parent / "corpus"
VECTORS = Path(__file__).parents[1] / "vectors"
MOST_BYTES = 6000


def main() -> None:
    """Write them."""
    for path in sorted(VECTORS.glob("*.cmvc")):
        data = path.read_bytes()
        _keep("stream", path.stem, data)
        reader = StreamReader(BytesIO(data))
        for placed in reader.segments():
            request = segment_request(reader, placed, decoder_pb2.DecodeConfig())
            name = f"{path.stem}-{placed.index}"
            _keep("segment", name, request.SerializeToString(deterministic=True))
            _keep("payload", name, av1_payload(placed.segment))
            _keep("text", name, coded_text(placed.segment))
            _keep("motion", name, unpack_motion(placed.segment.motion)[1])

    for seed, two_sided in enumerate((False, True)):
        track = encode_track(_track(seed, two_sided))
        _keep("motion", f"{seed}", track)
        request = decoder_pb2.DecodeSegmentRequest.FromString((CORPUS / "segment/keyframes-1").read_bytes())
        request.segment.motion = pack_motion(b"", track)
        _keep("segment", f"motion-{seed}", request.SerializeToString(deterministic=True))


def _track(seed: int, two_sided: bool) -> MotionTrack:
    rng = np.random.default_rng(seed)

    def vectors() -> Vectors:
        return rng.integers(-4, 5, (3, 4, 2)).astype(np.int16)

    sides = rng.integers(0, 3, (3, 4)).astype(np.uint8)
    control = Control(vectors(), vectors(), sides) if two_sided else Control(vectors())
    return MotionTrack(4, 3, 3, (Gap(two_sided, (control,)),))


def _keep(target: str, name: str, data: bytes) -> None:
    if 0 < len(data) <= MOST_BYTES:
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
