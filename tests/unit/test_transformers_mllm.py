import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from cmvc.errors import InvalidSettingError, MissingServiceError, MissingWeightsError, SemanticsError
from cmvc_encoder.semantics.mllm import Question
from cmvc_encoder.semantics.transformers import SETTINGS, TransformersMllm, read_mllm_settings

torch = pytest.importorskip("torch", reason="the encoder's extra 'transformers' is not installed")
pytest.importorskip("transformers", reason="the encoder's extra 'transformers' is not installed")

from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import LlamaConfig  # noqa: E402

from cmvc_encoder.semantics import pretrained  # noqa: E402
from tests.tiny_models import qwen_vl, smolvlm  # noqa: E402

CPU = {"device": "cpu"}
FAMILIES = {"smolvlm": smolvlm, "qwen_vl": qwen_vl}


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request, tmp_path_factory):
    made = tmp_path_factory.mktemp(request.param)
    FAMILIES[request.param].write(made)
    return made


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    made = tmp_path_factory.mktemp("original")
    smolvlm.write(made)
    return made


@pytest.fixture
def copy(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "model"))


def images(count, height=48, width=80, seed=1):
    return list(np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), np.uint8))


def loaded(folder, dtype="float32"):
    return pretrained.load(str(folder), "cpu", dtype)


def spy_on(monkeypatch, model):
    """Have the real generate tell its arguments."""
    calls = []
    generate = model.generate

    def tell(**arguments):
        calls.append(arguments)
        return generate(**arguments)

    monkeypatch.setattr(model, "generate", tell)
    return calls


def test_answers_come_in_the_order_of_the_questions_whatever_they_were_batched_with(folder, monkeypatch):
    # By random weights all answers are alike: lengths tell them apart.
    questions = [Question(images(n), "What moves? " * words, length)
                 for n, words, length in ((3, 1, 5), (1, 2, 9), (3, 4, 5), (1, 1, 2), (3, 2, 7))]  # fmt: skip
    calls = spy_on(monkeypatch, loaded(folder)._model)
    answers = TransformersMllm(str(folder), CPU).ask(questions)
    tokenizer = loaded(folder)._processor.tokenizer
    assert [len(tokenizer(answer)["input_ids"]) for answer in answers] == [5, 9, 5, 2, 7]
    assert sorted(len(call["input_ids"]) for call in calls) == [1, 1, 1, 2]  # the two alike went together
    assert answers == [TransformersMllm(str(folder), CPU).ask([each])[0] for each in questions]


def test_a_batch_is_no_larger_than_set(folder, monkeypatch):
    calls = spy_on(monkeypatch, loaded(folder)._model)
    TransformersMllm(str(folder), CPU | {"batch": "2"}).ask([Question(images(1), "What?", 1)] * 5)
    assert [len(call["input_ids"]) for call in calls] == [2, 2, 1]


def test_prompts_of_a_batch_end_together_and_every_image_has_its_tokens(folder, monkeypatch):
    calls = spy_on(monkeypatch, loaded(folder)._model)
    TransformersMllm(str(folder), CPU).ask([Question(images(2), prompt, 1) for prompt in ("Hm?", "What is there?")])
    (call,) = calls
    mask = call["attention_mask"]
    assert mask[:, -1].all()
    assert not mask[0, 0]
    image = loaded(folder)._model.config.image_token_id
    seen = (call["input_ids"] == image).sum(1)
    assert seen[0] == seen[1] > 0
    prompt = loaded(folder)._processor.tokenizer.decode(call["input_ids"][1])
    assert "What is there?" in prompt
    assert prompt.rstrip().lower().rstrip(":").endswith("assistant")


def test_the_likeliest_answer_is_taken_even_where_the_checkpoint_asks_for_sampling(tmp_path):
    qwen_vl.write(tmp_path)
    settings = json.loads((tmp_path / "generation_config.json").read_text())
    assert settings["do_sample"] is True
    settings["temperature"] = 5.0
    (tmp_path / "generation_config.json").write_text(json.dumps(settings))
    mllm = TransformersMllm(str(tmp_path), CPU)
    question = Question(images(1), "What?", 12)
    assert len({mllm.ask([question])[0] for _ in range(3)}) == 1


def test_images_are_shrunk_to_the_side_set_and_small_ones_stay(tmp_path, monkeypatch):
    qwen_vl.write(tmp_path)
    calls = spy_on(monkeypatch, loaded(tmp_path)._model)
    for side, height, width in (("112", 540, 960), ("384", 84, 112)):
        TransformersMllm(str(tmp_path), CPU | {"image_side": side}).ask(
            [Question(images(1, height, width), "What?", 1)]
        )
    grids = [call["image_grid_thw"].tolist() for call in calls]
    assert grids == [[[1, 4, 8]], [[1, 6, 8]]]  # patches of 14 pixels, an even number of them


def test_an_image_is_not_cut_into_tiles(copy, monkeypatch):
    # The published settings of SmolVLM make 17 of each, and so 17 times the tokens.
    assert json.loads((copy / "preprocessor_config.json").read_text())["do_image_splitting"] is True
    calls = spy_on(monkeypatch, loaded(copy)._model)
    TransformersMllm(str(copy), CPU).ask([Question(images(3, 64, 64), "What?", 1)])
    assert calls[0]["pixel_values"].shape[1] == 3
    assert int((calls[0]["input_ids"] == loaded(copy)._model.config.image_token_id).sum()) == 3 * smolvlm.TOKENS


def test_the_pixels_reach_the_model_as_its_processor_scales_them(copy, monkeypatch):
    calls = spy_on(monkeypatch, loaded(copy)._model)
    red = np.full((64, 64, 3), (255, 0, 51), np.uint8)
    TransformersMllm(str(copy), CPU).ask([Question([red], "What?", 1)])
    assert calls[0]["pixel_values"][0, 0].mean((1, 2)).tolist() == pytest.approx([1.0, -1.0, -0.6], abs=1e-3)


def test_streams_share_one_model_and_load_it_once(copy):
    found = []

    def stream():
        mllm = TransformersMllm(str(copy), CPU)
        found.append((mllm.ask([Question(images(1), "What?", 3)]), mllm._load()))

    threads = [threading.Thread(target=stream) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len({id(model) for _, model in found}) == 1
    assert len({answers[0] for answers, _ in found}) == 1


def test_the_number_format_is_the_one_set(folder):
    mllm = TransformersMllm(str(folder), CPU | {"dtype": "bfloat16"})
    assert len(mllm.ask([Question(images(1), "What?", 2)])) == 1
    assert {weight.dtype for weight in mllm._load()._model.parameters()} == {torch.bfloat16}
    assert {weight.dtype for weight in loaded(folder)._model.parameters()} == {torch.float32}


def test_no_question_needs_no_answer(folder):
    assert TransformersMllm(str(folder), CPU).ask([]) == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"beams": "4"}, "'beams'; known: device, dtype, batch, image_side, download"),
        ({"dtype": "int8"}, "auto, float32, bfloat16, float16"),
        ({"device": "the GPU"}, "auto, cpu, cuda or cuda:NUMBER"),
        ({"batch": "0"}, "from 1 to 64"),
        ({"batch": "4.5"}, "from 1 to 64"),
        ({"image_side": "9000"}, "from 28 to 4096"),
        ({"download": "maybe"}, "yes, no"),
    ],
)
def test_a_setting_that_will_not_do_is_told_at_once(settings, told):
    with pytest.raises(InvalidSettingError) as error:
        TransformersMllm("any/model@1", settings)
    assert told in str(error.value)


def test_settings_are_read_as_written():
    settings = read_mllm_settings(
        {"device": "cuda:1", "dtype": "float16", "batch": "8", "image_side": "512", "download": "yes"}
    )
    assert vars(settings) == {"device": "cuda:1", "dtype": "float16", "batch": 8, "image_side": 512, "download": True}
    assert vars(read_mllm_settings({})).keys() == SETTINGS.keys()
    assert read_mllm_settings({}).download is False


@pytest.mark.parametrize("device", ["cuda:99", "quantum"])
def test_a_device_that_is_not_here_is_told(copy, device):
    with pytest.raises(InvalidSettingError, match=f"device={device}"):
        TransformersMllm(str(copy), {"device": device}).ask([Question(images(1), "What?", 1)])


def test_a_model_that_is_not_on_this_machine_is_told_with_what_to_run():
    with pytest.raises(MissingWeightsError) as error:
        TransformersMllm("cmvc-tests/no-such-model@1234", CPU).ask([Question(images(1), "What?", 1)])
    assert "hf download cmvc-tests/no-such-model --revision 1234" in str(error.value)
    assert "download=yes" in str(error.value)


def test_a_model_without_a_fixed_revision_is_warned_of(caplog):
    with caplog.at_level(logging.WARNING), pytest.raises(MissingWeightsError):
        TransformersMllm("cmvc-tests/no-such-model", CPU).ask([Question(images(1), "What?", 1)])
    assert "cmvc-tests/no-such-model@COMMIT" in caplog.text


def test_a_folder_that_does_not_exist_is_told(tmp_path):
    with pytest.raises(MissingWeightsError, match=r"there is no folder .*absent"):
        TransformersMllm(str(tmp_path / "absent"), CPU).ask([Question(images(1), "What?", 1)])


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_folder_that_is_not_whole_is_told(copy, name, damage):
    path = copy / name
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(MissingWeightsError, match="no whole model"):
        TransformersMllm(str(copy), CPU).ask([Question(images(1), "What?", 1)])


def test_weights_that_lack_a_tensor_are_not_filled_with_noise(copy):
    weights = load_file(copy / "model.safetensors")
    lost = next(name for name in weights if "connector" in name)
    del weights[lost]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(MissingWeightsError, match=lost.split(".", 1)[1]):
        TransformersMllm(str(copy), CPU).ask([Question(images(1), "What?", 1)])


def test_pickled_weights_are_not_opened(copy):
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(MissingWeightsError, match="no whole model"):
        TransformersMllm(str(copy), CPU).ask([Question(images(1), "What?", 1)])


def test_code_that_comes_with_a_model_is_not_run(copy):
    config = json.loads((copy / "config.json").read_text())
    config["model_type"] = "homemade"
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModelForImageTextToText": "evil.Model"}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "evil.py").write_text(f"open({str(copy / 'ran')!r}, 'w')\n")
    with pytest.raises(InvalidSettingError, match="cannot be loaded"):
        TransformersMllm(str(copy), CPU).ask([Question(images(1), "What?", 1)])
    assert not (copy / "ran").exists()


def test_a_model_that_cannot_see_is_told(tmp_path):
    LlamaConfig(hidden_size=8, num_attention_heads=1).save_pretrained(tmp_path)
    with pytest.raises(InvalidSettingError, match="'llama', which does not talk about images"):
        TransformersMllm(str(tmp_path), CPU).ask([Question(images(1), "What?", 1)])


def test_a_model_without_a_chat_template_is_told(copy):
    (copy / "chat_template.json").unlink()
    with pytest.raises(InvalidSettingError, match="chat template"):
        TransformersMllm(str(copy), CPU).ask([Question(images(1), "What?", 1)])


def test_running_out_of_memory_says_which_settings_help(copy, monkeypatch):
    def exhausted(**arguments):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr(loaded(copy)._model, "generate", exhausted)
    with pytest.raises(SemanticsError, match=r"batch= or image_side=") as error:
        TransformersMllm(str(copy), CPU).ask([Question(images(1), "What?", 1)])
    assert isinstance(error.value.__cause__, torch.OutOfMemoryError)


def test_a_question_that_the_model_cannot_take_is_its_failure(copy):
    with pytest.raises(SemanticsError, match=r"failed: .*number of images") as error:
        TransformersMllm(str(copy), CPU).ask([Question(images(1), f"What is {smolvlm.IMAGE}?", 1)])
    assert error.value.__cause__ is not None


def test_a_chat_template_that_refuses_is_the_models_failure(copy):
    refusal = {"chat_template": "{{ raise_exception('a system message must come first') }}"}
    (copy / "chat_template.json").write_text(json.dumps(refusal))
    with pytest.raises(SemanticsError, match="a system message must come first"):
        TransformersMllm(str(copy), CPU).ask([Question(images(1), "What?", 1)])


def test_missing_libraries_are_told_with_the_line_that_installs_them(monkeypatch):
    monkeypatch.setattr("cmvc_encoder.semantics.transformers.LIBRARIES", ("torch", "no_such_library"))
    with pytest.raises(MissingServiceError) as error:
        TransformersMllm("any/model@1")
    assert "no_such_library" in str(error.value)
    assert "pip install -c constraints.txt '.[cli]' './services/encoder[transformers]'" in str(error.value)


def test_a_library_that_only_this_model_needs_is_told(copy, monkeypatch):
    monkeypatch.setattr("transformers.models.smolvlm.processing_smolvlm.num2words", None)
    with pytest.raises(MissingServiceError, match=r"num2words.*pip install -c constraints.txt"):
        TransformersMllm(str(copy), CPU).ask([Question(images(1), "What?", 1)])


def test_neither_torch_nor_transformers_is_imported_before_the_first_question():
    code = (
        "import sys; from cmvc_encoder.semantics.transformers import TransformersMllm; TransformersMllm('a/b@1');"
        "print([name for name in ('torch', 'transformers', 'PIL') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    assert run.stdout.strip() == "[]"
