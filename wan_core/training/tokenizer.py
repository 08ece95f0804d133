"""The demo model's tokenizer: a small sentencepiece model with umT5's special ids."""

from __future__ import annotations

import json
import random
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import Unigram

from wan_core.training.captions import caption
from wan_core.training.world import random_scene

VOCAB_SIZE = 512
_SENTENCES = 20_000
_SPECIAL = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}


def write_tokenizer(folder: Path) -> None:
    """Train on the world's captions; writes the files of the official ``google/umt5-xxl`` folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random("captions")
    sentences = (caption(random_scene(rng), rng) for _ in range(_SENTENCES))
    model = folder / "spiece.model"
    with model.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=file,
            vocab_size=VOCAB_SIZE,
            character_coverage=1.0,
            hard_vocab_limit=False,
            byte_fallback=True,
            normalization_rule_name="nfkc_cf",  # capitals mean nothing in this small world
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            minloglevel=2,
        )
    _as_tokenizer_json(model).save(str(folder / "tokenizer.json"))
    for name, content in (
        ("special_tokens_map.json", _SPECIAL),
        ("tokenizer_config.json", {**_SPECIAL, "tokenizer_class": "T5Tokenizer", "extra_ids": 0}),
    ):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")


def _as_tokenizer_json(model: Path) -> Tokenizer:
    """The same pieces in the format that the official code reads."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(model))
    vocab = [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(pieces.get_piece_size())]
    tokenizer = Tokenizer(Unigram(vocab, unk_id=pieces.unk_id(), byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer
