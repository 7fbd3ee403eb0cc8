"""Models that no machine at hand could hold: how long a recording takes, and how much memory.

``python bench/large.py``, with transformers. Each model is built by its factory and recorded in a process of its own,
both of which are timed, importing transformers is not;
resident memory is that of the whole process, torch and transformers included, at its peak.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from measure import table, versions

TOKENS = 2048


def llama() -> Any:
    """Build Llama 3.1 405B in shape."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=128_256,
            hidden_size=16_384,
            intermediate_size=53_248,
            num_hidden_layers=126,
            num_attention_heads=128,
            num_key_value_heads=8,
        )
    )


def mixtral() -> Any:
    """Build Mixtral 8x22B in shape."""
    from transformers import MixtralConfig, MixtralForCausalLM

    return MixtralForCausalLM(
        MixtralConfig(
            vocab_size=32_768,
            hidden_size=6144,
            intermediate_size=16_384,
            num_hidden_layers=56,
            num_attention_heads=48,
            num_key_value_heads=8,
        )
    )


def deepseek() -> Any:
    """Build DeepSeek-V3 in shape."""
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

    return DeepseekV3ForCausalLM(DeepseekV3Config())


MODELS: dict[str, Callable[[], Any]] = {
    "Llama 3.1 405B": llama,
    "Mixtral 8x22B": mixtral,
    "DeepSeek-V3": deepseek,
}


def child(name: str) -> None:
    """Record one model and print its row."""
    import torch
    import transformers

    from pytest_archcheck import spec, trace

    transformers.logging.set_verbosity_error()
    with torch.device("meta"):
        MODELS[name]()  # transformers imports the family's code
    tokens = spec(1, TOKENS, dtype="int64", high=1000)
    start = time.perf_counter()
    found = trace(MODELS[name], tokens, kwargs={"use_cache": False})
    took = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    row = [
        name,
        f"{found.params.total / 1e9:.2f} G",
        f"{found.macs / 1e12:.2f} T",
        f"{len(found):,}",
        f"{found.depth('weighted')}",
        f"{took:.1f} s",
        f"{peak / 2**30:.2f} GiB",
    ]
    print("\t".join(row))


if __name__ == "__main__":
    if sys.argv[1:]:
        child(sys.argv[1])
    else:
        rows = [
            subprocess.run(
                [sys.executable, __file__, name], check=True, capture_output=True, text=True
            ).stdout
            for name in MODELS
        ]
        print(versions("torch", "transformers"))
        print()
        head = [
            "",
            "parameters",
            f"MACs, {TOKENS:,} tokens",
            "calls",
            "weighted layers",
            "recording",
            "peak memory",
        ]
        print(table(head, [row.strip().split("\t") for row in rows]))
