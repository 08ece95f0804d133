"""The process that runs a language model once: from a question on standard input to its answer."""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

_LARGEST_FILE = 16 * 2**20


def main() -> int:
    """Answer one question; what goes wrong is part of the answer."""
    asked = json.load(sys.stdin)
    limit(int(asked["seconds"]), int(asked["bytes"]))
    answer = sys.stdout
    with redirect_stdout(sys.stderr):  # libraries like to talk
        try:
            told = {"text": write(asked)}
        except Exception as error:  # noqa: BLE001 - the process ends here, and its parent wants a sentence
            words = " ".join(str(error).split())
            told = {"error": f"{words[:200] or type(error).__name__}"}
    json.dump(told, answer)
    answer.flush()
    return 0


def limit(seconds: int, bytes: int) -> None:
    """Be the first to yield: to other programs, and when memory runs out.

    Args:
        seconds: of each core, after which the system ends the process if its parent has not.
        bytes: of memory, at most.
    """
    with suppress(OSError, AttributeError):
        os.nice(10)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    try:
        import resource
    except ImportError:  # Windows
        return
    wanted = {
        resource.RLIMIT_CPU: seconds * (os.cpu_count() or 1),
        resource.RLIMIT_FSIZE: _LARGEST_FILE,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_DATA: bytes,
    }
    for kind, most in wanted.items():
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))


def write(asked: dict[str, Any]) -> str:
    """What the model of ``folder`` says after ``messages``. No code of its folder is run."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    closed = {"local_files_only": True, "trust_remote_code": False}
    tokenizer = AutoTokenizer.from_pretrained(asked["folder"], **closed)
    model = AutoModelForCausalLM.from_pretrained(
        asked["folder"], **closed, use_safetensors=True, dtype="auto"
    ).eval()
    ids = tokenizer(_text(tokenizer, asked["messages"]), return_tensors="pt", add_special_tokens=False)
    ids = ids["input_ids"]
    torch.manual_seed(asked["seed"])
    with torch.inference_mode():
        made = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=asked["max_tokens"],
            max_time=float(asked["seconds"]),
            do_sample=True,
            temperature=0.7,
            top_p=0.9,
            pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id or 0,
        )
    return tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True)


def _text(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    """The conversation as the model was taught it; models that were taught none get plain paragraphs."""
    if tokenizer.chat_template:
        return tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
    return "\n\n".join([*(message["content"] for message in messages), ""])


if __name__ == "__main__":
    sys.exit(main())
