"""The output head on the answer's tokens alone.

TRL's trainers ask the model for per-token log-probabilities (`fused_lm_head=True`). On a device without Triton, TRL
1.16 projects every position through the head, prompt and padding included: with a vocabulary of 152,000 and a loss on
a third of the tokens, that was half the time of a training step on a CPU. Here only positions with a label are
projected; values and gradients are the same, which a test asserts.
"""

import types
from typing import Any

# Models that change their logits after the head, or add a routing loss: TRL knows how, and keeps them.
_SCALING = (
    "final_logit_softcapping",
    "logit_scale",
    "output_multiplier",
    "lm_head_multiplier",
    "logits_scaling",
    "output_router_logits",
)


def changes_logits(model: Any) -> bool:
    """Say whether the model's logits are more than what its head makes of the hidden states."""
    config = model.config.get_text_config()
    return any(getattr(config, name, None) for name in _SCALING)


def project_answers_only(model: Any) -> None:
    """Replace the fused branch of a plain causal LM that TRL has patched; any other call stays as it is.

    Call it after the trainer is built. On a GPU TRL's own kernel already does this, so nothing is changed there.
    """
    import torch
    from trl.trainer.utils import FusedCausalLMOutput

    causal_lm = model.get_base_model() if hasattr(model, "get_base_model") else model
    on_gpu = next(causal_lm.parameters()).device.type == "cuda"
    if on_gpu or changes_logits(causal_lm):
        return
    patched_by_trl = causal_lm.forward

    def forward(self: Any, *args: Any, fused_lm_head: bool = False, labels: Any = None, **kwargs: Any) -> Any:
        if not fused_lm_head:
            return patched_by_trl(*args, labels=labels, **kwargs)
        items = kwargs.pop("num_items_in_batch", None)
        hidden = self.base_model(*args, **{**kwargs, "use_cache": False}).last_hidden_state[:, :-1]
        wanted = labels[:, 1:]
        mask = wanted != -100
        logits = self.get_output_embeddings()(hidden[mask]).float()
        log_softmax = torch.log_softmax(logits, dim=-1)
        scored = log_softmax.gather(-1, wanted[mask].unsqueeze(-1)).squeeze(-1)

        def spread(values: Any) -> Any:
            # masked_scatter keeps the graph alive even where a batch has no label at all.
            return values.new_zeros(mask.shape).masked_scatter(mask, values)

        log_probs = spread(scored)
        with torch.no_grad():
            entropy = spread(-(log_softmax.exp() * log_softmax).sum(dim=-1))
            mean_logits = spread(logits.mean(dim=-1))
            is_top1 = spread(logits.argmax(dim=-1) == wanted[mask])
        count = mask.sum().clamp(min=1) if items is None else items
        return FusedCausalLMOutput(
            loss=-log_probs.sum() / count,
            log_probs=log_probs,
            entropy=entropy,
            mean_logits=mean_logits,
            is_top1=is_top1,
            label_mask=mask,
        )

    causal_lm.forward = types.MethodType(forward, causal_lm)
