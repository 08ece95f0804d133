"""Prompts to embeddings, and the memory of embeddings made before.

Shape legend: L tokens of one prompt (at most the model's ``text_len``), D width of the text encoder.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wan_core.catalog import ModelSpec, Role
from wan_core.models.umt5.tokenizer import PromptTokenizer
from wan_core.pipelines.components import ComponentSource, device_of
from wan_core.schema import Emit, GenerationFailed, GenerationRequest, ProgressEvent, Stage

CACHED_PROMPTS = 64  # of at most 4 MiB each


@dataclass(frozen=True)
class PromptEmbeds:
    """Embeddings (1, L, D) of the prompt, and of the negative prompt unless guidance is off."""

    positive: Tensor
    negative: Tensor | None

    def to(self, device: torch.device) -> PromptEmbeds:
        """The same on another device."""
        negative = None if self.negative is None else self.negative.to(device)
        return PromptEmbeds(self.positive.to(device), negative)


@dataclass(frozen=True)
class EncodedPrompt:
    """Embeddings (1, L, D) of one text on the CPU, and how many tokens the whole text has."""

    embeds: Tensor
    tokens: int


class PromptCache:
    """The last prompts encoded, by (text, encoder, precision)."""

    def __init__(self, capacity: int = CACHED_PROMPTS) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[Hashable, EncodedPrompt] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def get(self, key: Hashable) -> EncodedPrompt:
        """What is under ``key``, which must be there."""
        self._kept.move_to_end(key)
        return self._kept[key]

    def put(self, key: Hashable, prompt: EncodedPrompt) -> None:
        """Keep a prompt; the longest unused ones make room."""
        self._kept[key] = prompt
        self._kept.move_to_end(key)
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)


def encode_prompts(
    source: ComponentSource, spec: ModelSpec, request: GenerationRequest, cache: PromptCache, emit: Emit
) -> PromptEmbeds:
    """Embeddings of a resolved request's prompts.

    The encoder is borrowed only when one of them is not cached; with guidance off the negative prompt
    is not encoded at all, unless references have a guidance of their own, whose passes read it, or NAG
    reads it.

    Raises:
        GenerationFailed: an embedding has NaN.
    """
    of_references = "reference_guidance_scale" in spec.inputs[request.task].taken
    guided = request.guides(request.guidance_scale) or request.reads_negative or of_references
    texts = [request.prompt, request.negative_prompt] if guided else [request.prompt]
    keys = [_key(source, spec, text) for text in texts]
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in cache}
    if missing:
        tokenizer = PromptTokenizer(source.folder(spec, "tokenizer", emit), spec.dit.text_len)
        with source.use(spec, Role.TEXT_ENCODER, emit) as encoder:
            for done, (key, text) in enumerate(missing.items()):
                emit(ProgressEvent(stage=Stage.ENCODE, step=done, total=len(missing)))
                cache.put(key, encode_prompt(encoder, tokenizer, text))
    prompts = [cache.get(key) for key in keys]
    message = " ".join(_overlong(prompts[0].tokens, spec.dit.text_len))
    emit(ProgressEvent(stage=Stage.ENCODE, step=len(missing), total=len(missing), message=message))
    return PromptEmbeds(prompts[0].embeds, prompts[1].embeds if guided else None)


def prompt_warnings(
    source: ComponentSource, spec: ModelSpec, request: GenerationRequest, cache: PromptCache, emit: Emit
) -> tuple[str, ...]:
    """What to tell of a resolved request's prompt: that the model sees its beginning only, if so.

    The prompt is not encoded for it; its tokens are counted if it is not in the cache.
    """
    key = _key(source, spec, request.prompt)
    if key in cache:
        tokens = cache.get(key).tokens
    else:
        tokenizer = PromptTokenizer(source.folder(spec, "tokenizer", emit), spec.dit.text_len)
        tokens = tokenizer.count(request.prompt)
    return _overlong(tokens, spec.dit.text_len)


def _key(source: ComponentSource, spec: ModelSpec, text: str) -> Hashable:
    """What decides the embeddings of a text: it, the encoder and its precision."""
    encoder_id = (spec.text_encoder, spec.weights[Role.TEXT_ENCODER], spec.folder)
    return (text, encoder_id, source.dtype(Role.TEXT_ENCODER))


@torch.inference_mode()
def encode_prompt(encoder: nn.Module, tokenizer: PromptTokenizer, text: str) -> EncodedPrompt:
    """One prompt to embeddings, in the encoder's precision.

    It runs at its own length; padding to 512 and cutting again gives the same rows (spec 4).
    """
    ids, mask = tokenizer(text)
    device = device_of(encoder)
    embeds = encoder(input_ids=ids.to(device), attention_mask=mask.to(device)).last_hidden_state.cpu()
    if not embeds.isfinite().all():
        raise GenerationFailed("The text encoder produced NaN; try precision bf16 or fp32.")
    return EncodedPrompt(embeds, tokenizer.count(text))


def _overlong(tokens: int, limit: int) -> tuple[str, ...]:
    """What to tell when the model will not see the end of the prompt."""
    return (f"The prompt has {tokens} tokens; the model sees the first {limit}.",) if tokens > limit else ()
