"""Language models to test with: an endpoint that answers as it is told, and a tiny model on the disk."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Endpoint:
    """An OpenAI-compatible server of this process.

    Attributes:
        status, body: what it answers; None is a proper answer with ``text`` in it.
        slow: seconds between the bytes of its answer.
        asked: (path, headers, content) of each request so far.
    """

    def __init__(self, address: str) -> None:
        self.url = f"{address}/v1"
        self.text = "A red fox runs through fresh snow."
        self.status, self.slow = 200, 0.0
        self.body: bytes | None = None
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []


@contextmanager
def serve_endpoint() -> Iterator[Endpoint]:
    """An endpoint on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["content-length"])))
            endpoint.asked.append((self.path, dict(self.headers.items()), content))
            proper = {"choices": [{"message": {"role": "assistant", "content": endpoint.text}}]}
            body = json.dumps(proper).encode() if endpoint.body is None else endpoint.body
            self.send_response(endpoint.status)
            self.send_header("content-length", str(len(body)))
            for name, value in endpoint.headers.items():
                self.send_header(name, value)
            self.end_headers()
            step = 1 if endpoint.slow else len(body) or 1
            try:
                for at in range(0, len(body), step):
                    self.wfile.write(body[at : at + step])
                    time.sleep(endpoint.slow)
            except OSError:  # nobody listens any more
                return

        def log_message(self, *arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()


def save_tiny_model(folder: Path) -> Path:
    """A random Llama of 40 words with a tokenizer and a chat template, as transformers saves them."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = [*"abcdefghijklmnopqrstuvwxyz", *(f"word{number}" for number in range(12))]
    vocabulary = {word: number for number, word in enumerate(["<unk>", "<eos>", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<eos>")
    fast.chat_template = "{% for m in messages %}{{ m.content }} {% endfor %}"
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, eos_token_id=None, bos_token_id=None,
    )  # fmt: skip
    folder.mkdir(parents=True)
    LlamaForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder
