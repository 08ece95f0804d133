"""Prompt cleaning and tokens, with a tokenizer trained here in both of its file formats."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sentencepiece
import torch
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.processors import TemplateProcessing

from wan_core.models.umt5.text import clean_text
from wan_core.models.umt5.tokenizer import PromptTokenizer
from wan_core.schema.errors import WeightsError

_SENTENCES = [
    "a red ball rolls over green grass",
    "two cats fight on a stage in the rain",
    "一只猫在草地上奔跑",
    "the camera moves slowly to the left & the sun sets",
]
_PROMPTS = ["a red cat", "", "一只猫 in the rain", "the  ball\n rolls", "zebra &amp; fox é"]


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Path:
    """A folder with tokenizer.json and spiece.model of one vocabulary."""
    folder, model = tmp_path_factory.mktemp("umt5"), io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_SENTENCES * 5),
        model_writer=model,
        vocab_size=90,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        normalization_rule_name="identity",
        minloglevel=2,
    )
    (folder / "spiece.model").write_bytes(model.getvalue())
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    vocabulary = [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(pieces.get_piece_size())]
    tokenizer = Tokenizer(Unigram(vocabulary, unk_id=2))
    tokenizer.pre_tokenizer = Metaspace()
    tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(params=["tokenizer.json", "spiece.model"])
def folder(request, both: Path, tmp_path: Path) -> Path:
    """A folder with one of the two files only."""
    shutil.copy(both / request.param, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("  a\t cat\n\n runs ", "a cat runs"),
        ("salt &amp;amp; pepper", "salt & pepper"),
        ("&lt;b&gt;", "<b>"),
        ("schÃ¶n", "schön"),
        ("猫　在", "猫 在"),
        ("&nbsp;x&nbsp;", "x"),
        ("", ""),
    ],
)
def test_cleaning(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


def test_both_formats_give_the_same_ids(both: Path, folder: Path) -> None:
    reference = sentencepiece.SentencePieceProcessor(model_file=str(both / "spiece.model"))
    tokenizer = PromptTokenizer(folder)
    for prompt in _PROMPTS:
        assert tokenizer.encode(prompt) == [*reference.encode(clean_text(prompt)), 1]


def test_batch_is_padded_to_the_longest(folder: Path) -> None:
    tokenizer = PromptTokenizer(folder)
    ids, mask = tokenizer(_PROMPTS)
    lengths = [len(tokenizer.encode(prompt)) for prompt in _PROMPTS]
    assert ids.shape == mask.shape == (len(_PROMPTS), max(lengths))
    assert ids.dtype == mask.dtype == torch.int64
    assert mask.sum(1).tolist() == lengths
    assert torch.equal(ids != 0, mask.bool())
    assert ids[1].tolist() == [1] + [0] * (max(lengths) - 1)
    single, _ = tokenizer("a red cat")
    assert single.tolist() == [tokenizer.encode("a red cat")]


def test_long_prompts_are_cut_to_512_and_counted_in_full(folder: Path) -> None:
    tokenizer = PromptTokenizer(folder)
    prompt = "a red ball " * 300
    ids = tokenizer.encode(prompt)
    assert len(ids) == 512 and ids[-1] == 1 and 1 not in ids[:-1]
    assert tokenizer.count(prompt) > 900
    assert tokenizer.count("a red cat") == len(tokenizer.encode("a red cat"))


def test_prompts_are_cut_to_what_the_model_reads(folder: Path) -> None:
    ids = PromptTokenizer(folder, max_length=4).encode("a red cat and a red cat and a red cat")
    assert len(ids) == 4 and ids[-1] == 1


def test_tokens_are_counted_without_torch(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from wan_core.models.umt5.tokenizer import PromptTokenizer; "
        f"print(PromptTokenizer(Path({str(folder)!r})).count('a red cat'), 'torch' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == [str(PromptTokenizer(folder).count("a red cat")), "False"]


@pytest.mark.parametrize("name", ["tokenizer.json", "spiece.model"])
def test_damaged_file_is_named(both: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes((both / name).read_bytes()[:-1])
    with pytest.raises(WeightsError, match=f"{name} cannot be read"):
        PromptTokenizer(tmp_path)


def test_folder_without_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"put tokenizer\.json or spiece\.model"):
        PromptTokenizer(tmp_path)
