"""Make a real, tiny GGUF model that says what it was told to say; llama.cpp's server runs it as any other.

The weights are set by hand: no layer adds anything, so the next token depends on the last one alone, and
every token of a script leads to the next. The chat template ends the prompt with the first token of the
script that fits the conversation. Tokenizer, sampling, grammar, template and tool parsing are llama.cpp's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

ARCHITECTURE = "llama"
SPECIAL = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
END = SPECIAL.index("<|im_end|>")
BYTES_FROM = len(SPECIAL)
FOREVER = "tick tock "
STRENGTH = 40.0


@dataclass(frozen=True)
class Script:
    """What the model says. ``calls`` come first where tools are on offer; ``answer`` follows their results.
    After the result of one call it makes those of ``then``, if there are any, before it answers.

    ``greeting`` answers where no tool is on offer. Somebody who writes ``forever`` gets an answer that never
    ends. Names of tools are those of the wire, so ``files__find`` for ``files.find``.
    """

    calls: Sequence[tuple[str, Mapping[str, object]]] = ()
    then: Sequence[tuple[str, Mapping[str, object]]] = ()
    answer: str = "The tool has answered."
    greeting: str = "Good morning."


def write_model(path: Path, script: Script, *, context: int = 4096) -> None:
    """Write the model into ``path``."""
    vocabulary = _Vocabulary()
    chains = {
        "answer": script.answer,
        "greeting": script.greeting,
        "call": _calls(script.calls) or script.answer,
        "then": _calls(script.then) or script.answer,
    }
    for name, text in chains.items():
        vocabulary.add_chain(f"<|{name}|>", text)
    vocabulary.add_loop("<|forever|>", FOREVER)
    _write(path, vocabulary, context)


def _calls(calls: Sequence[tuple[str, Mapping[str, object]]]) -> str:
    return "\n".join(
        "<tool_call>\n" + json.dumps({"name": name, "arguments": dict(arguments)}) + "\n</tool_call>"
        for name, arguments in calls
    )


class _Vocabulary:
    """Tokens by id, and for each the token that follows it."""

    def __init__(self) -> None:
        self.tokens: list[bytes] = [name.encode() for name in SPECIAL]
        self.types: list[int] = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * (len(SPECIAL) - 1)]
        self.follows: dict[int, int] = {}
        self.tokens += [f"<0x{value:02X}>".encode() for value in range(256)]
        self.types += [gguf.TokenType.BYTE] * 256
        self._firsts: dict[str, int] = {}

    def add_chain(self, start: str, text: str) -> None:
        last = first = self._add(start, gguf.TokenType.CONTROL)
        if text in self._firsts:
            self.follows[first] = self._firsts[text]
            return
        for token in self._unique_pieces(text):
            self.follows[last] = last = self._add(token, gguf.TokenType.USER_DEFINED)
        self.follows[last] = END
        self._firsts[text] = self.follows[first]

    def add_loop(self, start: str, text: str) -> None:
        first = self._add(start, gguf.TokenType.CONTROL)
        token = self._add(text, gguf.TokenType.USER_DEFINED)
        self.follows[first] = token
        self.follows[token] = token

    def _unique_pieces(self, text: str) -> list[str]:
        """Pieces of a few characters, so that a stream has many and none is a whole tag; none is a token yet,
        because a text may be one token only."""
        taken = {token.decode() for token in self.tokens}
        for size in (5, 4, 7, 3, 11, 2, len(text)):
            pieces = _joined([text[start : start + size] for start in range(0, len(text), size)], taken)
            if pieces:
                return pieces
        raise ValueError(f"{text!r} cannot be told apart from another text of the script")

    def _add(self, token: str, kind: int) -> int:
        self.tokens.append(token.encode())
        self.types.append(kind)
        return len(self.tokens) - 1


def _joined(pieces: list[str], taken: set[str]) -> list[str]:
    """``pieces``, joined with the next where they are taken; empty if the last one stays taken."""
    taken = set(taken)
    found: list[str] = []
    pending = ""
    for piece in pieces:
        pending += piece
        if pending not in taken:
            found.append(pending)
            taken.add(pending)
            pending = ""
    while pending and found:
        pending = found.pop() + pending
        if pending not in taken:
            return [*found, pending]
    return [] if pending else found


TEMPLATE = """\
{%- if tools %}
{{- '<|im_start|>system\\nTools:\\n<tools>' }}
{%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}
{{- '\\n</tools>\\nCall them as <tool_call>\\n{"name": <name>, "arguments": <object>}\\n</tool_call>' }}
{{- '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.content %}{{- message.content }}{%- endif %}
{%- if message.tool_calls %}
{%- for call in message.tool_calls %}
{{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments | tojson }}{{- '}\\n</tool_call>' }}
{%- endfor %}
{%- endif %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- set last = messages[-1] %}
{%- if last.role == 'tool' %}
{%- if messages[-3].role == 'user' %}{{- '<|then|>' }}{%- else %}{{- '<|answer|>' }}{%- endif %}
{%- elif last.content and 'forever' in last.content %}{{- '<|forever|>' }}
{%- elif tools %}{{- '<|call|>' }}
{%- else %}{{- '<|greeting|>' }}{%- endif %}
{%- endif %}
"""


def _write(path: Path, vocabulary: _Vocabulary, context: int) -> None:
    size = len(vocabulary.tokens)
    width = -(-size // 64) * 64
    embedding = np.zeros((size, width), dtype=np.float32)
    output = np.zeros((size, width), dtype=np.float32)
    for token in range(size):
        embedding[token, token] = 1.0
        # a token that nothing leads from ends the answer
        output[vocabulary.follows.get(token, END), token] = STRENGTH / np.sqrt(width)
    writer = gguf.GGUFWriter(str(path), ARCHITECTURE)
    writer.add_name("scripted")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_key_length(32)
    writer.add_value_length(32)
    writer.add_rope_dimension_count(32)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(size)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_scores([0.0] * size)
    writer.add_token_types(vocabulary.types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(END)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE)
    for name, tensor in _tensors(width, embedding, output):
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(width: int, embedding: np.ndarray, output: np.ndarray) -> Iterable[tuple[str, np.ndarray]]:
    def zeros(rows: int, columns: int) -> np.ndarray:
        return np.zeros((rows, columns), dtype=np.float32)

    yield "token_embd.weight", embedding
    yield "output_norm.weight", np.ones(width, dtype=np.float32)
    yield "output.weight", output
    yield "blk.0.attn_norm.weight", np.ones(width, dtype=np.float32)
    yield "blk.0.ffn_norm.weight", np.ones(width, dtype=np.float32)
    for name, rows, columns in (
        ("attn_q", 32, width),
        ("attn_k", 32, width),
        ("attn_v", 32, width),
        ("attn_output", width, 32),
        ("ffn_gate", 32, width),
        ("ffn_up", 32, width),
        ("ffn_down", width, 32),
    ):
        yield f"blk.0.{name}.weight", zeros(rows, columns)
