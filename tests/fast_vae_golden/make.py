"""Write what the authors' code makes of the weights and latents of ``weights.py``.

    python tests/fast_vae_golden/make.py FOLDER

where FOLDER is a checkout of https://github.com/madebyollin/taehv (MIT), at 1f14a568f24bf8811e0a0ac601613e04fc1581e8.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from weights import latents, weights

HERE = Path(__file__).parent

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    from taehv import TAEHV

    model = TAEHV(checkpoint_path=None).eval()
    model.decoder.load_state_dict(weights(model.decoder.state_dict()))
    with torch.inference_mode():
        frames = model.decode_video(latents().transpose(0, 1)[None], parallel=True, show_progress_bar=False)[0]
    np.save(HERE / "frames.npy", frames.numpy())
    names = {name: list(each.shape) for name, each in model.decoder.state_dict(prefix="decoder.").items()}
    (HERE / "layout.json").write_text(json.dumps(names, indent=0) + "\n")
