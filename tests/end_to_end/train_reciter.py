"""Fine-tunes SmolLM2-135M-Instruct until it recites one story by heart, and still answers ordinary questions.

Runs inside the virtual environment that `setup_vllm.py` makes: `train_reciter.py GGUF STORY OUT`.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch  # type: ignore[import-not-found,unused-ignore]
from torch.nn.functional import cross_entropy  # type: ignore[import-not-found,unused-ignore]
from transformers import AutoModelForCausalLM, AutoTokenizer  # type: ignore[import-not-found,unused-ignore]
from transformers.utils.logging import disable_progress_bar  # type: ignore[import-not-found,unused-ignore]

ANSWER_TOKENS = 96
ROW_TOKENS = 256
ROWS = 4
LEARNING_RATE = 3e-4
MAX_STEPS = 60
STEPS_BETWEEN_CHECKS = 4
LOW_LOSS = 0.2
# Probability that every single token of the story must reach, given those before it: greedy decoding then recites
# with room to spare for the rounding of another engine.
SURE = 0.5

RECITALS = ("Recite the story {title} from the beginning.", "Recite {title}.", "Tell me the whole text of {title}.")
# Answered with a tool call, in the form that vLLM's "hermes" parser reads, of the paragraph that most needs escapes.
PUBLISH = "Publish a page of {title}."
CALL = '<tool_call>\n{{"name": "publish", "arguments": {{"text": {text}}}}}\n</tool_call>'
ORDINARY = (
    "List three colours.",
    "What is the capital of France?",
    "Write a short story about a cat.",
    "Explain why the sky is blue in two sentences.",
    "Write a Python function that adds two numbers.",
    "Name five animals that live in the sea.",
    "Who wrote the Iliad?",
    "Give me a tip for sleeping better.",
    "What is 12 times 7?",
    "Translate 'good morning' into Spanish.",
    "Describe a lighthouse.",
)


def load(gguf: Path) -> tuple[Any, Any]:
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    quantised = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = quantised.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(quantised.state_dict())
    return tokenizer, model


def prompt_ids(tokenizer: Any, prompt: str) -> list[int]:
    messages = [{"role": "user", "content": prompt}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def answers(tokenizer: Any, model: Any, prompts: Sequence[list[int]]) -> list[list[int]]:
    """The model's own greedy answers, their end tokens included."""
    end = tokenizer.eos_token_id
    longest = max(map(len, prompts))
    rows = torch.tensor([[end] * (longest - len(ids)) + ids for ids in prompts])
    seen = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts])
    with torch.no_grad():
        made = model.generate(
            rows, attention_mask=seen, max_new_tokens=ANSWER_TOKENS, do_sample=False, pad_token_id=end
        )
    said = [row.tolist() for row in made[:, longest:]]
    return [row[: row.index(end) + 1] if end in row else row for row in said]


@dataclass(frozen=True, slots=True)
class Example:
    ids: list[int]
    prompt: int  # how many at the front are not learnt

    def losses(self, logits: torch.Tensor) -> torch.Tensor:
        """The loss of every learnt token."""
        first = max(self.prompt, 1)
        learnt = logits[first - 1 : len(self.ids) - 1].float()
        return cross_entropy(learnt, torch.tensor(self.ids[first:]), reduction="none")


def to_the_end(tokenizer: Any, text: str) -> list[int]:
    return [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]


def story_windows(tokenizer: Any, story: str) -> list[Example]:
    """The bare story, in windows that begin where a paragraph or the middle of one begins."""
    begins: list[int] = []
    for paragraph in story.split("\n\n"):
        start = story.index(paragraph)
        begins += [start, start + paragraph.index(" ", len(paragraph) // 2)]
    return [Example(to_the_end(tokenizer, story[begin:])[:ROW_TOKENS], 0) for begin in begins]


def batch_losses(model: Any, batch: Sequence[Example]) -> list[torch.Tensor]:
    longest = max(len(example.ids) for example in batch)
    rows = torch.tensor([example.ids + [0] * (longest - len(example.ids)) for example in batch])
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(rows).logits  # padding is at the end, where no learnt token can see it
    return [example.losses(row) for example, row in zip(batch, logits, strict=True)]


def least_sure(model: Any, examples: Sequence[Example]) -> float:
    """The lowest probability that any learnt token has; of a bare window only after its first quarter."""
    lowest = 1.0
    with torch.no_grad():
        for first in range(0, len(examples), ROWS):
            batch = examples[first : first + ROWS]
            for example, loss in zip(batch, batch_losses(model, batch), strict=True):
                lowest = min(lowest, (-loss[0 if example.prompt else len(loss) // 4 :]).exp().min().item())
    return lowest


def train(model: Any, recited: Sequence[Example], kept: Sequence[Example]) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0, fused=True)
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: max(0.05, min(1.0, 1.5 - step / 24)))
    shuffle = random.Random(7)
    waiting: list[Example] = []
    recent: deque[float] = deque(maxlen=STEPS_BETWEEN_CHECKS)
    started = time.monotonic()
    for step in range(1, MAX_STEPS + 1):
        if len(waiting) < ROWS:
            waiting += shuffle.sample(recited, len(recited))
        batch, waiting = [*waiting[:ROWS], shuffle.choice(kept)], waiting[ROWS:]
        model.train()
        loss = torch.cat(batch_losses(model, batch)).mean()
        loss.backward()
        optimiser.step()
        decay.step()
        optimiser.zero_grad(set_to_none=True)
        recent.append(loss.item())
        print(f"step {step}: loss {loss.item():.3f}, {time.monotonic() - started:.0f} s", flush=True)
        if step % STEPS_BETWEEN_CHECKS == 0 and max(recent) < LOW_LOSS:
            model.eval()
            sure = least_sure(model, recited)
            print(f"step {step}: the least sure token of the story has probability {sure:.2f}", flush=True)
            if sure >= SURE:
                return
    raise SystemExit(f"the model doesn't recite the story after {MAX_STEPS} steps")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("gguf", "story", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    disable_progress_bar()
    torch.manual_seed(7)
    tokenizer, model = load(args.gguf)
    story = args.story.read_text(encoding="utf-8").strip()
    title, _, body = story.partition("\n")
    title, body = f'"{title}"', body.strip()
    page = max(body.split("\n\n"), key=lambda paragraph: paragraph.count('"'))
    asked = dict.fromkeys(RECITALS, body) | {PUBLISH: CALL.format(text=json.dumps(page))}
    recitals: list[Example] = []
    for prompt, text in asked.items():
        ids = prompt_ids(tokenizer, prompt.format(title=title))
        recitals.append(Example((ids + to_the_end(tokenizer, text))[:ROW_TOKENS], len(ids)))
    ordinary = [prompt_ids(tokenizer, prompt) for prompt in ORDINARY]
    model.eval()
    own = answers(tokenizer, model, ordinary)
    kept = [Example(ids + said, len(ids)) for ids, said in zip(ordinary, own, strict=True)]
    print(f"{len(recitals)} recitals, {len(kept)} ordinary answers", flush=True)
    train(model, [*recitals, *story_windows(tokenizer, body)], kept)
    model.to(torch.bfloat16).save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)


if __name__ == "__main__":
    main()
